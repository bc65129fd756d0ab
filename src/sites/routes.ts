import { compileGlob } from '../lib/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';

/** A path that belongs to a mirror route. */
export interface MirrorMatch {
  readonly route: MirrorSpec;
  /** The site's URL; undefined for a path that would leave the prefix, or that is no valid path. */
  readonly url: URL | undefined;
  /** Whether the route declares the content of this path immutable. */
  readonly immutable: boolean;
}

/** The path on this server of a URL of a mirrored site; undefined where no route leads there. */
export type PathOf = (url: URL) => string | undefined;

/**
 * Dot segments that a URL parser resolves, plain or encoded (WHATWG URL, "double-dot path segment"), and those that a server
 * resolves if it decodes slashes first, or cuts parameters behind a semicolon.
 */
const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?=$|[/\\;]|%2f|%5c|%3b)/i;
/** The characters of a path in a request line. No backslash: some servers take it for a slash, others do not. */
const PATH = /^[\x21\x24-\x5b\x5d-\x7e]*$/;

interface Route {
  readonly spec: MirrorSpec;
  readonly site: URL;
  /** Path of the site, without a trailing slash. */
  readonly base: string;
  readonly immutable: readonly ((rest: string) => boolean)[];
}

/** The mirror routes: from a path to a site, and from a site's URL to a path. Pure. */
export class MirrorRoutes {
  /** Longest prefix first. */
  readonly #byPrefix: readonly Route[];
  /** Longest path of the site first. */
  readonly #bySite: readonly Route[];

  constructor(specs: readonly MirrorSpec[]) {
    const routes = specs.map((spec): Route => {
      const site = new URL(spec.upstream.url);
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
   * The route with the longest prefix of the path, by whole segments. Path and query are not decoded: the site gets them as
   * the client wrote them.
   *
   * @param path raw, without the query
   * @param query raw, without `?`
   */
  match(path: string, query: string): MirrorMatch | undefined {
    const route = this.#byPrefix.find(({ spec }) => isUnder(path, spec.prefix));
    if (route === undefined) return undefined;
    const { spec, site, base } = route;
    const rest = path.slice(spec.prefix.length);
    if (DOT_SEGMENT.test(rest) || !PATH.test(rest) || !PATH.test(query.replaceAll('"', ''))) {
      return { route: spec, url: undefined, immutable: false };
    }
    // Not by parsing a joined string: `//host/path` behind the prefix is a path too.
    const url = new URL(site);
    url.pathname = `${base}${rest === '' ? '/' : rest}`;
    if (rest === '' && base !== '') url.pathname = base;
    url.search = query === '' ? '' : `?${query}`;
    return { route: spec, url, immutable: route.immutable.some((matches) => matches(rest)) };
  }

  /**
   * The path on this server of a URL; undefined where no route leads to it, or it holds a user name.
   *
   * @param preferred the route whose answer names the URL: it wins where several routes lead to the URL
   */
  pathOf(url: URL, preferred?: MirrorSpec): string | undefined {
    if (url.username !== '' || url.password !== '') return undefined;
    let found: { readonly path: string; readonly base: string } | undefined;
    for (const route of this.#bySite) {
      const { spec, site, base } = route;
      if (found !== undefined && (base.length < found.base.length || spec.name !== preferred?.name)) continue;
      if (url.origin !== site.origin || !isUnder(url.pathname, base)) continue;
      const path = `${spec.prefix}${url.pathname.slice(base.length)}`;
      // A route with a longer prefix may take the path and lead elsewhere.
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
