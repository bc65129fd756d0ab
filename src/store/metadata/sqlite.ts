import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { backup, DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crashPoint } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import { DirectoryError, fullDisk } from '../directory/index.ts';
import { isFullDisk, SQLITE, sqliteCode } from '../sqlite-error.ts';
import { migrate, transact } from '../sqlite-migration.ts';
import { MetadataCorruptError, MetadataVersionError } from './error.ts';
import { sizesOf } from './files.ts';
import {
  type BlobRecord,
  type Footprint,
  type FoundRepositories,
  type HoldEntry,
  type LastRead,
  type ListTagsOptions,
  type ListUrlsOptions,
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
import { searchTable } from './repository-search.ts';
import { type Row, RowReader, repositoryOf, urlNameOf } from './rows.ts';
import { MIGRATIONS, STATEMENTS } from './schema.ts';
import { beginDatabase, giveBackPages, isShrinkable, rewriteSmall, usedBytes } from './space.ts';

/**
 * Milliseconds a statement waits for another process' lock, while the event loop is blocked. This process owns the file, so
 * only an operator's own `sqlite3` can hold one.
 */
const BUSY_TIMEOUT = 500;

/** Rows that one transaction adds: a few milliseconds, after which the event loop turns. */
const PIECE = 128;

/** Pages of 4 KiB that a backup copies per step: about a millisecond. */
const BACKUP_PAGES = 256;

type Statements = { readonly [K in keyof typeof STATEMENTS]: StatementSync };

/** Comes before every repository in the order of the tables. */
const NO_REPOSITORY: Repository = { registry: '', repository: '' };

/**
 * Opens the metadata database, creating it it if missing and migrating an older version. The cost does not grow with the size of
 * the database.
 *
 * A power cut may undo the latest transactions, but never a part of one; the cache asks the upstreams again.
 *
 * Throws {@link MetadataCorruptError} where the file is damaged, {@link MetadataVersionError} where a newer release wrote it, and
 * {@link DirectoryError} where the disk is too full to make or migrate it. Any operation may reject with MetadataCorruptError later, since opening does not read every page.
 */
export async function openSqliteMetadataStore(file: string): Promise<SqliteMetadataStore> {
  // SQLite would create it readable by all users. Its other files (-wal, -shm) get the mode of this one.
  const created = await open(file, 'a', 0o600);
  await created.close();
  try {
    try {
      return openDatabase(file, 'NORMAL');
    } catch (error) {
      if (!isFullDisk(error)) throw error;
      return openDatabase(file, 'EXCLUSIVE');
    }
  } catch (error) {
    throw isFullDisk(error) ? new DirectoryError(dirname(file), fullDisk(error)) : explain(error, file);
  }
}

/**
 * @param locking `EXCLUSIVE` keeps the index of the log in memory instead of a file of 32 KiB, so that a database can be read
 *   on a disk without a free byte. No other program can read it until it is closed.
 */
function openDatabase(file: string, locking: 'NORMAL' | 'EXCLUSIVE'): SqliteMetadataStore {
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
  try {
    // Before the first access, which would make that file.
    database.exec(`PRAGMA locking_mode = ${locking}`);
    // Then: it refuses the databases of other programs, and the next statement would change them.
    migrateMetadata(database, file);
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;         -- fsync at a checkpoint only; see the docstring
      PRAGMA wal_autocheckpoint = 1000;    -- pages
      PRAGMA journal_size_limit = 4194304; -- bytes, as many pages; a log grown by one large transaction shrinks again
      PRAGMA cache_size = -8192;           -- KiB; the kernel caches the rest
    `);
    const statements = prepare(database, file);
    rewriteSmall(database);
    return new SqliteMetadataStore(database, file, statements);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A {@link MetadataStore} in a file. Made by {@link openSqliteMetadataStore}. */
export class SqliteMetadataStore implements MetadataStore {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #statements: Statements;
  readonly #read: RowReader;
  #maxRowBytes = Number.POSITIVE_INFINITY;

  constructor(database: DatabaseSync, file: string, statements: Statements) {
    this.#database = database;
    this.#file = file;
    this.#statements = statements;
    this.#read = new RowReader(file);
  }

  async getTag({ registry, repository }: Repository, tag: string): Promise<TagRecord | undefined> {
    const row = this.#row('getTag', registry, repository, tag);
    return row && this.#read.tag(row);
  }

  async putTag({ registry, repository }: Repository, tag: string, record: TagRecord): Promise<void> {
    const mayAdd = this.#mayAdd();
    if (!mayAdd && this.#row('getTag', registry, repository, tag) === undefined) return;
    const { digest, mediaType, size, checkedAt, upstream, visibility } = record;
    const put = (): void => {
      this.#change('putTag', registry, repository, tag, digest, mediaType, size, checkedAt, upstream, visibility);
    };
    const last = this.#row('lastMove', registry, repository, tag);
    if (!mayAdd || last?.['digest'] === digest) return put();
    const number = Number(last?.['number'] ?? 0) + 1;
    const move = [number, digest, mediaType, size, checkedAt, upstream, visibility];
    this.#transact(() => {
      put();
      this.#change('putMove', registry, repository, tag, ...move);
      this.#change('trimMoves', registry, repository, tag, number - MAX_TAG_MOVES);
    });
  }

  async deleteTag({ registry, repository }: Repository, tag: string): Promise<boolean> {
    return this.#change('deleteTag', registry, repository, tag);
  }

  async listTags({ repository: only, after, limit }: ListTagsOptions): Promise<readonly TagEntry[]> {
    const { registry, repository } = only ?? after?.repository ?? NO_REPOSITORY;
    const statement = only === undefined ? 'listTags' : 'listTagsOf';
    return this.#rows(statement, registry, repository, after?.tag ?? '', limit).map((row) => ({
      repository: repositoryOf(row),
      tag: row['tag'] as string,
      record: this.#read.tag(row),
    }));
  }

  async listMoves({ registry, repository }: Repository, tag: string): Promise<readonly TagMove[]> {
    return this.#rows('listMoves', registry, repository, tag).map((row) => ({
      ...this.#read.pointed(row),
      seenAt: row['seen_at'] as number,
    }));
  }

  async putHold({ registry, repository }: Repository, tag: string, hold: TagHold): Promise<boolean> {
    const isNew = this.#row('getHold', registry, repository, tag) === undefined;
    if (isNew && Number(this.#row('countHolds')?.['holds']) >= MAX_HOLDS) return false;
    const { digest, mediaType, size, upstream, visibility, heldAt, until, reason } = hold;
    const row = [digest, mediaType, size, upstream, visibility, heldAt, until ?? null, reason];
    return this.#change('putHold', registry, repository, tag, ...row);
  }

  async deleteHold({ registry, repository }: Repository, tag: string): Promise<boolean> {
    return this.#change('deleteHold', registry, repository, tag);
  }

  async listHolds(): Promise<readonly HoldEntry[]> {
    return this.#rows('listHolds').map((row) => ({
      repository: repositoryOf(row),
      tag: row['tag'] as string,
      hold: {
        ...this.#read.pointed(row),
        heldAt: row['held_at'] as number,
        until: (row['until'] as number | null) ?? undefined,
        reason: row['reason'] as string,
      },
    }));
  }

  async putPin({ registry, repository }: Repository, tag: string, { pinnedAt }: TagPin): Promise<boolean> {
    const isNew = this.#row('getPin', registry, repository, tag) === undefined;
    if (isNew && Number(this.#row('countPins')?.['pins']) >= MAX_PINS) return false;
    return this.#change('putPin', registry, repository, tag, pinnedAt);
  }

  async deletePin({ registry, repository }: Repository, tag: string): Promise<boolean> {
    return this.#change('deletePin', registry, repository, tag);
  }

  async listPins(): Promise<readonly PinEntry[]> {
    return this.#rows('listPins').map((row) => ({
      repository: repositoryOf(row),
      tag: row['tag'] as string,
      pin: { pinnedAt: row['pinned_at'] as number },
    }));
  }

  async getMember({ registry, repository }: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    const row = this.#row('getMember', registry, repository, digest);
    return row && this.#read.member(row);
  }

  async putMembers({ registry, repository }: Repository, members: readonly MemberRecord[]): Promise<void> {
    // In the order of the table, neighbours lie on the same page: a piece changes a few pages instead of one for each row.
    const ordered = members.length > PIECE ? members.toSorted(byDigest) : members;
    for (let first = 0; first < ordered.length; first += PIECE) {
      if (first > 0) await nextTurn();
      const mayAdd = this.#mayAdd();
      this.#transact(() => {
        for (const { digest, kind, mediaType, size, visibility, transient } of ordered.slice(first, first + PIECE)) {
          if (!mayAdd && this.#row('getMember', registry, repository, digest) === undefined) continue;
          const row = [digest, kind, mediaType, size ?? null, visibility, transient === true ? 1 : 0];
          this.#change('putMember', registry, repository, ...row);
        }
      });
    }
  }

  async deleteMember({ registry, repository }: Repository, digest: Digest): Promise<boolean> {
    return this.#change('deleteMember', registry, repository, digest);
  }

  async deleteMembers({ registry, repository }: Repository, digests: readonly Digest[]): Promise<void> {
    this.#transact(() => {
      for (const digest of digests) this.#change('deleteMember', registry, repository, digest);
    });
  }

  async listMembers(of: Repository, { after, limit }: Page<Digest>): Promise<readonly MemberRecord[]> {
    const rows = this.#rows('listMembers', of.registry, of.repository, after ?? '', limit);
    return rows.map((row) => this.#read.member(row));
  }

  async listRepositories({ after = NO_REPOSITORY, limit }: Page<Repository>): Promise<readonly Repository[]> {
    return this.#rows('listRepositories', after.registry, after.repository, limit).map(repositoryOf);
  }

  searchRepositories(search: RepositorySearch): Promise<FoundRepositories> {
    return searchTable(search, {
      endOfPiece: (...from) => {
        const row = this.#row('endOfPiece', ...from);
        return row && repositoryOf(row);
      },
      search: (...values) => this.#rows('searchRepositories', ...values).map(repositoryOf),
    });
  }

  async countTags(repositories: readonly Repository[], most: number): Promise<readonly number[]> {
    const counts: number[] = [];
    for (const { registry, repository } of repositories) {
      if (counts.length > 0 && counts.length % PIECE === 0) await nextTurn();
      counts.push(Number(this.#row('countTags', registry, repository, most)?.['tags']));
    }
    return counts;
  }

  async repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]> {
    return this.#rows('repositoriesOf', digest, limit).map(repositoryOf);
  }

  async getPublic({ registry, repository }: Repository): Promise<PublicRecord | undefined> {
    const row = this.#row('getPublic', registry, repository);
    return row && { checkedAt: row['checked_at'] as number, upstreams: row['upstreams'] as string };
  }

  async putPublic({ registry, repository }: Repository, { checkedAt, upstreams }: PublicRecord): Promise<boolean> {
    if (!this.#mayAdd() && this.#row('getPublic', registry, repository) === undefined) return false;
    return this.#change('putPublic', registry, repository, checkedAt, upstreams);
  }

  async deletePublic({ registry, repository }: Repository): Promise<boolean> {
    return this.#change('deletePublic', registry, repository);
  }

  async isPrivateElsewhere({ registry, repository }: Repository, digest: Digest): Promise<boolean> {
    return this.#row('isPrivateElsewhere', digest, registry, repository) !== undefined;
  }

  async getUrl({ route, url }: UrlName): Promise<UrlRecord | undefined> {
    const row = this.#row('getUrl', route, url);
    return row && this.#read.url(row);
  }

  async putUrl({ route, url }: UrlName, record: UrlRecord): Promise<void> {
    if (!this.#mayAdd() && this.#row('getUrl', route, url) === undefined) return;
    const { digest, size, headers, checkedAt, freshUntil } = record;
    this.#transact(() => {
      this.#change('putUrl', route, url, digest, size, JSON.stringify(headers), checkedAt, freshUntil);
      this.#change('trimUrls', digest, MAX_URLS_PER_BLOB);
    });
  }

  async deleteUrl({ route, url }: UrlName): Promise<boolean> {
    return this.#change('deleteUrl', route, url);
  }

  async listUrls({ route, after, limit }: ListUrlsOptions): Promise<readonly UrlEntry[]> {
    const statement = route === undefined ? 'listUrls' : 'listUrlsOf';
    const rows = this.#rows(statement, route ?? after?.route ?? '', after?.url ?? '', limit);
    return rows.map((row) => ({ ...urlNameOf(row), record: this.#read.url(row) }));
  }

  async urlsOf(digest: Digest, limit: number): Promise<readonly UrlName[]> {
    return this.#rows('urlsOf', digest, limit).map(urlNameOf);
  }

  async putBlob({ digest, size, kind, storedAt, verifiedAt }: BlobRecord): Promise<void> {
    this.#change('putBlob', digest, size, kind, storedAt, verifiedAt ?? null);
    crashPoint('commit.indexed');
  }

  async getBlob(digest: Digest): Promise<BlobRecord | undefined> {
    const row = this.#row('getBlob', digest);
    return row && this.#read.blob(row);
  }

  async listBlobs({ after, limit }: Page<Digest>): Promise<readonly BlobRecord[]> {
    return this.#rows('listBlobs', after ?? '', limit).map((row) => this.#read.blob(row));
  }

  async noteVerified(digest: Digest, at: number): Promise<void> {
    this.#change('noteVerified', digest, at);
  }

  async deleteBlob(digest: Digest): Promise<void> {
    this.#change('deleteBlob', digest);
  }

  async touchBlobs(reads: readonly { readonly digest: Digest; readonly at: number }[]): Promise<void> {
    this.#transact(() => {
      for (const { digest, at } of reads) this.#change('touchBlob', digest, at);
    });
  }

  async leastRecentlyUsed(limit: number, after?: LastRead): Promise<readonly ReadBlobRecord[]> {
    const { readAt, digest } = after ?? { readAt: Number.MIN_SAFE_INTEGER, digest: '' };
    const rows = this.#rows('leastRecentlyUsed', readAt, digest, limit);
    return rows.map((row) => ({ ...this.#read.blob(row), readAt: row['read_at'] as number }));
  }

  async listNoted({ after, limit }: Page<NotedMember>): Promise<readonly NotedMember[]> {
    const { registry, repository } = after?.repository ?? NO_REPOSITORY;
    return this.#rows('listNoted', registry, repository, after?.digest ?? '', limit).map((row) => ({
      repository: repositoryOf(row),
      digest: this.#read.digest(row),
      notedAt: (row['noted_at'] as number) * 1000,
      isStored: row['stored'] === 1,
    }));
  }

  async footprint(): Promise<Footprint> {
    const { bytes, allocated, row_bytes: rowBytes } = this.#totals() as Record<string, number>;
    const used = this.#run(() => usedBytes(this.#database));
    const { database, log, backup, beside } = await sizesOf(this.#file);
    // Room for the next backup is counted before it is made.
    const overhead = (allocated ?? 0) - (bytes ?? 0) + database + log + Math.max(backup, used) + beside;
    return { overhead, rowBytes: rowBytes ?? 0 };
  }

  async limitRows(bytes: number): Promise<void> {
    this.#maxRowBytes = bytes;
  }

  async giveBack(): Promise<void> {
    try {
      await giveBackPages(this.#database);
    } catch (error) {
      throw explain(error, this.#file);
    }
  }

  /** False for the database of an older release: its file keeps its size. */
  get isShrinkable(): boolean {
    return isShrinkable(this.#database);
  }

  async totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    const row = this.#totals();
    return { blobs: row['blobs'] as number, bytes: row['bytes'] as number };
  }

  /** Rows changed since the database was opened. */
  get changes(): number {
    return Number(this.#database.prepare('SELECT total_changes() AS changes').get()?.['changes']);
  }

  /**
   * Copies the whole database, in its state at the end of the copy, to another file. A thread of the pool copies it in small
   * steps; operations wait for the end of a step. Damage is copied as well.
   */
  async backUp(target: string): Promise<void> {
    try {
      await backup(this.#database, target, { rate: BACKUP_PAGES });
    } catch (error) {
      throw explain(error, this.#file);
    }
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #mayAdd(): boolean {
    return this.#maxRowBytes === Number.POSITIVE_INFINITY || Number(this.#totals()['row_bytes']) < this.#maxRowBytes;
  }

  #totals(): Row {
    const row = this.#row('totals');
    if (row === undefined) throw new MetadataCorruptError(this.#file, { found: 'its totals are missing' });
    return row;
  }

  #row(statement: keyof Statements, ...values: SQLInputValue[]): Row | undefined {
    return this.#run(() => this.#statements[statement].get(...values));
  }

  #rows(statement: keyof Statements, ...values: SQLInputValue[]): readonly Row[] {
    return this.#run(() => this.#statements[statement].all(...values));
  }

  /** True where a row was added, changed or deleted. */
  #change(statement: keyof Statements, ...values: SQLInputValue[]): boolean {
    return this.#run(() => this.#statements[statement].run(...values).changes > 0);
  }

  /** Runs the work in one transaction: all of its changes, or none. */
  #transact(work: () => void): void {
    this.#run(() => transact(this.#database, work));
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explain(error, this.#file);
    }
  }
}

function byDigest(a: MemberRecord, b: MemberRecord): number {
  return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0;
}

function migrateMetadata(database: DatabaseSync, file: string): void {
  migrate(database, {
    migrations: MIGRATIONS,
    begin: beginDatabase,
    refuseNewer(versions) {
      throw new MetadataVersionError(file, versions);
    },
    refuseForeign() {
      throw new MetadataCorruptError(file, { found: 'it is the database of another program' });
    },
  });
}

/** Prepares each statement once: parsing costs more than running. It also finds missing tables and columns. */
function prepare(database: DatabaseSync, file: string): Statements {
  try {
    const entries = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)]);
    return Object.fromEntries(entries) as Statements;
  } catch (error) {
    if (sqliteCode(error) !== SQLITE.ERROR) throw error;
    throw new MetadataCorruptError(file, { found: 'one of its tables is missing', cause: error });
  }
}

function explain(error: unknown, file: string): unknown {
  switch (sqliteCode(error)) {
    case SQLITE.NOTADB:
      return new MetadataCorruptError(file, { found: 'it is not a database', cause: error });
    case SQLITE.CORRUPT:
      return new MetadataCorruptError(file, { found: 'it is damaged', cause: error });
    case SQLITE.BUSY:
      return new Error(`Cannot use the metadata database ${file} as another process holds its lock`, { cause: error });
    default:
      return error;
  }
}
