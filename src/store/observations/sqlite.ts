import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AccessVerdict } from '../../telemetry/index.ts';
import { type OpenedDatabase, openBegunDatabase, type ReplaceableDatabase, transact } from '../replaceable-database.ts';
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

type Opened = OpenedDatabase<keyof typeof STATEMENTS>;

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
  const { onDamage, now = Date.now, limits = OBSERVATION_LIMITS } = options;
  const { database, begun } = await openBegunDatabase(file, {
    now,
    version: VERSION,
    schema: SCHEMA,
    statements: STATEMENTS,
    onDamage: ({ message }) =>
      onDamage(`The observed requests in ${file} could not be read (${message}): they are counted from now on again`),
  });
  return new SqliteObservationStore(database, { begun, limits });
}

class SqliteObservationStore implements ObservationStore {
  readonly #database: ReplaceableDatabase<keyof typeof STATEMENTS>;
  readonly #limits: ObservationLimits;
  /** Of the database in use. */
  readonly #begun: { readonly at: number };
  /** There are no more rows than these; undefined until they are counted. */
  #atMost: { rows: number; denied: number } | undefined;

  constructor(
    database: ReplaceableDatabase<keyof typeof STATEMENTS>,
    { begun, limits }: { readonly begun: { readonly at: number }; readonly limits: ObservationLimits },
  ) {
    this.#database = database;
    this.#begun = begun;
    this.#limits = limits;
  }

  get since(): number {
    return this.#begun.at;
  }

  async add(observations: readonly Observation[]): Promise<void> {
    for (let at = 0; at < observations.length; at += PIECE) {
      if (at > 0) await nextTurn();
      const piece = observations.slice(at, at + PIECE);
      await this.#database.use((opened) => transact(opened, ({ statements }) => addAll(statements, piece)));
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
    return await this.#database.use(({ statements }) => statements.list.all(...key, limit).map(observationOf));
  }

  async trim(now: number): Promise<void> {
    await this.#inPieces(({ statements }) => Number(statements.outdated.run(now - this.#limits.age, PIECE).changes));
    await this.#inPieces((opened) => joinHours(opened, dayOf(now - HOURLY_FOR)));
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  /** Counting reads the whole table, some 15 ms: it is put off until the limits may be reached. */
  async #limit(added: readonly Observation[]): Promise<void> {
    if (this.#atMost !== undefined) {
      this.#atMost.rows += added.length;
      this.#atMost.denied += added.filter(({ verdict }) => verdict === 'denied').length;
      if (this.#atMost.rows <= this.#limits.rows && this.#atMost.denied <= this.#limits.denied) return;
    }
    const counts = await this.#database.use(({ statements }) => statements.counts.get() as Record<string, number>);
    const { rows = 0, denied = 0 } = counts;
    const tooMany = Math.max(0, denied - this.#limits.denied);
    await this.#drop('dropDenied', tooMany);
    await this.#drop('dropOldest', rows - tooMany - this.#limits.rows);
    this.#atMost = { rows: Math.min(rows - tooMany, this.#limits.rows), denied: denied - tooMany };
  }

  async #drop(statement: 'dropDenied' | 'dropOldest', tooMany: number): Promise<void> {
    for (let left = tooMany; left > 0; left -= PIECE) {
      await this.#database.use(({ statements }) => statements[statement].run(Math.min(left, PIECE)));
      await nextTurn();
    }
  }

  /** Repeats a change of at most {@link PIECE} rows until it changes none. */
  async #inPieces(change: (opened: Opened) => number): Promise<void> {
    while ((await this.#database.use(change)) > 0) await nextTurn();
  }
}

function addAll({ add }: Opened['statements'], observations: readonly Observation[]): void {
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
