/**
 * Blob files: ingested, committed, opened, quarantined.
 *
 * It never hashes, and never decides which blob is kept.
 */
export type {
  BlobStore,
  DirectFile,
  Ingestion,
  NamedIngestion,
  ReopenedIngestion,
  ResumableBlobStore,
  ResumableIngestion,
  StoredBlob,
  UnknownFiles,
} from './blob-store.ts';
export { isIngestionName, MAX_NOTE_BYTES, requireNamed } from './blob-store.ts';
export { openFilesystemBlobStore } from './filesystem.ts';
export { freeSpace } from './free-space.ts';
export { openSpoolBlobStore, removeSpool } from './spool.ts';
