import { join } from 'node:path';
import { inTurns } from '../../lib/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  isRepositoryName,
  MAX_MANIFEST_BYTES,
  type PushedManifest,
  type Repository,
  readPushedManifest,
} from '../../oci/index.ts';
import type { BlobSource, HostedBlob, HostedStore, NewManifest, ResumableBlobStore } from '../../store/index.ts';
import { INDEX, LayoutBlobs, layoutsIn, listLayouts, readBounded } from './layout-files.ts';
import { type LayoutManifest, type LayoutTag, parseIndex, type ReadIndex } from './layout-index.ts';
import { layoutName } from './name.ts';

export interface RebuildOptions {
  /** Of hosted content; the layouts are in its `repositories/`. */
  readonly directory: string;
  /** Empty. */
  readonly records: HostedStore;
  /** Of hosted content: what it has lost and a layout still has, it gets back. */
  readonly store: ResumableBlobStore;
  /** Told of each repository when it is done, and of each thing that cannot be restored. */
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since 1970. @default the clock */
  readonly now?: (() => number) | undefined;
}

export type RebuildProgress =
  | ({ readonly kind: 'repository'; readonly repository: Repository } & RebuiltCounts)
  | { readonly kind: 'problem'; readonly file: string; readonly reason: string };

interface RebuiltCounts {
  readonly manifests: number;
  readonly blobs: number;
  readonly tags: number;
}

export interface RebuildReport extends RebuiltCounts {
  readonly repositories: number;
  readonly problems: number;
}

/** Bytes of an `index.json`: some hundred thousand descriptors. */
const MAX_INDEX_BYTES = 128 * 1024 * 1024;

/** Who moved the tags, for their history: the layouts do not say. */
const BY = 'rebuild';

/** The digest of no bytes, which a repository has for a moment that had nothing. */
const NOTHING = digestOf(Buffer.alloc(0));

/**
 * Fills empty records from the OCI layouts of the repositories: their blobs, manifests and tags, with the times of the pushes. Lost are the
 * history of the tags, who pushed, and what was not written yet when the records were lost.
 *
 * A manifest is restored where its bytes have its digest; a blob where its file is there, with its size, and it is hashed where the store
 * has lost it. Everything counts as used now, so that nothing is collected before it was seen. What cannot be restored is reported with
 * its file and the reason, and nothing is ever deleted.
 *
 * @throws {Error} where the records are not empty; the signal's reason; what the records and the disk throw. The records then have a part:
 * a caller that wants all or nothing gives records of a new file.
 */
export async function rebuildRecords(options: RebuildOptions): Promise<RebuildReport> {
  const { directory, records, onProgress = () => {}, signal } = options;
  if ((await records.totals()).repositories > 0) {
    throw new Error(
      'Cannot rebuild the records of hosted repositories as they are not empty. Move them elsewhere first',
    );
  }
  const report = { repositories: 0, manifests: 0, blobs: 0, tags: 0, problems: 0 };
  const tell = (progress: RebuildProgress): void => {
    if (progress.kind === 'problem') report.problems += 1;
    else {
      report.repositories += 1;
      for (const each of ['manifests', 'blobs', 'tags'] as const) report[each] += progress[each];
    }
    onProgress(progress);
  };
  for (const { name, isLayout } of await listLayouts(directory)) {
    signal?.throwIfAborted();
    const path = join(layoutsIn(directory), name);
    if (isLayout) await new RepositoryRebuild(path, { ...options, tell }).run(name);
    else tell({ kind: 'problem', file: path, reason: `it is no directory with an ${INDEX}` });
  }
  return report;
}

interface RepositoryRebuildOptions extends RebuildOptions {
  readonly tell: (progress: RebuildProgress) => void;
}

/** The rebuild of one repository from its layout. */
class RepositoryRebuild {
  readonly #path: string;
  readonly #blobs: LayoutBlobs;
  readonly #options: RepositoryRebuildOptions;
  readonly #now: number;

  constructor(path: string, options: RepositoryRebuildOptions) {
    this.#path = path;
    this.#blobs = new LayoutBlobs(path);
    this.#options = options;
    this.#now = (options.now ?? Date.now)();
  }

  async run(name: string): Promise<void> {
    const { records, signal, tell } = this.#options;
    const index = await this.#readIndex(name);
    if (index === undefined) return;
    const { repository } = index;
    const manifests = new Map(index.manifests.map((manifest) => [manifest.digest, manifest]));
    let blobs = 0;
    for (const digest of (await this.#blobs.digests()).toSorted()) {
      signal?.throwIfAborted();
      if (manifests.get(digest)?.isBlob === false) continue;
      if (await this.#putBlob(repository, digest)) blobs += 1;
    }
    const restored = new Set<Digest>();
    for (const manifest of manifests.values()) {
      signal?.throwIfAborted();
      if (await this.#putManifest(repository, manifest, manifests)) restored.add(manifest.digest);
    }
    let tags = 0;
    for (const tag of index.tags) {
      if (await this.#moveTag(repository, tag, restored)) tags += 1;
    }
    // It was pushed to once, so its lists are empty lists, and not 404.
    if (!(await records.hasRepository(repository))) {
      await records.putBlob(repository, { digest: NOTHING, size: 0 }, { at: this.#now });
      await records.deleteBlob(repository, NOTHING);
    }
    tell({ kind: 'repository', repository, manifests: restored.size, blobs, tags });
  }

  async #readIndex(name: string): Promise<ReadIndex | undefined> {
    const file = join(this.#path, INDEX);
    const bytes = await readBounded(file, MAX_INDEX_BYTES);
    if (bytes === undefined) return this.#problem(file, 'it is no file');
    if (!Buffer.isBuffer(bytes)) {
      return this.#problem(file, `it has ${bytes} bytes, and at most ${MAX_INDEX_BYTES} are read`);
    }
    let index: ReadIndex;
    try {
      index = await inTurns(parseIndex(bytes.toString()));
    } catch (error) {
      return this.#problem(file, messageOf(error));
    }
    const { registry, repository } = index.repository;
    if (!isRepositoryName(repository))
      return this.#problem(file, `${JSON.stringify(repository)} is no repository's name`);
    // A copy of a layout would mix two states of one repository.
    const expected = layoutName(index.repository);
    if (expected !== name) {
      return this.#problem(file, `it is the layout of ${registry}/${repository}, whose directory is ${expected}`);
    }
    for (const problem of index.problems) this.#problem(file, problem);
    return index;
  }

  async #putBlob(repository: Repository, digest: Digest): Promise<boolean> {
    const file = this.#blobs.pathOf(digest);
    const size = await this.#secure(digest);
    if (size === undefined) return false;
    const { records } = this.#options;
    if ((await records.putBlob(repository, { digest, size }, { at: this.#now })) === 'stored') return true;
    this.#problem(file, 'the records refused it');
    return false;
  }

  async #putManifest(
    repository: Repository,
    { digest, mediaType, size, pushedAt }: LayoutManifest,
    manifests: ReadonlyMap<Digest, LayoutManifest>,
  ): Promise<boolean> {
    const { records, store } = this.#options;
    const file = this.#blobs.pathOf(digest);
    const bytes = await this.#readManifest(digest, size);
    if (typeof bytes === 'string') return this.#refused(file, bytes);
    let pushed: PushedManifest;
    try {
      pushed = await inTurns(readPushedManifest(bytes, mediaType));
    } catch (error) {
      return this.#refused(file, messageOf(error));
    }
    // Read from the store itself where the layout has lost it.
    if ((await store.stat(digest)) !== size && (await this.#secure(digest)) === undefined) return false;
    const references = await this.#referencesOf(repository, pushed, manifests);
    const { subject, artifactType } = pushed;
    // As at a push: a list of referrers is the only reader of annotations.
    const annotations = subject === undefined ? undefined : pushed.annotations;
    const manifest: NewManifest = { digest, mediaType, size, subject, artifactType, annotations, references };
    // References that are missing may never have been there (`sparse`): what is missing here is reported beside.
    const options = { at: pushedAt, by: BY, tags: [], sparse: ['blob', 'manifest'] as const };
    const { outcome } = await records.putManifest(repository, manifest, options);
    if (outcome !== 'stored') return this.#refused(file, `the records refused the manifest (${outcome})`);
    await records.useManifest(repository, digest, this.#now);
    await this.#reportMissing(repository, { file, references, manifests });
    return true;
  }

  /** The bytes of a manifest, hashed, of the layout or else of the store; or why there are none. */
  async #readManifest(digest: Digest, size: number): Promise<Buffer | string> {
    if (size > MAX_MANIFEST_BYTES) return `the manifest has ${size} bytes, and at most ${MAX_MANIFEST_BYTES} are read`;
    const inLayout = await readWhole(this.#blobs, { digest, size });
    if (Buffer.isBuffer(inLayout)) return inLayout;
    const inStore = await readWhole(this.#options.store, { digest, size });
    return Buffer.isBuffer(inStore) ? inStore : inLayout;
  }

  /** As at a push: where an index does not say what a child is, what the repository has of it decides. */
  async #referencesOf(
    repository: Repository,
    { references }: PushedManifest,
    manifests: ReadonlyMap<Digest, LayoutManifest>,
  ): Promise<NewManifest['references']> {
    const found: { digest: Digest; kind: 'blob' | 'manifest' }[] = [];
    for (const { digest, kind, isForeign } of references) {
      if (kind === 'unknown') found.push({ digest, kind: manifests.has(digest) ? 'manifest' : 'blob' });
      else if (!isForeign || (await this.#options.records.getBlob(repository, digest)) !== undefined) {
        found.push({ digest, kind });
      }
    }
    return found;
  }

  async #reportMissing(
    repository: Repository,
    {
      file,
      references,
      manifests,
    }: {
      readonly file: string;
      readonly references: NewManifest['references'];
      readonly manifests: ReadonlyMap<Digest, LayoutManifest>;
    },
  ): Promise<void> {
    for (const { digest, kind } of references) {
      const isThere =
        kind === 'manifest'
          ? manifests.has(digest)
          : (await this.#options.records.getBlob(repository, digest)) !== undefined;
      if (!isThere) this.#problem(file, `the ${kind} ${digest} that it names is missing`);
    }
  }

  async #moveTag(repository: Repository, { tag, digest, movedAt }: LayoutTag, restored: ReadonlySet<Digest>) {
    const file = join(this.#path, INDEX);
    if (!restored.has(digest)) return this.#refused(file, `the tag ${tag} points to ${digest}, which is not restored`);
    const { outcome } = await this.#options.records.moveTag(repository, { tag, digest }, { at: movedAt, by: BY });
    return outcome === 'stored' || this.#refused(file, `the records refused the tag ${tag} (${outcome})`);
  }

  /** Sees to it that the store has the file of a digest, and gives its size; undefined where neither has it right. */
  async #secure(digest: Digest): Promise<number | undefined> {
    const { store } = this.#options;
    const file = this.#blobs.pathOf(digest);
    const size = await this.#blobs.stat(digest);
    if (size === undefined) return this.#problem(file, 'it is missing');
    if ((await store.takeFrom(this.#blobs, digest)) !== undefined) return size;
    const stored = await store.stat(digest);
    return stored ?? this.#problem(file, 'it is corrupt, and the store has lost it');
  }

  #refused(file: string, reason: string): false {
    this.#problem(file, reason);
    return false;
  }

  #problem(file: string, reason: string): undefined {
    this.#options.tell({ kind: 'problem', file, reason });
    return undefined;
  }
}

/** The bytes of a manifest that is whole and right; or what is wrong. */
async function readWhole(source: BlobSource, { digest, size }: HostedBlob): Promise<Buffer | string> {
  const blob = await source.open(digest);
  if (blob === undefined) return 'the manifest is missing';
  try {
    if (blob.size !== size) return `the manifest has ${blob.size} bytes and not ${size}`;
    const bytes = Buffer.alloc(size);
    for (let position = 0; position < size; ) {
      const count = await blob.read(bytes.subarray(position), position);
      if (count === 0) return 'the manifest is cut';
      position += count;
    }
    return digestOf(bytes, digestAlgorithm(digest)) === digest
      ? bytes
      : 'the manifest is corrupt: it has another digest';
  } finally {
    await blob.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
