import { rm, stat } from 'node:fs/promises';
import type { Telemetry } from '../../telemetry/index.ts';
import { backUpMetadata, restoreMetadata, rewriteMetadata, setMetadataAside } from './backup.ts';
import { MetadataCorruptError } from './error.ts';
import { removeDrafts } from './files.ts';
import type { MetadataStore } from './metadata-store.ts';
import { openSqliteMetadataStore, type SqliteMetadataStore } from './sqlite.ts';

interface RecoveringMetadataOptions {
  readonly file: string;
  readonly telemetry: Telemetry;
  /** Milliseconds between backups; none is made while nothing has changed. @default 600_000 */
  readonly backupEvery?: number;
}

const TEN_MINUTES = 10 * 60 * 1000;

/** Milliseconds. A database damaged again within this time means a failing disk: another one would be damaged too. */
const RECOVERY_PAUSE = 30_000;

/**
 * Opens the metadata database. Where it is damaged or missing, its latest backup takes its place; without a backup, an empty
 * database does. Damage found later is handled in the same way, while operations wait. Each loss is published as
 * `names.recovered`.
 *
 * Throws {@link MetadataVersionError} where a newer release wrote it, and the system's own errors where the disk fails.
 */
export async function openRecoveringMetadataStore(options: RecoveringMetadataOptions): Promise<MetadataStore> {
  const store = await openOrReplace(options);
  return new RecoveringMetadataStore(store, options);
}

type OperationName = Exclude<keyof MetadataStore, 'close'>;
type Result<Name extends OperationName> = Awaited<ReturnType<MetadataStore[Name]>>;

/** An operation of the store, in the form that lets TypeScript relate its arguments and result to its name. */
type Operation<Name extends OperationName> = (...args: Parameters<MetadataStore[Name]>) => Promise<Result<Name>>;
type Operations = { readonly [Name in OperationName]: Operation<Name> };

class RecoveringMetadataStore implements MetadataStore {
  readonly getTag = this.#recovering('getTag');
  readonly putTag = this.#recovering('putTag');
  readonly deleteTag = this.#recovering('deleteTag');
  readonly listTags = this.#recovering('listTags');
  readonly listMoves = this.#recovering('listMoves');
  readonly putHold = this.#recovering('putHold');
  readonly deleteHold = this.#recovering('deleteHold');
  readonly listHolds = this.#recovering('listHolds');
  readonly putPin = this.#recovering('putPin');
  readonly deletePin = this.#recovering('deletePin');
  readonly listPins = this.#recovering('listPins');
  readonly getMember = this.#recovering('getMember');
  readonly putMembers = this.#recovering('putMembers');
  readonly deleteMember = this.#recovering('deleteMember');
  readonly deleteMembers = this.#recovering('deleteMembers');
  readonly listMembers = this.#recovering('listMembers');
  readonly listRepositories = this.#recovering('listRepositories');
  readonly searchRepositories = this.#recovering('searchRepositories');
  readonly countTags = this.#recovering('countTags');
  readonly repositoriesOf = this.#recovering('repositoriesOf');
  readonly getPublic = this.#recovering('getPublic');
  readonly putPublic = this.#recovering('putPublic');
  readonly deletePublic = this.#recovering('deletePublic');
  readonly isPrivateElsewhere = this.#recovering('isPrivateElsewhere');
  readonly getUrl = this.#recovering('getUrl');
  readonly putUrl = this.#recovering('putUrl');
  readonly deleteUrl = this.#recovering('deleteUrl');
  readonly listUrls = this.#recovering('listUrls');
  readonly urlsOf = this.#recovering('urlsOf');
  readonly putBlob = this.#recovering('putBlob');
  readonly getBlob = this.#recovering('getBlob');
  readonly listBlobs = this.#recovering('listBlobs');
  readonly noteVerified = this.#recovering('noteVerified');
  readonly deleteBlob = this.#recovering('deleteBlob');
  readonly touchBlobs = this.#recovering('touchBlobs');
  readonly leastRecentlyUsed = this.#recovering('leastRecentlyUsed');
  readonly totals = this.#recovering('totals');
  readonly listNoted = this.#recovering('listNoted');
  readonly footprint = this.#recovering('footprint');
  readonly limitRows = this.#recovering('limitRows');
  readonly giveBack = this.#recovering('giveBack');

  readonly #options: RecoveringMetadataOptions;
  readonly #timer: NodeJS.Timeout;
  #store: SqliteMetadataStore;
  #recovery: Promise<void> | undefined;
  #recoveredAt = Number.NEGATIVE_INFINITY;
  #backup: Promise<void> | undefined;
  /** Rows changed when the last backup was made. */
  #backedUp = 0;
  #closing: Promise<void> | undefined;

  constructor(store: SqliteMetadataStore, options: RecoveringMetadataOptions) {
    this.#store = store;
    this.#options = options;
    this.#timer = setInterval(() => void this.#backUp(), options.backupEvery ?? TEN_MINUTES);
    this.#timer.unref();
  }

  /**
   * Makes a last backup if anything changed since the previous one. A database of an older release is rewritten once, so that
   * its file can shrink.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#recovery?.catch(() => {});
    // A running backup began before the latest changes.
    await this.#backup;
    await this.#backUp();
    const isFixed = this.#isFixed();
    await this.#store.close();
    if (isFixed) await this.#rewrite();
  }

  /** Whether the database's file keeps its size; false where the database cannot be read. */
  #isFixed(): boolean {
    try {
      return !this.#store.isShrinkable;
    } catch {
      return false;
    }
  }

  /** Never rejects: where it fails, free pages are used again, and the next stop tries once more. */
  async #rewrite(): Promise<void> {
    const { file, telemetry } = this.#options;
    const message = 'Cannot rewrite the metadata database of an older release: its file does not shrink';
    try {
      const found = await rewriteMetadata(file);
      if (found !== undefined) telemetry.publish('warning', { message: `${message}: ${found}` });
    } catch (error) {
      telemetry.publish('warning', { message, error });
    }
  }

  #recovering<Name extends OperationName>(name: Name): Operation<Name> {
    return (...args) => this.#use<Result<Name>>((store) => store[name](...args));
  }

  /** Waits for a running recovery, and repeats the operation once where it finds damage. */
  async #use<T>(operation: (store: Operations) => Promise<T>): Promise<T> {
    // A failed recovery rejects the operation that found the damage; this one tries for itself.
    await this.#recovery?.catch(() => {});
    const store = this.#store;
    try {
      return await operation(store);
    } catch (error) {
      if (!(error instanceof MetadataCorruptError)) throw error;
      await this.#recover(store, error);
      return operation(this.#store);
    }
  }

  /** Replaces a damaged database, once for all operations that found the damage. */
  async #recover(damaged: SqliteMetadataStore, error: MetadataCorruptError): Promise<void> {
    if (this.#recovery === undefined && this.#store === damaged) {
      if (this.#closing !== undefined || performance.now() - this.#recoveredAt < RECOVERY_PAUSE) throw error;
      this.#recoveredAt = performance.now();
      this.#recovery = this.#replace(error.found).finally(() => {
        this.#recovery = undefined;
      });
    }
    await this.#recovery;
  }

  async #replace(found: string): Promise<void> {
    await this.#backup;
    await this.#store.close();
    this.#store = await replace(this.#options, found);
    this.#backedUp = 0;
  }

  /** Never rejects: a failed backup only makes the next loss cost more. */
  #backUp(): Promise<void> {
    this.#backup ??= this.#tryBackUp().finally(() => {
      this.#backup = undefined;
    });
    return this.#backup;
  }

  async #tryBackUp(): Promise<void> {
    const { file, telemetry } = this.#options;
    const store = this.#store;
    const { changes } = store;
    if (this.#recovery !== undefined || changes === this.#backedUp) return;
    try {
      const found = await backUpMetadata(store, file);
      if (found === undefined) {
        this.#backedUp = changes;
        telemetry.publish('names.backup', { outcome: 'made' });
        return;
      }
      telemetry.publish('names.backup', { outcome: 'damaged' });
      const error = new MetadataCorruptError(file, { found });
      telemetry.publish('warning', { message: 'The metadata database is damaged: its earlier backup is kept', error });
      // Not awaited: the recovery waits for this backup.
      if (this.#closing === undefined) this.#recover(store, error).catch(() => {});
    } catch (error) {
      telemetry.publish('names.backup', { outcome: 'failed' });
      telemetry.publish('warning', { message: 'Cannot back up the metadata database', error });
    }
  }
}

async function openOrReplace(options: RecoveringMetadataOptions): Promise<SqliteMetadataStore> {
  const { file } = options;
  await removeDrafts(file);
  const size = await stat(file).then(
    (stats) => stats.size,
    () => undefined,
  );
  // SQLite would take an empty file for a new database.
  if (size === undefined || size === 0) return replace(options, size === 0 ? 'it is empty' : 'it is missing');
  try {
    return await openSqliteMetadataStore(file);
  } catch (error) {
    if (!(error instanceof MetadataCorruptError)) throw error;
    return replace(options, error.found);
  }
}

/** Sets the database aside, and opens its backup or an empty database in its place. */
async function replace({ file, telemetry }: RecoveringMetadataOptions, found: string): Promise<SqliteMetadataStore> {
  const existed = (await stat(file).catch(() => undefined)) !== undefined;
  await setMetadataAside(file, Date.now());
  const { backupAt, unusable } = await restoreMetadata(file);
  const warn = (reason: string): void =>
    telemetry.publish('warning', { message: `The backup of the metadata database is unusable: ${reason}` });
  if (unusable !== undefined) warn(unusable);
  let store: SqliteMetadataStore;
  let source: 'backup' | 'nothing' = backupAt === undefined ? 'nothing' : 'backup';
  try {
    store = await openSqliteMetadataStore(file);
  } catch (error) {
    if (!(error instanceof MetadataCorruptError)) throw error;
    // The backup is a sound database, but of another program.
    warn(error.found);
    await rm(file, { force: true });
    store = await openSqliteMetadataStore(file);
    source = 'nothing';
  }
  // A new directory has lost nothing.
  if (existed || source === 'backup') {
    telemetry.publish('names.recovered', { found, source, ...(source === 'backup' ? { backupAt } : {}) });
  }
  return store;
}
