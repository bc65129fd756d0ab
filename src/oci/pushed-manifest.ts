import { mapInPieces, type Pieces, parseBoundedJsonInPieces } from '../lib/index.ts';
import type { Digest } from './digest.ts';
import {
  type Descriptor,
  invalid,
  isObject,
  isPresent,
  type JsonObject,
  MAX_MANIFEST_BYTES,
  type ReadManifest,
  readManifest,
  stripParameters,
} from './manifest.ts';
import { isGenericType, isIndexType, isManifestType, MEDIA_TYPES } from './media-types.ts';

/** A manifest that a client pushes: what it is, and what has to be there for it. */
export interface PushedManifest {
  /** Without parameters, in lower case. */
  readonly mediaType: string;
  readonly references: readonly ManifestReference[];
  readonly subject: Digest | undefined;
  /** As a list of referrers gives it: `artifactType`, or the media type of an image's config; undefined where there is neither. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** What a manifest names; each digest once. */
export interface ManifestReference {
  readonly digest: Digest;
  /** `unknown`: an index says nothing of its type. */
  readonly kind: 'blob' | 'manifest' | 'unknown';
  /** Its content may be somewhere else (image-spec, layer.md, "Non-distributable Layers"). */
  readonly isForeign: boolean;
}

/**
 * Reads a manifest as a registry that keeps it has to: everything that it names is known afterwards, so that nothing of it is
 * collected. Hence only the four current types are taken.
 *
 * In pieces, as {@link readManifest}.
 *
 * @param contentType the `Content-Type` that it was sent with; where it says nothing, the manifest itself decides
 * @throws {OciError} MANIFEST_INVALID, with what was found
 */
export function* readPushedManifest(bytes: Buffer, contentType: string | undefined): Pieces<PushedManifest> {
  const given = stripParameters(contentType ?? '');
  const mediaType = isGenericType(given) ? yield* detectType(bytes) : given;
  if (!isManifestType(mediaType)) {
    throw invalid(`its type ${JSON.stringify(mediaType.slice(0, 200))} is none that this registry takes (${TAKEN})`);
  }
  if (mediaType === MEDIA_TYPES.dockerManifestV1 || mediaType === MEDIA_TYPES.dockerManifestV1Signed) {
    throw invalid('it is of schema version 1, which no current client pulls; push it with a current client');
  }
  const manifest = yield* readManifest(bytes, mediaType);
  const { json, subject } = manifest;
  if (json['schemaVersion'] !== 2) throw invalid('its "schemaVersion" is not 2');
  if (isPresent(json['mediaType']) && json['mediaType'] !== mediaType) {
    throw invalid(`it was sent as ${mediaType} but calls itself ${String(json['mediaType']).slice(0, 200)}`);
  }
  return {
    mediaType,
    references: yield* referencesOf(manifest),
    subject: subject?.digest,
    artifactType: artifactTypeOf(json, mediaType),
    annotations: annotationsOf(json),
  };
}

const TAKEN = 'OCI image manifest and image index, Docker image manifest 2.2 and manifest list';

function* detectType(bytes: Buffer): Pieces<string> {
  // A body that is no manifest gets its own message from readManifest.
  if (bytes.length > MAX_MANIFEST_BYTES) return MEDIA_TYPES.ociManifest;
  let json: unknown;
  try {
    json = yield* parseBoundedJsonInPieces(bytes);
  } catch {
    return MEDIA_TYPES.ociManifest;
  }
  if (!isObject(json)) return MEDIA_TYPES.ociManifest;
  const own = json['mediaType'];
  if (typeof own === 'string' && own !== '') return own;
  if (json['schemaVersion'] === 1) return MEDIA_TYPES.dockerManifestV1;
  return isPresent(json['manifests']) ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest;
}

function* referencesOf({ json, kind, blobs, manifests }: ReadManifest): Pieces<readonly ManifestReference[]> {
  const foreign = kind === 'image' ? foreignIn(json) : new Set<unknown>();
  const references = new Map<Digest, ManifestReference>();
  const add = (digest: Digest, named: ManifestReference['kind'], isForeign: boolean): void => {
    if (!references.has(digest)) references.set(digest, { digest, kind: named, isForeign });
  };
  yield* mapInPieces(blobs, ({ digest, mediaType }) =>
    add(digest, 'blob', foreign.has(digest) || FOREIGN.test(mediaType)),
  );
  yield* mapInPieces(manifests, (child) => add(child.digest, kindOfChild(child), false));
  return [...references.values()];
}

/** BuildKit's index of a cache lists layers. */
function kindOfChild({ mediaType }: Descriptor): ManifestReference['kind'] {
  const type = stripParameters(mediaType);
  if (isManifestType(type)) return 'manifest';
  return isGenericType(type) ? 'unknown' : 'blob';
}

const FOREIGN =
  /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1\.|docker\.image\.rootfs\.foreign\.diff\.)/i;

/** The digests of layers that say where else they are. */
function foreignIn(json: JsonObject): ReadonlySet<unknown> {
  const layers = Array.isArray(json['layers']) ? json['layers'] : [];
  const foreign = layers.filter((each) => isObject(each) && Array.isArray(each['urls']) && each['urls'].length > 0);
  return new Set(foreign.map((each: JsonObject) => each['digest']));
}

function artifactTypeOf(json: JsonObject, mediaType: string): string | undefined {
  const own = json['artifactType'];
  if (isPresent(own) && typeof own !== 'string') throw invalid('"artifactType" is not text');
  if (typeof own === 'string' && own !== '') return own;
  if (isIndexType(mediaType)) return undefined;
  const config = json['config'];
  const type = isObject(config) ? config['mediaType'] : undefined;
  return typeof type === 'string' && type !== '' ? type : undefined;
}

function annotationsOf(json: JsonObject): Readonly<Record<string, string>> | undefined {
  const annotations = json['annotations'];
  if (!isPresent(annotations)) return undefined;
  if (!isObject(annotations) || Object.values(annotations).some((value) => typeof value !== 'string')) {
    throw invalid('"annotations" are not names with texts');
  }
  return annotations as Readonly<Record<string, string>>;
}
