/**
 * Blob files: ingested, committed, opened, quarantined.
 *
 * It hashes only what it copies from another store, and never decides which blob is kept.
 */
import type { BlobSource } from './blob-store.ts';

export type {
  BlobSource,
  BlobStore,
  CopyOptions,
  CopyOutcome,
  DirectFile,
  Ingestion,
  KeptPartial,
  LinkableBlobStore,
  LinkOutcome,
  NamedIngestion,
  PartialFlush,
  PartialIngestion,
  PartialStore,
  ReopenedIngestion,
  ReopenedPartial,
  ResumableBlobStore,
  ResumableIngestion,
  StoredBlob,
  UnknownFiles,
} from './blob-store.ts';
export { isIngestionName, MAX_NOTE_BYTES, MAX_PARTIAL_NOTE_BYTES, requireNamed, requireShort } from './blob-store.ts';
export { openFilesystemBlobStore } from './filesystem.ts';
export { freeSpace } from './free-space.ts';
export { openSpoolBlobStore, removeSpool } from './spool.ts';

/** {@link import('./hosted.ts').openHostedBlobStore}, loaded when it is called: a server that hosts nothing never does. */
export const openHostedBlobStore: typeof import('./hosted.ts').openHostedBlobStore = async (...args) =>
  (await import('./hosted.ts')).openHostedBlobStore(...args);

/** {@link import('./hosted.ts').readHostedBlobs}, loaded when it is called. */
export const readHostedBlobs = async (directory: string): Promise<BlobSource> =>
  (await import('./hosted.ts')).readHostedBlobs(directory);
