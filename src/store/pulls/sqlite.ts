import { setImmediate as nextTurn } from 'node:timers/promises';
import { type OpenedDatabase, ReplaceableDatabase, transact } from '../replaceable-database.ts';
import {
  clientTextOf,
  DAY,
  dayOf,
  type Figure,
  type FigureKey,
  HOURLY_FOR,
  hasAll,
  imageTextOf,
  type LastPull,
  PULL_LIMITS,
  type PullFilter,
  type PullLimits,
  type PullPosition,
  type PullRecord,
  type PullStore,
  type PullSummary,
} from './pull-store.ts';

/** Rows of figures and last pulls that one transaction changes: a few milliseconds, after which the event loop turns. */
const PIECE = 256;
/** Pulls that one transaction adds: their requests are made JSON of in the same turn. */
const PULLS_PIECE = 32;
/** Pulls that are looked at in one turn. */
const LOOKED_AT = 500;

/** Of the layout below. A database of another version is set aside. */
const VERSION = 1;

const SCHEMA = `
  -- In the order of their end.
  CREATE TABLE pulls (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    image TEXT NOT NULL,    -- in lower case, with the reference
    client TEXT NOT NULL,   -- in lower case: address, user and user agent, a line each
    summary TEXT NOT NULL,  -- JSON
    ids TEXT NOT NULL,      -- of its requests, a space around each
    detail TEXT NOT NULL    -- JSON of the rest
  ) STRICT;
  CREATE INDEX pulls_by_time ON pulls (at, id);
  CREATE INDEX refused_pulls ON pulls (seq) WHERE outcome = 'refused';
  CREATE TABLE figures (
    period INTEGER NOT NULL,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    pulls INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    fetched INTEGER NOT NULL,
    PRIMARY KEY (period, registry, repository)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE last_pulls (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY (registry, repository, tag)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX last_pulls_by_time ON last_pulls (at);
  -- The one row of it says when the database was begun.
  CREATE TABLE begun (at INTEGER NOT NULL) STRICT;
`;

const FIGURE_KEY = '(period, registry, repository)';
const FIGURE = 'period, registry, repository, pulls, requests, hits, failed, bytes, fetched';

const STATEMENTS = {
  addPull: `INSERT INTO pulls (at, id, outcome, image, client, summary, ids, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  page: `SELECT seq, at, id, outcome, image, client FROM pulls WHERE (at, id) < (?, ?) ORDER BY at DESC, id DESC LIMIT ?`,
  summary: 'SELECT summary FROM pulls WHERE seq = ?',
  find: "SELECT summary, detail FROM pulls WHERE instr(ids, ' ' || ? || ' ') > 0 ORDER BY seq DESC LIMIT 1",
  pullCounts: `SELECT count(*) AS pulls, total(length(detail)) AS bytes,
    (SELECT count(*) FROM pulls WHERE outcome = 'refused') AS refused FROM pulls`,
  oldestPulls: 'SELECT seq, length(detail) AS size FROM pulls ORDER BY seq LIMIT ?',
  dropPulls: 'DELETE FROM pulls WHERE seq <= ?',
  dropRefused: "DELETE FROM pulls WHERE seq IN (SELECT seq FROM pulls WHERE outcome = 'refused' ORDER BY seq LIMIT ?)",
  addFigure: `INSERT INTO figures (${FIGURE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET pulls = pulls + excluded.pulls, requests = requests + excluded.requests,
      hits = hits + excluded.hits, failed = failed + excluded.failed, bytes = bytes + excluded.bytes,
      fetched = fetched + excluded.fetched`,
  figures: `SELECT ${FIGURE} FROM figures WHERE ${FIGURE_KEY} > (?, ?, ?) AND period >= ? AND period < ?
    ORDER BY period, registry, repository LIMIT ?`,
  outdated: `DELETE FROM figures WHERE ${FIGURE_KEY} IN
    (SELECT period, registry, repository FROM figures WHERE period < ? LIMIT ?)`,
  hourly: `SELECT ${FIGURE} FROM figures WHERE period < ? AND period % ${DAY} <> 0 LIMIT ?`,
  removeFigure: 'DELETE FROM figures WHERE period = ? AND registry = ? AND repository = ?',
  figureCount: 'SELECT count(*) AS count FROM figures',
  dropFigures: `DELETE FROM figures WHERE ${FIGURE_KEY} IN
    (SELECT period, registry, repository FROM figures ORDER BY period LIMIT ?)`,
  addLastPull: `INSERT INTO last_pulls (registry, repository, tag, at, by) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET at = excluded.at, by = excluded.by WHERE excluded.at >= at`,
  lastPulls: `SELECT registry, repository, tag, at, by FROM last_pulls WHERE registry = ? AND repository = ?
    ORDER BY at DESC LIMIT ?`,
  lastPull: `SELECT registry, repository, tag, at, by FROM last_pulls WHERE registry = ? AND repository = ? AND tag = ?`,
  lastPullCount: 'SELECT count(*) AS count FROM last_pulls',
  dropLastPulls: `DELETE FROM last_pulls WHERE (registry, repository, tag) IN
    (SELECT registry, repository, tag FROM last_pulls ORDER BY at LIMIT ?)`,
  begun: 'SELECT at FROM begun',
  begin: 'INSERT INTO begun (at) VALUES (?)',
} as const;

type Opened = OpenedDatabase<keyof typeof STATEMENTS>;

export interface PullStoreOptions {
  /** Called where the database was damaged, and an empty one has taken its place. */
  readonly onDamage: (message: string) => void;
  /** @default PULL_LIMITS */
  readonly limits?: PullLimits;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

/**
 * Opens the record of pulls of a cache directory, creating it if missing. A database that is damaged, or of another release, is
 * set aside under the name `pulls.db.corrupt`, where the latest one is kept; an empty one takes its place, now or whenever the
 * damage is found.
 *
 * A power cut may undo the last minutes.
 */
export async function openPullStore(file: string, options: PullStoreOptions): Promise<PullStore> {
  const { onDamage, now = Date.now, limits = PULL_LIMITS } = options;
  const begun = { at: 0 };
  const database = await ReplaceableDatabase.open(file, {
    version: VERSION,
    schema: SCHEMA,
    statements: STATEMENTS,
    onDamage: ({ message }) =>
      onDamage(`The record of pulls in ${file} could not be read (${message}): it begins again now`),
    onOpen({ statements }) {
      const found = statements.begun.get()?.['at'] as number | undefined;
      begun.at = found ?? now();
      if (found === undefined) statements.begin.run(begun.at);
    },
  });
  return new SqlitePullStore(database, { begun, limits });
}

class SqlitePullStore implements PullStore {
  readonly #database: ReplaceableDatabase<keyof typeof STATEMENTS>;
  readonly #limits: PullLimits;
  /** Of the database in use. */
  readonly #begun: { readonly at: number };
  /** There are no more than these; undefined until they are counted. */
  #pullsAtMost: { pulls: number; refused: number; bytes: number } | undefined;
  #figuresAtMost: number | undefined;
  #lastPullsAtMost: number | undefined;

  constructor(
    database: ReplaceableDatabase<keyof typeof STATEMENTS>,
    { begun, limits }: { readonly begun: { readonly at: number }; readonly limits: PullLimits },
  ) {
    this.#database = database;
    this.#begun = begun;
    this.#limits = limits;
  }

  get since(): number {
    return this.#begun.at;
  }

  async count(figures: readonly Figure[], lastPulls: readonly LastPull[]): Promise<void> {
    await this.#database.use((opened) =>
      transact(opened, ({ statements: { addFigure, addLastPull } }) => {
        for (const each of figures) addFigure.run(...figureValues(each));
        for (const { registry, repository, tag, at, by } of lastPulls)
          addLastPull.run(registry, repository, tag, at, by);
      }),
    );
    this.#figuresAtMost = await this.#limit(this.#figuresAtMost, figures.length, {
      most: this.#limits.figures,
      count: 'figureCount',
      drop: 'dropFigures',
    });
    this.#lastPullsAtMost = await this.#limit(this.#lastPullsAtMost, lastPulls.length, {
      most: this.#limits.lastPulls,
      count: 'lastPullCount',
      drop: 'dropLastPulls',
    });
  }

  async add(pulls: readonly PullRecord[]): Promise<void> {
    let bytes = 0;
    for (let at = 0; at < pulls.length; at += PULLS_PIECE) {
      if (at > 0) await nextTurn();
      const piece = pulls.slice(at, at + PULLS_PIECE).map(rowOf);
      bytes += piece.reduce((sum, row) => sum + row[7].length, 0);
      await this.#database.use((opened) =>
        transact(opened, ({ statements: { addPull } }) => {
          for (const row of piece) addPull.run(...row);
        }),
      );
    }
    await this.#limitPulls(pulls, bytes);
  }

  async list({
    before,
    limit,
    filter = {},
  }: {
    readonly before?: PullPosition | undefined;
    readonly limit: number;
    readonly filter?: PullFilter | undefined;
  }): Promise<readonly PullSummary[]> {
    const { image, client, outcome } = filter;
    const found: PullSummary[] = [];
    let position: PullPosition = before ?? { at: Number.MAX_SAFE_INTEGER, id: '' };
    for (;;) {
      const rows = await this.#database.use(({ statements: { page, summary } }) => {
        const looked = page.all(position.at, position.id, LOOKED_AT);
        for (const row of looked) {
          if (found.length >= limit) break;
          if (outcome !== undefined && row['outcome'] !== outcome) continue;
          if (!hasAll(row['image'] as string, image) || !hasAll(row['client'] as string, client)) continue;
          const text = summary.get(row['seq'] as number)?.['summary'];
          if (typeof text === 'string') found.push(JSON.parse(text) as PullSummary);
        }
        return looked;
      });
      const last = rows.at(-1);
      if (found.length >= limit || last === undefined || rows.length < LOOKED_AT) return found;
      position = { at: last['at'] as number, id: last['id'] as string };
      await nextTurn();
    }
  }

  async find(request: string): Promise<PullRecord | undefined> {
    // A space would find two ids that follow each other.
    if (request === '' || request.includes(' ')) return undefined;
    const row = await this.#database.use(({ statements: { find } }) => find.get(request));
    if (row === undefined) return undefined;
    return { ...JSON.parse(row['summary'] as string), ...JSON.parse(row['detail'] as string) } as PullRecord;
  }

  async figures({
    from,
    to,
    after = { period: -1, registry: '', repository: '' },
    limit,
  }: {
    readonly from: number;
    readonly to: number;
    readonly after?: FigureKey | undefined;
    readonly limit: number;
  }): Promise<readonly Figure[]> {
    const { period, registry, repository } = after;
    return await this.#database.use(({ statements: { figures } }) =>
      figures.all(period, registry, repository, from, to, limit).map(figureOf),
    );
  }

  async lastPulls(
    { registry, repository }: Pick<LastPull, 'registry' | 'repository'>,
    limit: number,
  ): Promise<readonly LastPull[]> {
    return await this.#database.use(({ statements: { lastPulls } }) =>
      lastPulls.all(registry, repository, limit).map(lastPullOf),
    );
  }

  async lastPull({
    registry,
    repository,
    tag,
  }: Pick<LastPull, 'registry' | 'repository' | 'tag'>): Promise<LastPull | undefined> {
    const row = await this.#database.use(({ statements: { lastPull } }) => lastPull.get(registry, repository, tag));
    return row === undefined ? undefined : lastPullOf(row);
  }

  async trim(now: number): Promise<void> {
    await this.#inPieces(({ statements }) => Number(statements.outdated.run(now - this.#limits.age, PIECE).changes));
    await this.#inPieces((opened) => joinHours(opened, dayOf(now - HOURLY_FOR)));
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async #limitPulls(added: readonly PullRecord[], addedBytes: number): Promise<void> {
    const { pulls, refused, bytes } = this.#limits;
    const atMost = this.#pullsAtMost;
    if (atMost !== undefined) {
      atMost.pulls += added.length;
      atMost.bytes += addedBytes;
      atMost.refused += added.filter(({ outcome }) => outcome === 'refused').length;
      if (atMost.pulls <= pulls && atMost.refused <= refused && atMost.bytes <= bytes) return;
    }
    const found = await this.#pullCounts();
    await this.#drop('dropRefused', found.refused - refused);
    const left = found.refused > refused ? await this.#pullCounts() : found;
    while (left.pulls > pulls || left.bytes > bytes) {
      const dropped = await this.#database.use(({ statements: { oldestPulls, dropPulls } }) => {
        const oldest = oldestPulls.all(PIECE);
        let at = 0;
        let size = 0;
        while (at < oldest.length && (left.pulls - at > pulls || left.bytes - size > bytes)) {
          size += oldest[at]?.['size'] as number;
          at += 1;
        }
        const last = oldest[at - 1];
        if (last !== undefined) dropPulls.run(last['seq'] as number);
        return { pulls: at, bytes: size };
      });
      if (dropped.pulls === 0) break;
      left.pulls -= dropped.pulls;
      left.bytes -= dropped.bytes;
      await nextTurn();
    }
    this.#pullsAtMost = left;
  }

  async #pullCounts(): Promise<{ pulls: number; refused: number; bytes: number }> {
    const row = await this.#database.use(
      ({ statements: { pullCounts } }) => pullCounts.get() as Record<string, number>,
    );
    const { pulls = 0, refused = 0, bytes = 0 } = row;
    return { pulls, refused, bytes };
  }

  /** Counting reads the whole table: it is put off until the limit may be reached. @returns how many there are at most */
  async #limit(
    atMost: number | undefined,
    added: number,
    {
      most,
      count,
      drop,
    }: {
      readonly most: number;
      readonly count: 'figureCount' | 'lastPullCount';
      readonly drop: 'dropFigures' | 'dropLastPulls';
    },
  ): Promise<number> {
    if (atMost !== undefined && atMost + added <= most) return atMost + added;
    const rows = await this.#database.use(({ statements }) => statements[count].get()?.['count'] as number);
    await this.#drop(drop, rows - most);
    return Math.min(rows, most);
  }

  async #drop(statement: 'dropRefused' | 'dropFigures' | 'dropLastPulls', tooMany: number): Promise<void> {
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

/** Adds rows of hours before a day to those of their own days. Returns their number, at most {@link PIECE}. */
function joinHours(opened: Opened, before: number): number {
  return transact(opened, ({ statements: { hourly, removeFigure, addFigure } }) => {
    const rows = hourly.all(before, PIECE).map(figureOf);
    for (const { period, registry, repository } of rows) removeFigure.run(period, registry, repository);
    for (const row of rows) addFigure.run(...figureValues({ ...row, period: dayOf(row.period) }));
    return rows.length;
  });
}

type PullRow = [number, string, string, string, string, string, string, string];

function rowOf(pull: PullRecord): PullRow {
  const { requestList, omitted, rule, verdict, ...summary } = pull;
  const ids = ` ${requestList.map(({ id }) => id).join(' ')} `;
  const detail = JSON.stringify({
    requestList,
    omitted,
    ...(rule === undefined ? {} : { rule }),
    ...(verdict === undefined ? {} : { verdict }),
  });
  const { at, id, outcome } = pull;
  return [at, id, outcome, imageTextOf(pull), clientTextOf(pull), JSON.stringify(summary), ids, detail];
}

type FigureValues = [number, string, string, number, number, number, number, number, number];

function figureValues(figure: Figure): FigureValues {
  const { period, registry, repository, pulls, requests, hits, failed, bytes, fetched } = figure;
  return [period, registry, repository, pulls, requests, hits, failed, bytes, fetched];
}

function figureOf(row: Record<string, unknown>): Figure {
  // Of its own prototype, as of every other store.
  return { ...(row as unknown as Figure) };
}

function lastPullOf(row: Record<string, unknown>): LastPull {
  return { ...(row as unknown as LastPull) };
}
