/** A place of the page: `images/docker.io/library/nginx:latest`, with what stands behind the `?`. */
export interface Place {
  /** Decoded, without /ui/ and without a slash at the end; empty: the first view. */
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
}

const ROOT = '/ui/';

/** Reads an address. What cannot be decoded stays as it is. */
export function placeOf(pathname: string, search: string): Place {
  const raw = pathname.startsWith(ROOT) ? pathname.slice(ROOT.length) : '';
  const path = raw.replace(/\/+$/, '').split('/').map(decoded).join('/');
  const query: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new URLSearchParams(search)) query[name] ??= value;
  return { path, query };
}

/** Writes an address. It reads like the reference of an image: `:`, `@` and `+` stay as they are. */
export function textOf({ path, query }: Place): string {
  const encoded = path.split('/').map(encodedSegment).join('/');
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') parameters.set(name, value);
  const search = parameters.toString().replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%40', '@');
  return `${ROOT}${encoded}${search === '' ? '' : `?${search}`}`;
}

/** `images` and `docker.io/library/nginx` of `images/docker.io/library/nginx`. */
export function splitPath(path: string): readonly [view: string, rest: string] {
  const slash = path.indexOf('/');
  return slash === -1 ? [path, ''] : [path.slice(0, slash), path.slice(slash + 1)];
}

function encodedSegment(segment: string): string {
  // A segment of dots alone would be resolved away by the browser.
  if (/^\.+$/.test(segment)) return segment.replaceAll('.', '%2E');
  return encodeURIComponent(segment).replaceAll('%3A', ':').replaceAll('%40', '@').replaceAll('%2B', '+');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
