import type { Pieces } from '../../lib/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  isGenericType,
  isMediaType,
  MEDIA_TYPES,
  type Reference,
} from '../../oci/index.ts';
import { parseJsonObjectInPieces } from '../json.ts';

/** A Content-Type without parameters, in lower case; empty where it is missing or malformed. */
export function bareMediaType(contentType: string | undefined): string {
  const type = (contentType ?? '').split(';', 1)[0]?.trim() ?? '';
  return isMediaType(type) ? type.toLowerCase() : '';
}

/** True where the body is sent without a content coding. */
export function isIdentity(contentEncoding: string | undefined): boolean {
  return contentEncoding === undefined || contentEncoding === '' || contentEncoding.toLowerCase() === 'identity';
}

/** True where the bytes begin as a JSON object does: whatever its label says, no content coding is on them. */
export function beginsAsJson(bytes: Buffer): boolean {
  return /^\s*\{/.test(bytes.toString('latin1', 0, 64));
}

/**
 * The media type of a manifest: its Content-Type or, where that is generic or of a page, its own `mediaType`; without one, its shape
 * decides (image-spec makes `mediaType` optional, and schema 1 has none).
 *
 * @returns undefined where it is no manifest
 */
export function* manifestMediaType(contentType: string | undefined, bytes: Buffer): Pieces<string | undefined> {
  const sent = bareMediaType(contentType);
  if (!isGenericType(sent) && sent !== 'text/html') return sent;
  const manifest = yield* parseJsonObjectInPieces(bytes);
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
 * The digest of a manifest's bytes, in the algorithm of the reference. The registry's own header plays no part.
 *
 * @returns undefined where the reference is another digest
 */
export function manifestDigest(bytes: Buffer, reference: Reference): Digest | undefined {
  if (reference.kind === 'tag') return digestOf(bytes);
  const digest = digestOf(bytes, digestAlgorithm(reference.digest));
  return digest === reference.digest ? digest : undefined;
}
