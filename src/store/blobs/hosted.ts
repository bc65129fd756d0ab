import { ConcurrencyLimit } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import { createDirectory, createDurableDirectories, DirectoryError } from '../directory/index.ts';
import {
  type BlobSource,
  type CopyOptions,
  type CopyOutcome,
  type HostedBlobSize,
  type LinkableBlobStore,
  type LinkOutcome,
  MAX_NOTE_BYTES,
  type NamedIngestion,
  type ReopenedIngestion,
  type ResumableIngestion,
  requireNamed,
} from './blob-store.ts';
import { ALGORITHMS, FilesystemBlobStore, type FilesystemStoreOptions } from './filesystem.ts';
import { removePartialFiles } from './ingest-file.ts';
import { type Layout, layoutOf, NAMED_NAME, NOTE_DRAFT_NAME, NOTE_NAME } from './layout.ts';
import { NamedFiles, type NamedKind, tidyNamedFiles } from './named-files.ts';
import { BlobPlaces, linkOver } from './places.ts';
import { HOSTED_TOP } from './unknown-files.ts';
import { copyBytes, VerifiedCopy } from './verified-copy.ts';

/** Corrupt blobs of hosted content are all kept: there may be no other copy, and each was there before it was moved. */
const QUARANTINE = { files: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

/** The files of uploads. */
const UPLOADS: NamedKind = {
  name: NAMED_NAME,
  noteName: NOTE_NAME,
  draftName: NOTE_DRAFT_NAME,
  key: 'entrepot-upload',
  most: MAX_NOTE_BYTES,
};

/** Copies at the same time, each with one buffer. */
const COPIES = 2;

/**
 * Opens the blob store of hosted content in a directory, creating it if missing. It removes the partial files of a killed
 * process, and never a named file. The caller holds the lock of the cache directory around it (`lockDirectory`).
 *
 * Throws {@link DirectoryError} where the directory is unusable. Later disk failures (ENOSPC, EIO) reject with the system's own
 * errors.
 *
 * @param options `onUnknown` is told of files that this program did not create: they are left, or moved aside, and never deleted
 */
export async function openHostedBlobStore(
  directory: string,
  { onUnknown = () => {} }: { readonly onUnknown?: (message: string) => void } = {},
): Promise<LinkableBlobStore> {
  const layout = layoutOf(directory);
  const { blobs, ingest, uploads, quarantine } = layout;
  await createDirectory(directory);
  try {
    const algorithms = ALGORITHMS.map((each) => layout.algorithm(each));
    await createDurableDirectories([blobs, ingest, uploads, quarantine, ...algorithms]);
    const left = [
      { place: ingest, count: await removePartialFiles(ingest) },
      { place: uploads, count: await tidyNamedFiles(uploads, UPLOADS) },
    ];
    for (const { place, count } of left) {
      if (count === 0) continue;
      onUnknown(`${place} holds files of another program (${count}), which are left there. Move them elsewhere.`);
    }
  } catch (error) {
    throw new DirectoryError(directory, error);
  }
  const places = new BlobPlaces(layout, onUnknown);
  return new HostedBlobStore(directory, { layout, places, quarantine: QUARANTINE, known: HOSTED_TOP });
}

/**
 * The blobs in a directory of hosted content, to be read beside the server that owns it, or from a medium that cannot be written to.
 * Nothing is created or removed there.
 */
export function readHostedBlobs(directory: string): BlobSource {
  const layout = layoutOf(directory);
  const places = new BlobPlaces(layout, () => {});
  return new FilesystemBlobStore(directory, { layout, places, quarantine: QUARANTINE, known: HOSTED_TOP });
}

class HostedBlobStore extends FilesystemBlobStore implements LinkableBlobStore {
  readonly #layout: Layout;
  readonly #places: BlobPlaces;
  readonly #named: NamedFiles;
  readonly #copies = new ConcurrencyLimit(COPIES);
  readonly #verifiedCopy: VerifiedCopy;

  constructor(directory: string, options: FilesystemStoreOptions) {
    super(directory, options);
    this.#layout = options.layout;
    this.#places = options.places;
    this.#named = new NamedFiles(options.layout.uploads, UPLOADS, (file, path, digest) =>
      options.places.publish(file, path, digest),
    );
    this.#verifiedCopy = new VerifiedCopy({
      begin: () => this.begin(),
      newDraft: () => options.layout.newIngest(),
      publish: (file, path, digest) => options.places.publish(file, path, digest),
    });
  }

  async beginNamed(name: string, note: string): Promise<ResumableIngestion> {
    requireNamed(name, note);
    return this.#named.begin(name, note);
  }

  reopen(name: string): Promise<ReopenedIngestion | undefined> {
    return this.#named.reopen(name);
  }

  listNamed(): Promise<readonly NamedIngestion[]> {
    return this.#named.list();
  }

  linkTo(digest: Digest, path: string): Promise<LinkOutcome> {
    return linkOver(this.pathOf(digest), path, this.#layout.newIngest());
  }

  async copyFrom(source: BlobSource, blob: HostedBlobSize, options: CopyOptions = {}): Promise<CopyOutcome> {
    if ((await this.stat(blob.digest)) === blob.size) return 'present';
    const path = source instanceof FilesystemBlobStore ? source.pathOf(blob.digest) : undefined;
    return this.#verifiedCopy.run(source, { ...blob, path }, options);
  }

  async takeFrom(source: BlobSource, digest: Digest): Promise<number | undefined> {
    const size = await source.stat(digest);
    if (size === undefined) return undefined;
    const present = await this.stat(digest);
    if (present === size) return size;
    // Where there is one of another size, one of the two is damaged: the copy is hashed.
    if (present === undefined && source instanceof FilesystemBlobStore) {
      const linked = await this.#places.link(source.pathOf(digest), digest);
      if (linked !== undefined) return linked;
    }
    return this.#copies.run(() => this.#copyFrom(source, digest));
  }

  async #copyFrom(source: BlobSource, digest: Digest): Promise<number | undefined> {
    const blob = await source.open(digest);
    if (blob === undefined) return undefined;
    try {
      const ingestion = await this.begin();
      try {
        const { size, digest: found } = await copyBytes(blob, { digest, write: ingestion.write.bind(ingestion) });
        if (found !== digest) return undefined;
        await ingestion.commit(digest);
        return size;
      } finally {
        await ingestion.close();
      }
    } finally {
      await blob.close();
    }
  }
}
