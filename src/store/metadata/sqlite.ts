import { open } from 'node:fs/promises';
import { backup, DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { crashPoint } from '../../lib/index.ts';
import { type Digest, parseDigest, type Repository, type Visibility } from '../../oci/index.ts';
import { SQLITE, sqliteCode } from '../sqlite-error.ts';
import { MetadataCorruptError, MetadataVersionError } from './error.ts';
import {
  type BlobRecord,
  type LastRead,
  type ListBlobsOptions,
  type ListTagsOptions,
  type ListUrlsOptions,
  MAX_URLS_PER_BLOB,
  type MemberRecord,
  type MetadataStore,
  type Page,
  type ReadBlobRecord,
  type TagEntry,
  type TagRecord,
  type UrlEntry,
  type UrlName,
  type UrlRecord,
} from './metadata-store.ts';
import { MIGRATIONS, STATEMENTS } from './schema.ts';

/**
 * How long a statement waits for a lock that another process holds; milliseconds. The event loop stands still for as
 * long. One process owns the file, so only an operator's own `sqlite3` can be in the way.
 */
const BUSY_TIMEOUT = 500;

/** Pages of 4 KiB that a backup copies at a time: about a millisecond. */
const BACKUP_PAGES = 256;

type Row = Record<string, SQLOutputValue>;
type Statements = { readonly [K in keyof typeof STATEMENTS]: StatementSync };

/**
 * Opens the database of names, creating it where there is none and bringing an older one up to date. The cost does not
 * grow with what it holds.
 *
 * After a power cut it may have lost the latest changes, but none of them by half: what it forgot is asked for again.
 *
 * Throws {@link MetadataCorruptError} where the file is damaged, and {@link MetadataVersionError} where a newer release wrote
 * it; any operation may reject with NamesCorruptError later, since not every page is read here.
 */
export async function openSqliteMetadataStore(file: string): Promise<SqliteMetadataStore> {
  // SQLite would create it readable by all. Its other files (-wal, -shm) take over the mode of this one.
  const created = await open(file, 'a', 0o600);
  await created.close();
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
  try {
    // First, since it refuses files that are not ours, and the next line changes the file.
    migrate(database, file);
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;          -- fsync at a checkpoint only; see the docstring for what that means
      PRAGMA journal_size_limit = 67108864; -- bytes; a log that one large transaction blew up shrinks again
      PRAGMA cache_size = -8192;            -- KiB; the kernel holds the rest
    `);
    return new SqliteMetadataStore(database, file, prepare(database, file));
  } catch (error) {
    database.close();
    throw explain(error, file);
  }
}

/** A {@link MetadataStore} in a file. Made by {@link openSqliteMetadataStore}. */
export class SqliteMetadataStore implements MetadataStore {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #statements: Statements;

  constructor(database: DatabaseSync, file: string, statements: Statements) {
    this.#database = database;
    this.#file = file;
    this.#statements = statements;
  }

  async getTag(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    return this.#run(() => {
      const row = this.#statements.getTag.get(repository.registry, repository.repository, tag);
      return row === undefined ? undefined : this.#tagRecord(row);
    });
  }

  async putTag(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    const { digest, mediaType, size, checkedAt, upstream, visibility } = record;
    const key = [repository.registry, repository.repository, tag];
    this.#run(() => this.#statements.putTag.run(...key, digest, mediaType, size, checkedAt, upstream, visibility));
  }

  async deleteTag(repository: Repository, tag: string): Promise<boolean> {
    return this.#run(() => {
      return this.#statements.deleteTag.run(repository.registry, repository.repository, tag).changes > 0;
    });
  }

  async listTags({ repository, after, limit }: ListTagsOptions): Promise<readonly TagEntry[]> {
    const { registry, repository: name } = after?.repository ?? { registry: '', repository: '' };
    return this.#run(() => {
      const rows =
        repository === undefined
          ? this.#statements.listTags.all(registry, name, after?.tag ?? '', limit)
          : this.#statements.listTagsOf.all(repository.registry, repository.repository, after?.tag ?? '', limit);
      return rows.map((row) => ({
        repository: repositoryOf(row),
        tag: row['tag'] as string,
        record: this.#tagRecord(row),
      }));
    });
  }

  async getMember(repository: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    return this.#run(() => {
      const row = this.#statements.getMember.get(repository.registry, repository.repository, digest);
      return row === undefined ? undefined : this.#memberRecord(row);
    });
  }

  async putMembers(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    const { registry, repository: name } = repository;
    this.#transact(() => {
      for (const { digest, kind, mediaType, size, visibility, transient } of members) {
        const row = [digest, kind, mediaType, size ?? null, visibility, transient === true ? 1 : 0];
        this.#statements.putMember.run(registry, name, ...row);
      }
    });
  }

  async deleteMember(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#run(() => {
      return this.#statements.deleteMember.run(repository.registry, repository.repository, digest).changes > 0;
    });
  }

  async deleteMembers(repository: Repository, digests: readonly Digest[]): Promise<void> {
    this.#transact(() => {
      for (const digest of digests) {
        this.#statements.deleteMember.run(repository.registry, repository.repository, digest);
      }
    });
  }

  async listMembers(repository: Repository, { after, limit }: Page<Digest>): Promise<readonly MemberRecord[]> {
    const { registry, repository: name } = repository;
    return this.#run(() =>
      this.#statements.listMembers.all(registry, name, after ?? '', limit).map((row) => this.#memberRecord(row)),
    );
  }

  async listRepositories({ after, limit }: Page<Repository>): Promise<readonly Repository[]> {
    return this.#run(() => {
      const found: Repository[] = [];
      let last = after ?? { registry: '', repository: '' };
      while (found.length < limit) {
        const row = this.#statements.nextRepository.get(last.registry, last.repository);
        if (row === undefined) break;
        last = repositoryOf(row);
        found.push(last);
      }
      return found;
    });
  }

  async repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]> {
    return this.#run(() => this.#statements.repositoriesOf.all(digest, limit).map(repositoryOf));
  }

  async getUrl({ route, url }: UrlName): Promise<UrlRecord | undefined> {
    return this.#run(() => {
      const row = this.#statements.getUrl.get(route, url);
      return row === undefined ? undefined : this.#urlRecord(row);
    });
  }

  async putUrl({ route, url }: UrlName, record: UrlRecord): Promise<void> {
    const { digest, size, headers, checkedAt, freshUntil } = record;
    this.#transact(() => {
      this.#statements.putUrl.run(route, url, digest, size, JSON.stringify(headers), checkedAt, freshUntil);
      this.#statements.trimUrls.run(digest, MAX_URLS_PER_BLOB);
    });
  }

  async deleteUrl({ route, url }: UrlName): Promise<boolean> {
    return this.#run(() => this.#statements.deleteUrl.run(route, url).changes > 0);
  }

  async listUrls({ route, after, limit }: ListUrlsOptions): Promise<readonly UrlEntry[]> {
    return this.#run(() => {
      const rows =
        route === undefined
          ? this.#statements.listUrls.all(after?.route ?? '', after?.url ?? '', limit)
          : this.#statements.listUrlsOf.all(route, after?.url ?? '', limit);
      return rows.map((row) => ({ ...urlNameOf(row), record: this.#urlRecord(row) }));
    });
  }

  async urlsOf(digest: Digest, limit: number): Promise<readonly UrlName[]> {
    return this.#run(() => this.#statements.urlsOf.all(digest, limit).map(urlNameOf));
  }

  async putBlob(record: BlobRecord): Promise<void> {
    const { digest, size, kind, storedAt, verifiedAt = null } = record;
    this.#run(() => this.#statements.putBlob.run(digest, size, kind, storedAt, verifiedAt));
    crashPoint('commit.indexed');
  }

  async getBlob(digest: Digest): Promise<BlobRecord | undefined> {
    return this.#run(() => {
      const row = this.#statements.getBlob.get(digest);
      return row === undefined ? undefined : this.#blobRecord(row);
    });
  }

  async listBlobs({ after, limit }: ListBlobsOptions): Promise<readonly BlobRecord[]> {
    return this.#run(() => this.#statements.listBlobs.all(after ?? '', limit).map((row) => this.#blobRecord(row)));
  }

  async noteVerified(digest: Digest, at: number): Promise<void> {
    this.#run(() => this.#statements.noteVerified.run(digest, at));
  }

  async deleteBlob(digest: Digest): Promise<void> {
    this.#run(() => this.#statements.deleteBlob.run(digest));
  }

  async touchBlobs(reads: readonly { readonly digest: Digest; readonly at: number }[]): Promise<void> {
    this.#transact(() => {
      for (const { digest, at } of reads) this.#statements.touchBlob.run(digest, at);
    });
  }

  async leastRecentlyUsed(limit: number, after?: LastRead): Promise<readonly ReadBlobRecord[]> {
    const from = [after?.readAt ?? Number.MIN_SAFE_INTEGER, after?.digest ?? ''];
    return this.#run(() =>
      this.#statements.leastRecentlyUsed
        .all(...from, limit)
        .map((row) => ({ ...this.#blobRecord(row), readAt: row['read_at'] as number })),
    );
  }

  async totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    return this.#run(() => {
      const row = this.#statements.totals.get();
      if (row === undefined) throw new MetadataCorruptError(this.#file, { found: 'its sums are missing' });
      return { blobs: row['blobs'] as number, bytes: row['bytes'] as number };
    });
  }

  /** Rows changed since it was opened. */
  get changes(): number {
    return Number(this.#database.prepare('SELECT total_changes() AS changes').get()?.['changes']);
  }

  /**
   * Copies the whole database to another file, as it is when the copy ends. The work is done in a thread of the pool, in
   * small pieces; calls meanwhile wait for the end of a piece. Damage is copied as well.
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

  /** All of it or nothing, in one write. */
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

  #tagRecord(row: Row): TagRecord {
    return {
      digest: this.#digest(row),
      mediaType: row['media_type'] as string,
      size: row['size'] as number,
      checkedAt: row['checked_at'] as number,
      upstream: row['upstream'] as string,
      visibility: row['visibility'] as Visibility,
    };
  }

  #memberRecord(row: Row): MemberRecord {
    return {
      digest: this.#digest(row),
      kind: row['kind'] as MemberRecord['kind'],
      mediaType: row['media_type'] as string,
      size: (row['size'] as number | null) ?? undefined,
      visibility: row['visibility'] as Visibility,
      ...(row['transient'] === 1 ? { transient: true } : {}),
    };
  }

  #urlRecord(row: Row): UrlRecord {
    return {
      digest: this.#digest(row),
      size: row['size'] as number,
      headers: this.#headers(row),
      checkedAt: row['checked_at'] as number,
      freshUntil: row['fresh_until'] as number,
    };
  }

  #blobRecord(row: Row): BlobRecord {
    return {
      digest: this.#digest(row),
      size: row['size'] as number,
      kind: row['kind'] as BlobRecord['kind'],
      storedAt: row['stored_at'] as number,
      verifiedAt: (row['verified_at'] as number | null) ?? undefined,
    };
  }

  #headers(row: Row): Readonly<Record<string, string>> {
    try {
      return JSON.parse(row['headers'] as string) as Record<string, string>;
    } catch (cause) {
      throw new MetadataCorruptError(this.#file, { found: 'it holds malformed headers', cause });
    }
  }

  /** Checked again, as paths are built from it and a file can be edited. */
  #digest(row: Row): Digest {
    const digest = parseDigest(String(row['digest']));
    if (digest === undefined) throw new MetadataCorruptError(this.#file, { found: 'it holds a malformed digest' });
    return digest;
  }
}

function repositoryOf(row: Row): Repository {
  return { registry: row['registry'] as string, repository: row['repository'] as string };
}

function urlNameOf(row: Row): UrlName {
  return { route: row['route'] as string, url: row['url'] as string };
}

function migrate(database: DatabaseSync, file: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  const known = MIGRATIONS.length;
  if (version > known) throw new MetadataVersionError(file, { found: version, known });
  if (version === known) return;
  const tables = Number(database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables']);
  // A migration and its version are written together, so such a file was never ours.
  if (version < 0 || (version === 0 && tables > 0)) {
    throw new MetadataCorruptError(file, { found: 'it is the database of another program' });
  }
  transact(database, () => {
    for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${known}`);
  });
}

function transact(database: DatabaseSync, work: () => void): void {
  // IMMEDIATE: a transaction that begins by reading cannot wait for a lock when it comes to write.
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    // Some errors (a full disk) have rolled back already.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Prepared once: parsing the SQL costs more than running it. Also finds out whether every table and column is there. */
function prepare(database: DatabaseSync, file: string): Statements {
  try {
    const entries = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)]);
    return Object.fromEntries(entries) as Statements;
  } catch (error) {
    if (sqliteCode(error) !== SQLITE.ERROR) throw error;
    throw new MetadataCorruptError(file, { found: 'a table of it is missing', cause: error });
  }
}

function explain(error: unknown, file: string): unknown {
  switch (sqliteCode(error)) {
    case SQLITE.NOTADB:
      return new MetadataCorruptError(file, { found: 'it is not a database', cause: error });
    case SQLITE.CORRUPT:
      return new MetadataCorruptError(file, { found: 'it is damaged', cause: error });
    case SQLITE.BUSY:
      return new Error(`Cannot use the names database ${file} as another process holds its lock`, { cause: error });
    default:
      return error;
  }
}
