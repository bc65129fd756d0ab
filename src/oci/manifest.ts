import { JsonBoundError, mapInPieces, type Pieces, parseBoundedJsonInPieces } from '../lib/index.ts';
import { type Digest, parseDigest } from './digest.ts';
import { OciError } from './error.ts';
import { isGenericType, isIndexType, MEDIA_TYPES } from './media-types.ts';

/**
 * The most bytes of a manifest. The specification asks registries for at least 4 MiB; containerd, the most used client,
 * refuses more than 4·1048·1048 bytes (4.19 MiB). This is a little above both: it passes whatever a client accepts, and
 * bounds what is held and parsed.
 */
export const MAX_MANIFEST_BYTES = 5 * 1024 * 1024;

/** The most descriptors one manifest may name. The largest images have some hundred layers. */
export const MAX_MANIFEST_ENTRIES = 10_000;

/** What a child of an index runs on (image-spec, image-index.md). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** A pointer to content (image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes; undefined only in Docker's schema 1, which does not say. */
  readonly size: number | undefined;
  readonly platform?: Platform;
}

/** What a manifest names. It is never written back: a manifest is stored and served byte for byte. */
export interface Manifest {
  /** Config and layers, foreign ones too, each digest once, in the manifest's order. */
  readonly blobs: readonly Descriptor[];
  /** The children of an index. */
  readonly manifests: readonly Descriptor[];
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** How a media type is read; `unknown`: an artifact of another type, of which only the JSON syntax is known. */
export type ManifestKind = 'index' | 'image' | 'schema1' | 'unknown';

/**
 * Reads a manifest: Docker schema 2 and list, OCI manifest and index, Docker schema 1; of another type, only that it is
 * a JSON object.
 *
 * Bytes that could be read both as an image and as an index are refused: two clients would pull two different images by
 * one digest (CVE-2021-41190).
 *
 * In pieces, since 10,000 descriptors are worth many turns of the event loop.
 *
 * @param mediaType the Content-Type it came with; parameters are ignored
 * @throws {OciError} MANIFEST_INVALID, with what was found
 */
export function* parseManifest(bytes: Buffer, mediaType: string): Pieces<Manifest> {
  const { blobs, manifests } = yield* readManifest(bytes, mediaType);
  return { blobs, manifests };
}

/** A manifest with its JSON, for what else is in it. */
export interface ReadManifest extends Manifest {
  readonly json: JsonObject;
  readonly kind: ManifestKind;
  readonly subject: Descriptor | undefined;
}

/** As {@link parseManifest}. @throws {OciError} MANIFEST_INVALID */
export function* readManifest(bytes: Buffer, mediaType: string): Pieces<ReadManifest> {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw invalid(`it has ${bytes.length} bytes, and at most ${MAX_MANIFEST_BYTES} are accepted`);
  }
  const json = yield* parseObject(bytes);
  refuseConfusion(json);
  const kind = effectiveKind(json, mediaType);
  const manifests = kind === 'index' ? yield* readDescriptors(json, 'manifests') : [];
  const blobs = yield* readBlobs(json, kind);
  // Also where it is not used: a client that reads it must not be served a broken one.
  const subject = kind === 'unknown' ? undefined : optionalDescriptor(json, 'subject');
  return { blobs, manifests, json, kind, subject };
}

/**
 * The child of an index for a platform, as distribution picks linux/amd64 for clients that accept no index. Without a
 * variant, a child without one is preferred, else the first is taken.
 *
 * @returns undefined where the index has none
 */
export function pickPlatform(manifest: Manifest, wanted: Platform): Descriptor | undefined {
  const fitting = manifest.manifests.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const exact = fitting.find(({ platform }) => platform?.variant === wanted.variant);
  return exact ?? (wanted.variant === undefined ? fitting[0] : undefined);
}

function* parseObject(bytes: Buffer): Pieces<JsonObject> {
  let json: unknown;
  try {
    json = yield* parseBoundedJsonInPieces(bytes);
  } catch (cause) {
    throw invalid(cause instanceof JsonBoundError ? cause.message : 'it is not JSON', cause);
  }
  if (!isObject(json)) throw invalid('it is not a JSON object');
  return json;
}

/** Field names are compared without case, as Go's JSON decoder does, and so containerd and docker. */
function refuseConfusion(json: JsonObject): void {
  let index = false;
  let image = false;
  // Keys only: a manifest has room for half a million, and pairs of them take three times as long.
  for (const key of Object.keys(json)) {
    if (json[key] === null) continue;
    // Through upper case, since that decoder reads ſ as s.
    const name = key.toUpperCase().toLowerCase();
    index ||= name === 'manifests';
    image ||= name === 'layers' || name === 'fslayers';
  }
  if (index && image)
    throw invalid('it has both "manifests" and layers, so it could be read as an index and as an image');
}

function effectiveKind(json: JsonObject, contentType: string): ManifestKind {
  const given = stripParameters(contentType);
  const own = json['mediaType'];
  if (own !== undefined && typeof own !== 'string') throw invalid('"mediaType" is not text');
  const kind = kindOf(given);
  const ownKind = kindOf(own ?? '');
  if (ownKind === 'unknown') return kind;
  // Old and simple servers send text/plain or application/json; then the manifest's own mediaType decides.
  if (kind === 'unknown') return isGenericType(given) ? ownKind : kind;
  if (kind !== ownKind) throw invalid(`it was sent as ${given} but calls itself ${own}`);
  return kind;
}

function* readBlobs(json: JsonObject, kind: ManifestKind): Pieces<readonly Descriptor[]> {
  if (kind === 'schema1') {
    if (json['fsLayers'] === undefined) throw invalid('it has no "fsLayers"');
    return unique(yield* mapInPieces(entriesOf(json, 'fsLayers'), readFsLayer));
  }
  if (kind === 'unknown') return [];
  if (kind === 'index') {
    if (isPresent(json['layers']) || isPresent(json['fsLayers']) || isPresent(json['config'])) {
      throw invalid('it was sent as an index but has the fields of an image');
    }
    return [];
  }
  if (isPresent(json['manifests'])) throw invalid('it was sent as an image but has the fields of an index');
  const config = optionalDescriptor(json, 'config');
  if (config === undefined) throw invalid('it has no "config"');
  return unique([config, ...(yield* readDescriptors(json, 'layers'))]);
}

function* readDescriptors(json: JsonObject, field: string): Pieces<readonly Descriptor[]> {
  if (json[field] === undefined) throw invalid(`it has no "${field}"`);
  return yield* mapInPieces(entriesOf(json, field), (entry, position) =>
    readDescriptor(entry, `${field}[${position}]`),
  );
}

/** Go writes an empty list as null, so null is one. */
function entriesOf(json: JsonObject, field: string): readonly unknown[] {
  const entries = json[field] ?? [];
  if (!Array.isArray(entries)) throw invalid(`"${field}" is not a list`);
  if (entries.length > MAX_MANIFEST_ENTRIES) {
    throw invalid(`"${field}" has ${entries.length} entries, and at most ${MAX_MANIFEST_ENTRIES} are accepted`);
  }
  return entries;
}

function optionalDescriptor(json: JsonObject, field: string): Descriptor | undefined {
  return isPresent(json[field]) ? readDescriptor(json[field], field) : undefined;
}

function readDescriptor(value: unknown, where: string): Descriptor {
  if (!isObject(value)) throw invalid(`${where} is not an object`);
  const { mediaType = 'application/octet-stream', size } = value;
  if (typeof mediaType !== 'string') throw invalid(`${where}.mediaType is not text`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where}.size is not a number of bytes`);
  }
  const platform = readPlatform(value['platform']);
  return {
    mediaType,
    digest: readDigest(value['digest'], `${where}.digest`),
    size,
    ...(platform === undefined ? {} : { platform }),
  };
}

function readFsLayer(value: unknown, position: number): Descriptor {
  const where = `fsLayers[${position}]`;
  if (!isObject(value)) throw invalid(`${where} is not an object`);
  return {
    mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    digest: readDigest(value['blobSum'], `${where}.blobSum`),
    size: undefined,
  };
}

function readDigest(value: unknown, where: string): Digest {
  const digest = typeof value === 'string' ? parseDigest(value) : undefined;
  if (digest === undefined) throw invalid(`${where} is not a sha256 or sha512 digest`);
  return digest;
}

function readPlatform(value: unknown): Platform | undefined {
  if (!isObject(value)) return undefined;
  const { os, architecture, variant } = value;
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined;
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' ? { variant } : {}) };
}

/** Each digest once, at its first place: schema 1 repeats its empty layer for every instruction of a Dockerfile. */
function unique(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const seen = new Map<Digest, Descriptor>();
  for (const descriptor of descriptors) if (!seen.has(descriptor.digest)) seen.set(descriptor.digest, descriptor);
  return [...seen.values()];
}

function kindOf(mediaType: string): ManifestKind {
  if (isIndexType(mediaType)) return 'index';
  if (mediaType === MEDIA_TYPES.ociManifest || mediaType === MEDIA_TYPES.dockerManifest) return 'image';
  const isSchema1 = mediaType === MEDIA_TYPES.dockerManifestV1 || mediaType === MEDIA_TYPES.dockerManifestV1Signed;
  return isSchema1 ? 'schema1' : 'unknown';
}

export function stripParameters(contentType: string): string {
  const semicolon = contentType.indexOf(';');
  return (semicolon === -1 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

export function invalid(what: string, cause?: unknown): OciError {
  return new OciError('MANIFEST_INVALID', `manifest invalid: ${what}`, cause === undefined ? {} : { cause });
}
