/**
 * The metadata database: tags, their moves, holds and pins, repository blobs, blob rows, URL records, and its backups.
 *
 * Each operation is a whole; it never offers a transaction. It never opens a blob file.
 */

export { MemoryMetadataStore } from './memory.ts';
export {
  type BlobRecord,
  type FoundRepositories,
  type HoldEntry,
  MAX_HOLDS,
  MAX_PINS,
  MAX_TAG_MOVES,
  MAX_URLS_PER_BLOB,
  type MemberRecord,
  type MetadataStore,
  type NotedMember,
  type Page,
  type PinEntry,
  type PublicRecord,
  type ReadBlobRecord,
  type RepositorySearch,
  type TagEntry,
  type TagHold,
  type TagMove,
  type TagPin,
  type TagRecord,
  type UrlEntry,
  type UrlName,
  type UrlRecord,
} from './metadata-store.ts';
export { openRecoveringMetadataStore } from './recovering.ts';
export { SEARCH_STATEMENTS, searchList, searchTable } from './repository-search.ts';
export { openSqliteMetadataStore } from './sqlite.ts';
