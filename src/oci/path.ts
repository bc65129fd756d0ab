import { type Digest, parseDigest } from './digest.ts';
import { OciError } from './error.ts';
import { isRepositoryName, parseReference, type Reference } from './reference.ts';

/** A parsed request path. */
export type RegistryPath =
  /** `/v2/`: the API version check, by which clients also learn whether to log in. */
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'manifest'; readonly repository: string; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: Digest }
  | { readonly kind: 'referrers'; readonly repository: string; readonly digest: Digest }
  /** `/blobs/uploads/SESSION`; the session is empty where one is to be started. */
  | { readonly kind: 'uploads'; readonly repository: string; readonly session: string };

/** A path split between name and operation; only its characters are validated. */
export interface SplitPath {
  /** Everything between `/v2/` and the operation, perhaps with a registry in front; empty for `/v2/`. */
  readonly name: string;
  /** `manifests/latest`, `tags/list`, `_catalog`, …; empty for `/v2/`. */
  readonly operation: string;
}

/** The longest path, in characters: a registry and name of 255 each and a sha512 digest fit three times over. */
export const MAX_PATH_LENGTH = 2048;

// What two programs could read differently: a second decoding, another separator, the end of a text, a step upwards. The
// grammars of names, tags and digests refuse the rest.
// oxlint-disable-next-line no-control-regex -- it looks for control characters
const AMBIGUOUS = /[%\\\x00-\x1f\x7f]|(?:^|\/)\.\.?(?:\/|$)/;

/**
 * Decodes a raw path, once: some clients (Microsoft's SDK) send the `/` of a name and the `:` of a digest as `%2F` and `%3A`.
 *
 * @throws {OciError} NAME_INVALID where the encoding is malformed
 */
export function decodeRegistryPath(path: string): string {
  try {
    return path.includes('%') ? decodeURIComponent(path) : path;
  } catch (cause) {
    throw new OciError('NAME_INVALID', 'path holds a "%" that encodes nothing', { cause });
  }
}

/**
 * Splits a decoded path (beginning `/v2/`, or `/v2` itself; no query) into name and operation.
 *
 * It is read from the right, since a name may contain the words of the API: in `/v2/a/manifests/b/manifests/latest`
 * the repository is `a/manifests/b`.
 *
 * @returns undefined for a path outside the API
 * @throws {OciError} NAME_INVALID for a path that is too long, or that two programs could read differently
 */
export function splitRegistryPath(path: string): SplitPath | undefined {
  if (path === '/v2' || path === '/v2/') return { name: '', operation: '' };
  if (!path.startsWith('/v2/')) return undefined;
  if (path.length > MAX_PATH_LENGTH) {
    throw new OciError('NAME_INVALID', `path of ${path.length} characters; at most ${MAX_PATH_LENGTH} are read`);
  }
  if (AMBIGUOUS.test(path)) {
    throw new OciError(
      'NAME_INVALID',
      'path holds a "%", a backslash, a control character, or "." or ".." between slashes',
    );
  }
  const segments = path.slice('/v2/'.length).split('/');
  const operationLength = lengthOfOperation(segments);
  if (operationLength === 0) return undefined;
  const nameLength = segments.length - operationLength;
  return { name: segments.slice(0, nameLength).join('/'), operation: segments.slice(nameLength).join('/') };
}

/**
 * Reads a decoded path, without a registry in front of the repository and without query.
 *
 * @throws {OciError} NAME_INVALID and DIGEST_INVALID with 400; MANIFEST_UNKNOWN with 404 for a reference that no tag can be;
 * UNSUPPORTED with 404 where the path is none of the API's
 */
export function parseRegistryPath(path: string): RegistryPath {
  const split = splitRegistryPath(path);
  if (split === undefined) throw notAnApiPath();
  const { name, operation } = split;
  if (operation === '') return { kind: 'base' };
  if (operation === '_catalog') {
    if (name !== '') throw notAnApiPath();
    return { kind: 'catalog' };
  }
  const repository = requireRepositoryName(name);
  const [verb, argument = '', session = ''] = operation.split('/', 3);
  if (verb === 'tags') return { kind: 'tags', repository };
  if (verb === 'manifests') return { kind: 'manifest', repository, reference: requireReference(argument) };
  if (verb === 'referrers') return { kind: 'referrers', repository, digest: requireDigest(argument) };
  if (argument === 'uploads') return { kind: 'uploads', repository, session };
  return { kind: 'blob', repository, digest: requireDigest(argument) };
}

/** The answer to a path that belongs to no part of the API: 404, in the protocol's own form. */
export function notAnApiPath(): OciError {
  return new OciError('UNSUPPORTED', 'no such API path; the registry API is under /v2/', { status: 404 });
}

/** How many segments at the right end are the operation; 0 where none is recognised. */
function lengthOfOperation(segments: readonly string[]): number {
  const last = segments.at(-1);
  const second = segments.at(-2);
  const third = segments.at(-3);
  // Uploads first: the session's id is any word, even `list`, and `/blobs/uploads/` ends in an empty segment.
  if (third === 'blobs' && second === 'uploads') return 3;
  if (last === '') return 0;
  // Any word may be a tag, `_catalog` too. Without a repository before it, `manifests` is the registry whose catalogue it is.
  const hasArgument = second === 'manifests' || second === 'blobs' || second === 'referrers';
  if (hasArgument && (third !== undefined || last !== '_catalog')) return 2;
  if (last === '_catalog') return 1;
  return second === 'tags' && last === 'list' ? 2 : 0;
}

function requireRepositoryName(name: string): string {
  if (isRepositoryName(name)) return name;
  const found = name === '' ? 'the repository name is missing' : `invalid repository name "${shorten(name)}"`;
  throw new OciError(
    'NAME_INVALID',
    `${found}: lower-case letters, digits and single . _ - between them, in components separated by /, at most 255`,
  );
}

function requireReference(text: string): Reference {
  const reference = parseReference(text);
  if (reference !== undefined) return reference;
  if (text.includes(':')) throw invalidDigest(text);
  // As registries answer, and the conformance suite expects: there is no manifest under a name that no tag can have.
  throw new OciError(
    'MANIFEST_UNKNOWN',
    `"${shorten(text)}" can be no tag: a letter, digit or _ and then up to 127 of those, . and -`,
  );
}

function requireDigest(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === undefined) throw invalidDigest(text);
  return digest;
}

function invalidDigest(text: string): OciError {
  return new OciError(
    'DIGEST_INVALID',
    `invalid digest "${shorten(text)}": expected sha256: and 64 or sha512: and 128 lower-case hexadecimal characters`,
  );
}

function shorten(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
