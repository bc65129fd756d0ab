import { compileGlob } from '../lib/index.ts';
import type { WrittenUrl } from '../net/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';

/** A path that belongs to a mirror route. */
export interface MirrorMatch {
  readonly route: MirrorSpec;
  /** The site's URL; undefined for a path that would leave the prefix, or that is no valid path. */
  readonly at: WrittenUrl | undefined;
  /** Whether the route declares the content of this path immutable. */
  readonly immutable: boolean;
}

/** The path and query on this server of a URL of a mirrored site; undefined where no route leads there. */
export type PathOf = (written: WrittenUrl) => string | undefined;

/**
 * Dot segments that a URL parser resolves, plain or encoded (WHATWG URL, "double-dot path segment"), and those that a server
 * resolves if it decodes slashes first, or cuts parameters behind a semicolon.
 */
const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?=$|[/\\;]|%2f|%5c|%3b)/i;
/**
 * The characters of a path in a request line, and the bytes of bare UTF-8, which are percent-encoded. No backslash: some servers
 * take it for a slash, others do not.
 */
const PATH = /^[\x21\x24-\x5b\x5d-\x7e\x80-\xff]*$/;

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
   * @param query raw, without `?`; undefined where there is no `?`
   */
  match(path: string, query: string | undefined): MirrorMatch | undefined {
    const route = this.#byPrefix.find(({ spec }) => isUnder(path, spec.prefix));
    if (route === undefined) return undefined;
    const { spec, site, base } = route;
    const rest = path.slice(spec.prefix.length);
    if (DOT_SEGMENT.test(rest) || !PATH.test(rest) || !PATH.test((query ?? '').replaceAll('"', ''))) {
      return { route: spec, at: undefined, immutable: false };
    }
    // Not by parsing a joined string: `//host/path` behind the prefix is a path too.
    const url = new URL(site);
    const pathname = ascii(`${base}${rest}` || '/');
    const search = query === undefined ? '' : `?${ascii(query)}`;
    url.pathname = pathname;
    url.search = search;
    const at = { url, target: `${pathname}${search}` };
    return { route: spec, at, immutable: route.immutable.some((matches) => matches(rest)) };
  }

  /**
   * The path and query on this server of a URL, as they were written; undefined where no route leads to it, or it holds a user
   * name.
   *
   * @param preferred the route whose answer names the URL: it wins where several routes lead to the URL
   */
  pathOf(written: WrittenUrl, preferred?: MirrorSpec): string | undefined {
    const { url } = written;
    if (url.username !== '' || url.password !== '') return undefined;
    const [pathname = ''] = written.target.split('?', 1);
    // With a dot in it, the written path leads out of the prefix when a client resolves it.
    const isPlain = !DOT_SEGMENT.test(pathname);
    let found: { readonly path: string; readonly base: string } | undefined;
    for (const route of this.#bySite) {
      const { spec, site, base } = route;
      if (found !== undefined && (base.length < found.base.length || spec.name !== preferred?.name)) continue;
      if (url.origin !== site.origin || !isUnder(url.pathname, base)) continue;
      const rest = (isPlain && isUnder(pathname, base) ? pathname : url.pathname).slice(base.length);
      const path = `${spec.prefix}${rest}`;
      // A route with a longer prefix may take the path and lead elsewhere.
      if (this.#byPrefix.find((each) => isUnder(path, each.spec.prefix)) !== route) continue;
      found = { path, base };
    }
    return found === undefined ? undefined : `${found.path}${written.target.slice(pathname.length)}`;
  }
}

/** A text with its bytes beyond ASCII percent-encoded: no request line can hold them. */
function ascii(text: string): string {
  return text.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** True where a path is the prefix itself or lies below it, by whole segments. */
function isUnder(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}
