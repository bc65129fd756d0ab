/**
 * The metadata database: tags, repository blobs, blob rows, URL records, and its backups.
 *
 * It offers whole operations and never a transaction. It never opens a blob file.
 */

export { MemoryNameStore } from './memory.ts';
export {
  type BlobRecord,
  MAX_URLS_PER_BLOB,
  type MemberRecord,
  type NameStore,
  type ReadBlobRecord,
  type TagEntry,
  type TagRecord,
  type UrlEntry,
  type UrlName,
  type UrlRecord,
} from './metadata-store.ts';
export { openResilientNameStore } from './resilient.ts';
export { openSqliteNameStore } from './sqlite.ts';
