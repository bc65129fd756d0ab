import { type Digest, digestAlgorithm, digestOf, isMediaType, MEDIA_TYPES, type Reference } from '../../oci/index.ts';
import { parseJsonObject } from '../json.ts';

// What a storage or a careless registry sends for anything.
const GENERIC: readonly string[] = [
  '',
  'text/plain',
  'application/octet-stream',
  'binary/octet-stream',
  'application/json',
];

/** A Content-Type without its parameters, in lower case; empty where there is none, or what no header of ours could say. */
export function bareMediaType(contentType: string | undefined): string {
  const type = (contentType ?? '').split(';', 1)[0]?.trim() ?? '';
  return isMediaType(type) ? type.toLowerCase() : '';
}

/** True for a type that says nothing about what kind of manifest it is. */
export function isGenericType(mediaType: string): boolean {
  return GENERIC.includes(mediaType);
}

/** True where the body is the body, not an encoding of it. */
export function isIdentity(contentEncoding: string | undefined): boolean {
  return contentEncoding === undefined || contentEncoding === '' || contentEncoding.toLowerCase() === 'identity';
}

/**
 * What a manifest is: the type it was sent as or, where that says nothing, what its own JSON says; in old ones, what its
 * shape says (image-spec makes `mediaType` optional, and schema 1 has none).
 *
 * @returns undefined where it is no manifest
 */
export function manifestMediaType(contentType: string | undefined, bytes: Buffer): string | undefined {
  const sent = bareMediaType(contentType);
  if (!isGenericType(sent)) return sent === 'text/html' ? undefined : sent;
  const manifest = parseJsonObject(bytes);
  if (manifest === undefined) return undefined;
  const own = typeof manifest['mediaType'] === 'string' ? bareMediaType(manifest['mediaType']) : '';
  if (own !== '') return own;
  if (manifest['schemaVersion'] === 1) {
    return 'signatures' in manifest ? MEDIA_TYPES.dockerManifestV1Signed : MEDIA_TYPES.dockerManifestV1;
  }
  if (Array.isArray(manifest['manifests'])) return MEDIA_TYPES.ociIndex;
  return 'config' in manifest && Array.isArray(manifest['layers']) ? MEDIA_TYPES.ociManifest : undefined;
}

/**
 * The digest of a manifest's bytes, in the algorithm it was asked by. What the registry claims it to be plays no part: a
 * header cannot make bytes right, nor wrong ones of right ones.
 *
 * @returns undefined where it was asked by digest and has another
 */
export function manifestDigest(bytes: Buffer, reference: Reference): Digest | undefined {
  if (reference.kind === 'tag') return digestOf(bytes);
  const digest = digestOf(bytes, digestAlgorithm(reference.digest));
  return digest === reference.digest ? digest : undefined;
}
