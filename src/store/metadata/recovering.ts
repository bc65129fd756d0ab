import { rm, stat } from 'node:fs/promises';
import type { Digest, Repository } from '../../oci/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { backUpMetadata, restoreMetadata, setMetadataAside } from './backup.ts';
import { MetadataCorruptError } from './error.ts';
import type {
  BlobRecord,
  LastRead,
  ListBlobsOptions,
  ListTagsOptions,
  ListUrlsOptions,
  MemberRecord,
  MetadataStore,
  Page,
  ReadBlobRecord,
  TagEntry,
  TagRecord,
  UrlEntry,
  UrlName,
  UrlRecord,
} from './metadata-store.ts';
import { openSqliteMetadataStore, type SqliteMetadataStore } from './sqlite.ts';

export interface RecoveringMetadataOptions {
  readonly file: string;
  readonly telemetry: Telemetry;
  /** Milliseconds between two backups, where something has changed meanwhile. @default 600_000 */
  readonly backupEvery?: number;
}

const TEN_MINUTES = 10 * 60 * 1000;

/** Where the next database is damaged so soon after the last, it is the disk, and another would fare no better. */
const RECOVERY_PAUSE = 30_000;

/**
 * Opens the database of names, or what can be had in its place: where it is damaged or gone, the latest backup, and where
 * there is none, an empty one. Damage that shows later is dealt with in the same way, while everyone goes on. Each loss is
 * published as `names.recovered`.
 *
 * Throws {@link MetadataVersionError} where a newer release wrote it, and the system's own errors where the disk refuses.
 */
export async function openRecoveringMetadataStore(options: RecoveringMetadataOptions): Promise<MetadataStore> {
  const names = await openOrReplace(options);
  return new RecoveringMetadataStore(names, options);
}

class RecoveringMetadataStore implements MetadataStore {
  readonly #options: RecoveringMetadataOptions;
  readonly #timer: NodeJS.Timeout;
  #names: SqliteMetadataStore;
  #recovering: Promise<void> | undefined;
  #recoveredAt = Number.NEGATIVE_INFINITY;
  #backingUp: Promise<void> | undefined;
  /** Rows changed when the last backup was made. */
  #backedUp = 0;
  #closing: Promise<void> | undefined;

  constructor(names: SqliteMetadataStore, options: RecoveringMetadataOptions) {
    this.#names = names;
    this.#options = options;
    this.#timer = setInterval(() => void this.#backUp(), options.backupEvery ?? TEN_MINUTES);
    this.#timer.unref();
  }

  getTag(repository: Repository, tag: string): Promise<TagRecord | undefined> {
    return this.#use((names) => names.getTag(repository, tag));
  }

  putTag(repository: Repository, tag: string, record: TagRecord): Promise<void> {
    return this.#use((names) => names.putTag(repository, tag, record));
  }

  deleteTag(repository: Repository, tag: string): Promise<boolean> {
    return this.#use((names) => names.deleteTag(repository, tag));
  }

  listTags(options: ListTagsOptions): Promise<readonly TagEntry[]> {
    return this.#use((names) => names.listTags(options));
  }

  getMember(repository: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    return this.#use((names) => names.getMember(repository, digest));
  }

  putMembers(repository: Repository, members: readonly MemberRecord[]): Promise<void> {
    return this.#use((names) => names.putMembers(repository, members));
  }

  deleteMember(repository: Repository, digest: Digest): Promise<boolean> {
    return this.#use((names) => names.deleteMember(repository, digest));
  }

  deleteMembers(repository: Repository, digests: readonly Digest[]): Promise<void> {
    return this.#use((names) => names.deleteMembers(repository, digests));
  }

  listMembers(repository: Repository, page: Page<Digest>): Promise<readonly MemberRecord[]> {
    return this.#use((names) => names.listMembers(repository, page));
  }

  listRepositories(page: Page<Repository>): Promise<readonly Repository[]> {
    return this.#use((names) => names.listRepositories(page));
  }

  repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]> {
    return this.#use((names) => names.repositoriesOf(digest, limit));
  }

  getUrl(key: UrlName): Promise<UrlRecord | undefined> {
    return this.#use((names) => names.getUrl(key));
  }

  putUrl(key: UrlName, record: UrlRecord): Promise<void> {
    return this.#use((names) => names.putUrl(key, record));
  }

  deleteUrl(key: UrlName): Promise<boolean> {
    return this.#use((names) => names.deleteUrl(key));
  }

  listUrls(options: ListUrlsOptions): Promise<readonly UrlEntry[]> {
    return this.#use((names) => names.listUrls(options));
  }

  urlsOf(digest: Digest, limit: number): Promise<readonly UrlName[]> {
    return this.#use((names) => names.urlsOf(digest, limit));
  }

  putBlob(record: BlobRecord): Promise<void> {
    return this.#use((names) => names.putBlob(record));
  }

  getBlob(digest: Digest): Promise<BlobRecord | undefined> {
    return this.#use((names) => names.getBlob(digest));
  }

  listBlobs(options: ListBlobsOptions): Promise<readonly BlobRecord[]> {
    return this.#use((names) => names.listBlobs(options));
  }

  noteVerified(digest: Digest, at: number): Promise<void> {
    return this.#use((names) => names.noteVerified(digest, at));
  }

  deleteBlob(digest: Digest): Promise<void> {
    return this.#use((names) => names.deleteBlob(digest));
  }

  touchBlobs(reads: readonly { readonly digest: Digest; readonly at: number }[]): Promise<void> {
    return this.#use((names) => names.touchBlobs(reads));
  }

  leastRecentlyUsed(limit: number, after?: LastRead): Promise<readonly ReadBlobRecord[]> {
    return this.#use((names) => names.leastRecentlyUsed(limit, after));
  }

  totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    return this.#use((names) => names.totals());
  }

  /** Makes a last backup, where something has changed since the one before. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#recovering?.catch(() => {});
    // The one under way began before the latest changes.
    await this.#backingUp;
    await this.#backUp();
    await this.#names.close();
  }

  async #use<T>(ask: (names: MetadataStore) => Promise<T>): Promise<T> {
    // Whatever fails then has failed for whoever found the damage; it is asked again here.
    await this.#recovering?.catch(() => {});
    const names = this.#names;
    try {
      return await ask(names);
    } catch (error) {
      if (!(error instanceof MetadataCorruptError)) throw error;
      await this.#recover(names, error);
      return ask(this.#names);
    }
  }

  /** Replaces a database that turned out damaged, once for all who found out. */
  async #recover(damaged: SqliteMetadataStore, error: MetadataCorruptError): Promise<void> {
    if (this.#recovering === undefined && this.#names === damaged) {
      if (this.#closing !== undefined || performance.now() - this.#recoveredAt < RECOVERY_PAUSE) throw error;
      this.#recoveredAt = performance.now();
      this.#recovering = this.#replace(error.found).finally(() => {
        this.#recovering = undefined;
      });
    }
    await this.#recovering;
  }

  async #replace(found: string): Promise<void> {
    await this.#backingUp;
    await this.#names.close();
    this.#names = await replace(this.#options, found);
    this.#backedUp = 0;
  }

  /** Never rejects: without it the next loss costs more, and nothing else. */
  #backUp(): Promise<void> {
    this.#backingUp ??= this.#tryBackUp().finally(() => {
      this.#backingUp = undefined;
    });
    return this.#backingUp;
  }

  async #tryBackUp(): Promise<void> {
    const { file, telemetry } = this.#options;
    const names = this.#names;
    const { changes } = names;
    if (this.#recovering !== undefined || changes === this.#backedUp) return;
    try {
      const found = await backUpMetadata(names, file);
      if (found === undefined) {
        this.#backedUp = changes;
        return;
      }
      const error = new MetadataCorruptError(file, { found });
      telemetry.publish('warning', { message: 'The names database is damaged: its earlier backup is kept', error });
      // Not waited for: it waits for this.
      if (this.#closing === undefined) this.#recover(names, error).catch(() => {});
    } catch (error) {
      telemetry.publish('warning', { message: 'Cannot back up the names database', error });
    }
  }
}

async function openOrReplace(options: RecoveringMetadataOptions): Promise<SqliteMetadataStore> {
  const { file } = options;
  const size = await stat(file).then(
    (stats) => stats.size,
    () => undefined,
  );
  // An empty one would pass for a new one.
  if (size === undefined || size === 0) return replace(options, size === 0 ? 'it is empty' : 'it is gone');
  try {
    return await openSqliteMetadataStore(file);
  } catch (error) {
    if (!(error instanceof MetadataCorruptError)) throw error;
    return replace(options, error.found);
  }
}

/** Sets aside what is there, and opens the backup or an empty database in its place. */
async function replace({ file, telemetry }: RecoveringMetadataOptions, found: string): Promise<SqliteMetadataStore> {
  const wasThere = (await stat(file).catch(() => undefined)) !== undefined;
  await setMetadataAside(file, Date.now());
  const { backupAt, unusable } = await restoreMetadata(file);
  if (unusable !== undefined) {
    telemetry.publish('warning', { message: `The backup of the names database is of no use: ${unusable}` });
  }
  let names: SqliteMetadataStore;
  let source: 'backup' | 'nothing' = backupAt === undefined ? 'nothing' : 'backup';
  try {
    names = await openSqliteMetadataStore(file);
  } catch (error) {
    if (!(error instanceof MetadataCorruptError)) throw error;
    // A sound database of somebody else's.
    telemetry.publish('warning', { message: `The backup of the names database is of no use: ${error.found}` });
    await rm(file, { force: true });
    names = await openSqliteMetadataStore(file);
    source = 'nothing';
  }
  // A directory that is new has lost nothing.
  if (wasThere || source === 'backup') {
    telemetry.publish('names.recovered', { found, source, ...(source === 'backup' ? { backupAt } : {}) });
  }
  return names;
}
