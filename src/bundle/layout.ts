import { type Digest, MEDIA_TYPES, parseDigest } from '../oci/index.ts';
import { BundleError } from './error.ts';

/** Annotations of the entries of `index.json`. */
export const ANNOTATIONS = {
  /** The name by which other tools find an image in a layout (image-spec, annotations.md). */
  refName: 'org.opencontainers.image.ref.name',
  /** The full name, as containerd and docker write it. */
  imageName: 'io.containerd.image.name',
  /** The repository of what has no name of its own: a referrer. */
  repository: 'io.entrepot.repository',
  /** When an upstream last confirmed the image before it was exported (RFC 3339). */
  confirmedAt: 'io.entrepot.confirmed-at',
  /** `private` where a credential was needed to fetch it. */
  visibility: 'io.entrepot.visibility',
} as const;

/** The file that has the digest of `index.json`: no digest of the layout covers the names of its images. */
export const SEAL_FILE = 'entrepot-bundle.json';
/** The file in which a delta lists what it leaves out. */
export const DELTA_FILE = 'entrepot-delta.json';
export const LAYOUT_FILE = 'oci-layout';
export const INDEX_FILE = 'index.json';

export const LAYOUT_CONTENT = '{"imageLayoutVersion":"1.0.0"}';

/** Bytes of a file of the layout that is no blob. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** One image, or one referrer, in a bundle. */
export interface BundleEntry {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** `docker.io/library/nginx:1.27`; undefined for a referrer. */
  readonly name?: string | undefined;
  /** `docker.io/library/nginx`; undefined in a bundle of another program, where the name says it. */
  readonly repository?: string | undefined;
  /** Milliseconds since 1970; undefined where the bundle does not say. */
  readonly confirmedAt?: number | undefined;
  readonly visibility: 'public' | 'private';
}

/** `index.json`: entries by name, referrers behind them by digest. */
export function formatIndex(entries: readonly BundleEntry[]): Buffer {
  const manifests = entries.map(({ digest, mediaType, size, name, repository, confirmedAt, visibility }) => ({
    mediaType,
    digest,
    size,
    annotations: {
      ...(confirmedAt === undefined ? {} : { [ANNOTATIONS.confirmedAt]: new Date(confirmedAt).toISOString() }),
      ...(repository === undefined ? {} : { [ANNOTATIONS.repository]: repository }),
      ...(visibility === 'private' ? { [ANNOTATIONS.visibility]: visibility } : {}),
      ...(name === undefined ? {} : { [ANNOTATIONS.imageName]: name, [ANNOTATIONS.refName]: name }),
    },
  }));
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests }));
}

/** @throws {BundleError} where it is no index of a layout */
export function parseIndex(json: unknown): readonly BundleEntry[] {
  const manifests = fieldOf(json, 'manifests');
  if (!Array.isArray(manifests)) throw new BundleError(`its ${INDEX_FILE} has no list of manifests`);
  if (manifests.length > MAX_ENTRIES) throw new BundleError(`its ${INDEX_FILE} has more than ${MAX_ENTRIES} images`);
  return manifests.map((entry, index) => {
    const where = `${INDEX_FILE}, entry ${index + 1}`;
    const digest = digestIn(fieldOf(entry, 'digest'), where);
    const size = fieldOf(entry, 'size');
    const mediaType = fieldOf(entry, 'mediaType');
    if (typeof mediaType !== 'string' || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw new BundleError(`${where}: it has no media type or no size`);
    }
    const annotations = fieldOf(entry, 'annotations');
    const text = (key: string): string | undefined => {
      const value = fieldOf(annotations, key);
      return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined;
    };
    const at = Date.parse(text(ANNOTATIONS.confirmedAt) ?? '');
    return {
      digest,
      mediaType,
      size,
      name: text(ANNOTATIONS.imageName) ?? fullName(text(ANNOTATIONS.refName)),
      repository: text(ANNOTATIONS.repository),
      confirmedAt: Number.isNaN(at) ? undefined : at,
      visibility: text(ANNOTATIONS.visibility) === 'private' ? 'private' : 'public',
    };
  });
}

/** Entries of one bundle, and characters of one annotation. */
const MAX_ENTRIES = 100_000;
const MAX_TEXT = 1000;

/** Many tools write a tag alone as the name; that names no repository. */
function fullName(name: string | undefined): string | undefined {
  return name?.includes('/') === true ? name : undefined;
}

export function formatSeal(index: Digest): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, index }));
}

/** @returns the digest that `index.json` has to have. @throws {BundleError} */
export function parseSeal(json: unknown): Digest {
  requireVersion(json, SEAL_FILE);
  return digestIn(fieldOf(json, 'index'), SEAL_FILE);
}

function requireVersion(json: unknown, file: string): void {
  if (fieldOf(json, 'version') === 1) return;
  throw new BundleError(`its ${file} is damaged, or of a newer release; copy it again, or import it with that release`);
}

/** What a delta leaves out, since an earlier bundle has it. */
export function formatDelta(omitted: readonly Digest[]): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, omitted }));
}

/** @throws {BundleError} */
export function parseDelta(json: unknown): readonly Digest[] {
  requireVersion(json, DELTA_FILE);
  const omitted = fieldOf(json, 'omitted');
  if (!Array.isArray(omitted)) throw new BundleError(`its ${DELTA_FILE} has no list of blobs`);
  return omitted.map((each) => digestIn(each, DELTA_FILE));
}

function digestIn(value: unknown, where: string): Digest {
  const digest = typeof value === 'string' ? parseDigest(value) : undefined;
  if (digest === undefined)
    throw new BundleError(`${where}: it has no sha256 or sha512 digest; copy or export it again`);
  return digest;
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

const BLOB_PATH = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/;

/** The digest of a path in a layout; undefined for any other path. */
export function digestOfPath(path: string): Digest | undefined {
  const [, algorithm = '', hex = ''] = BLOB_PATH.exec(path) ?? [];
  return parseDigest(`${algorithm}:${hex}`);
}

export function pathOfDigest(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`;
}
