import { open, rename, rm } from 'node:fs/promises';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AccessVerdict } from '../../telemetry/index.ts';
import { hasCode } from '../directory/index.ts';
import { SQLITE, sqliteCode } from '../sqlite-error.ts';
import {
  DAY,
  dayOf,
  HOURLY_FOR,
  OBSERVATION_LIMITS,
  type Observation,
  type ObservationKey,
  type ObservationLimits,
  type ObservationStore,
} from './observation-store.ts';

/** Milliseconds a statement waits for the lock of an operator's own `sqlite3`. */
const BUSY_TIMEOUT = 500;

/** Rows that one transaction changes: a few milliseconds, after which the event loop turns. */
const PIECE = 256;

/** Of the layout below. A database of another version is set aside. */
const VERSION = 1;

const SCHEMA = `
  CREATE TABLE observations (
    period INTEGER NOT NULL,
    principal TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    verdict TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (period, principal, action, target, verdict)
  ) STRICT, WITHOUT ROWID;
  -- The one row of it says when the database was begun.
  CREATE TABLE begun (at INTEGER NOT NULL) STRICT;
`;

const ADD = `
  INSERT INTO observations (period, principal, action, target, verdict, count, last_at) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)`;
const KEY = '(period, principal, action, target, verdict)';

const STATEMENTS = {
  add: ADD,
  list: `SELECT period, principal, action, target, verdict, count, last_at FROM observations
    WHERE ${KEY} > (?, ?, ?, ?, ?) ORDER BY period, principal, action, target, verdict LIMIT ?`,
  outdated: `DELETE FROM observations WHERE ${KEY} IN
    (SELECT period, principal, action, target, verdict FROM observations WHERE period < ? LIMIT ?)`,
  hourly: `SELECT period, principal, action, target, verdict, count, last_at FROM observations
    WHERE period < ? AND period % ${DAY} <> 0 LIMIT ?`,
  remove: 'DELETE FROM observations WHERE period = ? AND principal = ? AND action = ? AND target = ? AND verdict = ?',
  counts: "SELECT count(*) AS rows, count(*) FILTER (WHERE verdict = 'denied') AS denied FROM observations",
  dropOldest: `DELETE FROM observations WHERE ${KEY} IN
    (SELECT period, principal, action, target, verdict FROM observations ORDER BY period LIMIT ?)`,
  dropDenied: `DELETE FROM observations WHERE ${KEY} IN
    (SELECT period, principal, action, target, verdict FROM observations WHERE verdict = 'denied' ORDER BY period LIMIT ?)`,
  begun: 'SELECT at FROM begun',
  begin: 'INSERT INTO begun (at) VALUES (?)',
} as const;

type Statements = { readonly [K in keyof typeof STATEMENTS]: StatementSync };

interface Opened {
  readonly database: DatabaseSync;
  readonly statements: Statements;
  readonly since: number;
}

export interface ObservationStoreOptions {
  /** Called where the database was damaged, and an empty one has taken its place. */
  readonly onDamage: (message: string) => void;
  /** @default OBSERVATION_LIMITS */
  readonly limits?: ObservationLimits;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

/**
 * Opens the observations of a cache directory, creating them if missing. A database that is damaged, or of another release, is
 * set aside under the name `observations.db.corrupt`, where the latest one is kept; an empty one takes its place, now or
 * whenever the damage is found.
 *
 * A power cut may undo the last minutes.
 */
export async function openObservationStore(file: string, options: ObservationStoreOptions): Promise<ObservationStore> {
  const now = options.now ?? Date.now;
  return new SqliteObservationStore(file, await openOrReplace(file, { ...options, now }), { ...options, now });
}

async function openOrReplace(
  file: string,
  { onDamage, now }: Required<Pick<ObservationStoreOptions, 'onDamage' | 'now'>>,
) {
  try {
    return await openFile(file, now);
  } catch (error) {
    if (!isDamage(error)) throw error;
    await setAside(file);
    onDamage(
      `The observed requests in ${file} could not be read (${error.message}): they are counted from now on again`,
    );
    return await openFile(file, now);
  }
}

async function openFile(file: string, now: () => number): Promise<Opened> {
  // SQLite would create it readable by all users. Its other files (-wal, -shm) get the mode of this one.
  const created = await open(file, 'a', 0o600);
  await created.close();
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
  try {
    prepareTables(database);
    const statements = Object.fromEntries(
      Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)]),
    ) as Statements;
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;         -- fsync at a checkpoint only
      PRAGMA wal_autocheckpoint = 1000;    -- pages
      PRAGMA journal_size_limit = 4194304; -- bytes
      PRAGMA cache_size = -1024;           -- KiB
    `);
    const begun = statements.begun.get()?.['at'] as number | undefined;
    const since = begun ?? now();
    if (begun === undefined) statements.begin.run(since);
    return { database, statements, since };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** First: the database of another program must not be changed. */
function prepareTables(database: DatabaseSync): void {
  const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
  const tables = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'];
  if (version === VERSION) return;
  if (version !== 0 || tables !== 0) throw new UnknownDatabaseError();
  database.exec(`BEGIN; PRAGMA auto_vacuum = NONE; ${SCHEMA} PRAGMA user_version = ${VERSION}; COMMIT`);
}

/** A database of another program or release. */
class UnknownDatabaseError extends Error {
  override readonly name = 'UnknownDatabaseError';

  constructor() {
    super('it is of another release or program');
  }
}

/** `ERROR`: the tables are others than those of its version. */
function isDamage(error: unknown): error is Error {
  if (error instanceof UnknownDatabaseError) return true;
  const code = sqliteCode(error);
  return code === SQLITE.CORRUPT || code === SQLITE.NOTADB || code === SQLITE.ERROR;
}

async function setAside(file: string): Promise<void> {
  // SQLite would apply the log to the next database.
  for (const suffix of ['-wal', '-shm', '-journal']) await rm(`${file}${suffix}`, { force: true });
  try {
    await rename(file, `${file}.corrupt`);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

class SqliteObservationStore implements ObservationStore {
  readonly #file: string;
  readonly #options: ObservationStoreOptions & { readonly now: () => number };
  readonly #limits: ObservationLimits;
  #opened: Opened;
  #replacing: Promise<void> | undefined;
  /** There are no more rows than these; undefined until they are counted. */
  #atMost: { rows: number; denied: number } | undefined;

  constructor(file: string, opened: Opened, options: ObservationStoreOptions & { readonly now: () => number }) {
    this.#file = file;
    this.#opened = opened;
    this.#options = options;
    this.#limits = options.limits ?? OBSERVATION_LIMITS;
  }

  get since(): number {
    return this.#opened.since;
  }

  async add(observations: readonly Observation[]): Promise<void> {
    for (let at = 0; at < observations.length; at += PIECE) {
      if (at > 0) await nextTurn();
      const piece = observations.slice(at, at + PIECE);
      await this.#use((opened) => transact(opened, ({ statements }) => addAll(statements, piece)));
    }
    await this.#limit(observations);
  }

  async list({
    after,
    limit,
  }: {
    readonly after?: ObservationKey | undefined;
    readonly limit: number;
  }): Promise<readonly Observation[]> {
    const key = after === undefined ? [-1, '', '', '', ''] : keyOf(after);
    return await this.#use(({ statements }) => statements.list.all(...key, limit).map(observationOf));
  }

  async trim(now: number): Promise<void> {
    await this.#inPieces(({ statements }) => Number(statements.outdated.run(now - this.#limits.age, PIECE).changes));
    await this.#inPieces((opened) => joinHours(opened, dayOf(now - HOURLY_FOR)));
  }

  async close(): Promise<void> {
    await this.#replacing;
    const { database } = this.#opened;
    if (database.isOpen) database.close();
  }

  /** Counting reads the whole table, some 15 ms: it is put off until the limits may be reached. */
  async #limit(added: readonly Observation[]): Promise<void> {
    if (this.#atMost !== undefined) {
      this.#atMost.rows += added.length;
      this.#atMost.denied += added.filter(({ verdict }) => verdict === 'denied').length;
      if (this.#atMost.rows <= this.#limits.rows && this.#atMost.denied <= this.#limits.denied) return;
    }
    const counts = await this.#use(({ statements }) => statements.counts.get() as Record<string, number>);
    const { rows = 0, denied = 0 } = counts;
    const tooMany = Math.max(0, denied - this.#limits.denied);
    await this.#drop('dropDenied', tooMany);
    await this.#drop('dropOldest', rows - tooMany - this.#limits.rows);
    this.#atMost = { rows: Math.min(rows - tooMany, this.#limits.rows), denied: denied - tooMany };
  }

  async #drop(statement: 'dropDenied' | 'dropOldest', tooMany: number): Promise<void> {
    for (let left = tooMany; left > 0; left -= PIECE) {
      await this.#use(({ statements }) => statements[statement].run(Math.min(left, PIECE)));
      await nextTurn();
    }
  }

  /** Repeats a change of at most {@link PIECE} rows until it changes none. */
  async #inPieces(change: (opened: Opened) => number): Promise<void> {
    while ((await this.#use(change)) > 0) await nextTurn();
  }

  /** Where the work finds damage, it is done once more in an empty database. */
  async #use<T>(work: (opened: Opened) => T): Promise<T> {
    while (this.#replacing !== undefined) await this.#replacing;
    const opened = this.#opened;
    try {
      return work(opened);
    } catch (error) {
      if (!isDamage(error) || !opened.database.isOpen) throw error;
      if (this.#opened === opened)
        this.#replacing ??= this.#replace(error).finally(() => (this.#replacing = undefined));
      await this.#replacing;
      return work(this.#opened);
    }
  }

  async #replace(error: Error): Promise<void> {
    this.#opened.database.close();
    await setAside(this.#file);
    this.#opened = await openFile(this.#file, this.#options.now);
    this.#options.onDamage(
      `The observed requests in ${this.#file} could not be read (${error.message}): they are counted from now on again`,
    );
  }
}

function addAll({ add }: Statements, observations: readonly Observation[]): void {
  for (const each of observations) add.run(...keyOf(each), each.count, each.lastAt);
}

/** Adds rows of hours before a day to those of their own days. Returns their number, at most {@link PIECE}. */
function joinHours(opened: Opened, before: number): number {
  return transact(opened, ({ statements }) => {
    const rows = statements.hourly.all(before, PIECE).map(observationOf);
    for (const row of rows) statements.remove.run(...keyOf(row));
    addAll(
      statements,
      rows.map((row) => ({ ...row, period: dayOf(row.period) })),
    );
    return rows.length;
  });
}

function transact<T>(opened: Opened, work: (opened: Opened) => T): T {
  const { database } = opened;
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work(opened);
    database.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has rolled back already where the disk is full.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function keyOf({
  period,
  principal,
  action,
  target,
  verdict,
}: ObservationKey): [number, string, string, string, string] {
  return [period, principal, action, target, verdict];
}

function observationOf(row: Record<string, unknown>): Observation {
  return {
    period: row['period'] as number,
    principal: row['principal'] as string,
    action: row['action'] as string,
    target: row['target'] as string,
    verdict: row['verdict'] as AccessVerdict,
    count: row['count'] as number,
    lastAt: row['last_at'] as number,
  };
}
