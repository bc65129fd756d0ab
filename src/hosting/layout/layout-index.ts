import { mapInPieces, type Pieces } from '../../lib/index.ts';
import { type Digest, isTag, MEDIA_TYPES, parseDigest, type Repository } from '../../oci/index.ts';
import type { HostedManifest, HostedTag } from '../../store/index.ts';

/*
 * The index.json of an OCI image layout (image-spec, image-layout.md): an image index with a descriptor for each tag, which is the
 * annotation org.opencontainers.image.ref.name, and one for each manifest without tags. What a rebuild needs besides is in annotations
 * of this program's own. What the bytes of a manifest say is not repeated.
 */

/** The tag of a descriptor (image-spec, annotations.md). */
const TAG = 'org.opencontainers.image.ref.name';

/** Of the index: which repository it is. */
const REGISTRY = 'io.entrepot.registry';
const REPOSITORY = 'io.entrepot.repository';

/** Of a descriptor: when its manifest was pushed, when its tag came to point to it; RFC 3339, to the millisecond. */
const PUSHED_AT = 'io.entrepot.pushed-at';
const MOVED_AT = 'io.entrepot.moved-at';

/** Of a descriptor: its bytes were uploaded as a blob as well. */
const IS_BLOB = 'io.entrepot.is-blob';

/** What the layout of a repository holds, beside its blobs. */
export interface LayoutContent {
  readonly repository: Repository;
  /** In the order of their digests. */
  readonly manifests: readonly LayoutManifest[];
  /** Of these manifests, in the order of their names. */
  readonly tags: readonly LayoutTag[];
}

export interface LayoutManifest extends Pick<HostedManifest, 'digest' | 'mediaType' | 'size' | 'pushedAt'> {
  /** What a list of referrers gives; for other programs, a rebuild reads it from the bytes. */
  readonly artifactType?: string | undefined;
  /** Whether the repository has it as a blob as well. */
  readonly isBlob: boolean;
}

export type LayoutTag = Pick<HostedTag, 'tag' | 'digest' | 'movedAt'>;

/** Writes an `index.json`; the same for the same content, byte for byte. */
export function* formatIndex({ repository, manifests, tags }: LayoutContent): Pieces<string> {
  const byDigest = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
  const tagged = new Set<Digest>();
  const ofTags = yield* mapInPieces(tags, ({ tag, digest, movedAt }) => {
    const manifest = byDigest.get(digest);
    if (manifest === undefined) return undefined;
    tagged.add(digest);
    return JSON.stringify(descriptorOf(manifest, { [TAG]: tag, [MOVED_AT]: timeText(movedAt) }));
  });
  const others = yield* mapInPieces(manifests, (manifest) =>
    tagged.has(manifest.digest) ? undefined : JSON.stringify(descriptorOf(manifest, {})),
  );
  const descriptors = [...ofTags, ...others].filter((each) => each !== undefined);
  const annotations = { [REGISTRY]: repository.registry, [REPOSITORY]: repository.repository };
  const head = `"schemaVersion":2,"mediaType":${JSON.stringify(MEDIA_TYPES.ociIndex)}`;
  return `{${head},"manifests":[\n${descriptors.join(',\n')}\n],"annotations":${JSON.stringify(annotations)}}\n`;
}

function descriptorOf(
  { digest, mediaType, size, pushedAt, artifactType, isBlob }: LayoutManifest,
  more: Readonly<Record<string, string>>,
): object {
  const annotations = { ...more, [PUSHED_AT]: timeText(pushedAt), ...(isBlob ? { [IS_BLOB]: 'true' } : {}) };
  return { mediaType, digest, size, ...(artifactType === undefined ? {} : { artifactType }), annotations };
}

/** What an `index.json` says, and what of it makes no sense. */
export interface ReadIndex extends LayoutContent {
  readonly problems: readonly string[];
}

/**
 * Reads an `index.json`. A descriptor that makes no sense is a problem, and the others count.
 *
 * @throws {Error} where it is not the index of a repository of this program
 */
export function* parseIndex(text: string): Pieces<ReadIndex> {
  const { manifests: entries, annotations } = jsonObject(text);
  const repository = repositoryIn(annotations);
  if (!Array.isArray(entries)) throw new Error('"manifests" is not a list');
  const manifests = new Map<Digest, LayoutManifest>();
  const tags = new Map<string, LayoutTag>();
  const problems: string[] = [];
  yield* mapInPieces(entries as readonly unknown[], (entry, at) => {
    const read = readDescriptor(entry);
    if (typeof read === 'string') {
      problems.push(`manifests[${at}]: ${read}`);
      return;
    }
    const { manifest, tag } = read;
    const before = manifests.get(manifest.digest);
    if (before !== undefined && (before.size !== manifest.size || before.mediaType !== manifest.mediaType)) {
      problems.push(`manifests[${at}]: it describes ${manifest.digest} in another way than before`);
      return;
    }
    manifests.set(manifest.digest, before ?? manifest);
    if (tag === undefined) return;
    if (tags.has(tag.tag)) problems.push(`manifests[${at}]: it is another descriptor for the tag ${tag.tag}`);
    else tags.set(tag.tag, tag);
  });
  return { repository, manifests: [...manifests.values()], tags: [...tags.values()], problems };
}

function jsonObject(text: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Error('it is not JSON', { cause });
  }
  if (!isObject(json)) throw new Error('it is not a JSON object');
  return json;
}

function repositoryIn(annotations: unknown): Repository {
  const { [REGISTRY]: registry, [REPOSITORY]: repository } = isObject(annotations) ? annotations : {};
  if (typeof registry === 'string' && typeof repository === 'string') return { registry, repository };
  throw new Error(`it has no annotations ${REGISTRY} and ${REPOSITORY}, by which a repository is known`);
}

function readDescriptor(
  entry: unknown,
): { readonly manifest: LayoutManifest; readonly tag: LayoutTag | undefined } | string {
  if (!isObject(entry)) return 'it is not an object';
  const { mediaType, size, artifactType } = entry;
  const digest = typeof entry['digest'] === 'string' ? parseDigest(entry['digest']) : undefined;
  if (digest === undefined) return 'it has no sha256 or sha512 digest';
  if (typeof mediaType !== 'string' || mediaType === '') return 'it has no media type';
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return 'it has no size';
  const annotations = isObject(entry['annotations']) ? entry['annotations'] : {};
  const pushedAt = timeIn(annotations[PUSHED_AT]);
  if (pushedAt === undefined) return `it has no time ${PUSHED_AT}`;
  const manifest: LayoutManifest = {
    digest,
    mediaType,
    size,
    pushedAt,
    isBlob: annotations[IS_BLOB] === 'true',
    artifactType: typeof artifactType === 'string' ? artifactType : undefined,
  };
  const tag = annotations[TAG];
  if (tag === undefined) return { manifest, tag: undefined };
  if (typeof tag !== 'string' || !isTag(tag)) return `its annotation ${TAG} is not a tag`;
  return { manifest, tag: { tag, digest, movedAt: timeIn(annotations[MOVED_AT]) ?? pushedAt } };
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function timeIn(text: unknown): number | undefined {
  const time = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
