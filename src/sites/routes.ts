import { compileGlob } from '../lib/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';

/** A path that belongs to a mirror route. */
export interface MirrorMatch {
  readonly route: MirrorSpec;
  /** What is to be asked of the site; undefined for a path that leads out of the prefix, or that no path can be. */
  readonly url: URL | undefined;
  /** True where the route says that what is there never changes. */
  readonly immutable: boolean;
}

/** A URL of a mirrored site, as a client of this server would ask for it. */
export type PathOf = (url: URL) => string | undefined;

/**
 * Dots that a URL parser would resolve, plain or encoded (WHATWG URL, "double-dot path segment"), and those that a server
 * resolves which decodes slashes first, or takes what is behind a semicolon for a parameter.
 */
const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?=$|[/\\;]|%2f|%5c|%3b)/i;
/** Nothing else may stand in a request line; a backslash is a slash to some, and no slash to others. */
const PATH = /^[\x21\x24-\x5b\x5d-\x7e]*$/;

interface Route {
  readonly spec: MirrorSpec;
  readonly site: URL;
  /** Path of the site, without a trailing slash. */
  readonly base: string;
  readonly immutable: readonly ((rest: string) => boolean)[];
}

/** The mirror routes: which site a path belongs to, and which path a URL of a site is found under. Pure. */
export class MirrorRoutes {
  /** Longest prefix first. */
  readonly #byPrefix: readonly Route[];
  /** Longest path of the site first. */
  readonly #bySite: readonly Route[];

  constructor(specs: readonly MirrorSpec[]) {
    const routes = specs.map((spec): Route => {
      const site = new URL(spec.upstream);
      const immutable = spec.cache.immutable.map(compileGlob);
      return { spec, site, base: site.pathname.replace(/\/$/, ''), immutable };
    });
    this.#byPrefix = routes.toSorted((a, b) => b.spec.prefix.length - a.spec.prefix.length);
    this.#bySite = routes.toSorted((a, b) => b.base.length - a.base.length);
  }

  get specs(): readonly MirrorSpec[] {
    return this.#byPrefix.map(({ spec }) => spec);
  }

  /**
   * The route with the longest prefix that the path begins with, by whole segments. Path and query are taken as they are:
   * nothing is decoded, so what the site sees is what the client wrote.
   *
   * @param path raw, without the query
   * @param query raw, without `?`   */
  match(path: string, query: string): MirrorMatch | undefined {
    const route = this.#byPrefix.find(({ spec }) => isUnder(path, spec.prefix));
    if (route === undefined) return undefined;
    const { spec, site, base } = route;
    const rest = path.slice(spec.prefix.length);
    if (DOT_SEGMENT.test(rest) || !PATH.test(rest) || !PATH.test(query.replaceAll('"', ''))) {
      return { route: spec, url: undefined, immutable: false };
    }
    // Not by joining texts to be parsed: `//host/path` behind the prefix is a path too.
    const url = new URL(site);
    url.pathname = `${base}${rest === '' ? '/' : rest}`;
    if (rest === '' && base !== '') url.pathname = base;
    url.search = query === '' ? '' : `?${query}`;
    return { route: spec, url, immutable: route.immutable.some((matches) => matches(rest)) };
  }

  /**
   * The path under which a URL can be asked for here; undefined where no route leads to it, or it holds a user name.
   *
   * @param asked the route whose answer names the URL: of several routes to one place it is kept to
   */
  pathOf(url: URL, asked?: MirrorSpec): string | undefined {
    if (url.username !== '' || url.password !== '') return undefined;
    let found: { readonly path: string; readonly base: string } | undefined;
    for (const route of this.#bySite) {
      const { spec, site, base } = route;
      if (found !== undefined && (base.length < found.base.length || spec.name !== asked?.name)) continue;
      if (url.origin !== site.origin || !isUnder(url.pathname, base)) continue;
      const path = `${spec.prefix}${url.pathname.slice(base.length)}`;
      // A route with a longer prefix may have the path, and lead elsewhere.
      if (this.#byPrefix.find((each) => isUnder(path, each.spec.prefix)) !== route) continue;
      found = { path, base };
    }
    return found === undefined ? undefined : `${found.path}${url.search}${url.hash}`;
  }
}

/** True where a path is the prefix itself or lies below it, by whole segments. */
function isUnder(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}
