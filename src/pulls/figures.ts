import type { Figure, FigureSums } from '../store/index.ts';

/** Repositories that are counted by their names in one hour; what others do is counted without a name. */
const MAX_NAMES = 1000;

const HOUR = 3_600_000;
/** Milliseconds of one step of the rates. */
export const RATE_STEP = 5000;
const RATE_STEPS = 60;

/** What one repository did in one hour and is not written yet. */
export interface FigureRow extends Figure {
  pulls: number;
  requests: number;
  hits: number;
  failed: number;
  bytes: number;
  fetched: number;
}

/** A second, over one step. */
export interface Rates {
  /** The end of the step. Milliseconds since the epoch. */
  readonly at: number;
  readonly requests: number;
  readonly hits: number;
  /** Bytes to clients. */
  readonly bytes: number;
  /** Bytes from upstreams. */
  readonly fetched: number;
}

type Totals = Omit<Rates, 'at'>;

/** The sums that are not written yet, by hour and repository, and the rates of the last five minutes. Bounded. */
export class Figures {
  /** Of the running hour and, until they are written, of those before. */
  #rows = new Map<string, FigureRow>();
  #hour = 0;
  #names = 0;
  readonly #totals: { -readonly [K in keyof Totals]: number } = { requests: 0, hits: 0, bytes: 0, fetched: 0 };
  /** At the end of the last step. */
  #before: Totals = { ...this.#totals };
  #rates: readonly Rates[] = [];
  #steppedAt: number;

  /** @param now milliseconds since the epoch */
  constructor(now: number) {
    this.#steppedAt = now;
  }

  /** The hour of a time: rows are valid in theirs. */
  static hourOf(now: number): number {
    return now - (now % HOUR);
  }

  /**
   * The row of a repository.
   *
   * @param isKnown the repository exists, as it was answered for: otherwise its name is counted only where it is known already,
   * so that names that clients invent take no room
   */
  rowOf(names: { readonly registry: string; readonly repository: string }, now: number, isKnown: boolean): FigureRow {
    const { registry, repository } = names;
    const period = Figures.hourOf(now);
    if (period !== this.#hour) {
      this.#hour = period;
      this.#names = 0;
    }
    const key = `${period} ${registry}/${repository}`;
    const found = this.#rows.get(key);
    if (found !== undefined) return found;
    const isNamed = isKnown && registry !== '' && repository !== '' && this.#names < MAX_NAMES;
    if (!isNamed && registry !== '') return this.rowOf({ registry: '', repository: '' }, now, false);
    if (isNamed) this.#names += 1;
    const sums = { pulls: 0, requests: 0, hits: 0, failed: 0, bytes: 0, fetched: 0 };
    const row = { period, registry, repository, ...sums };
    this.#rows.set(key, row);
    return row;
  }

  /** Counts a request that was answered. */
  countRequest(row: FigureRow, { isHit, isFailed }: { readonly isHit: boolean; readonly isFailed: boolean }): void {
    const totals = this.#totals;
    row.requests += 1;
    totals.requests += 1;
    if (isHit) {
      row.hits += 1;
      totals.hits += 1;
    }
    if (isFailed) row.failed += 1;
  }

  countBytes(row: FigureRow, kind: 'bytes' | 'fetched', count: number): void {
    if (count === 0) return;
    row[kind] += count;
    this.#totals[kind] += count;
  }

  /** What is not written yet. */
  unwritten(): readonly Figure[] {
    return [...this.#rows.values()].filter(isCounted).map((row) => ({ ...row }));
  }

  /** Hands out what is to be written, and forgets it. */
  take(now: number): readonly Figure[] {
    const taken = this.unwritten();
    const hour = Figures.hourOf(now);
    for (const [key, row] of this.#rows) {
      if (row.period < hour) this.#rows.delete(key);
      else Object.assign(row, { pulls: 0, requests: 0, hits: 0, failed: 0, bytes: 0, fetched: 0 });
    }
    return taken;
  }

  /** Takes back what could not be written. */
  putBack(figures: readonly Figure[]): void {
    for (const figure of figures) {
      const key = `${figure.period} ${figure.registry}/${figure.repository}`;
      const row = this.#rows.get(key);
      if (row === undefined) this.#rows.set(key, { ...figure });
      else for (const field of FIELDS) row[field] += figure[field];
    }
  }

  /** Whether a step of the rates is over. */
  isStepOver(now: number): boolean {
    // A clock that was set back begins a step as well.
    return now - this.#steppedAt >= RATE_STEP || now < this.#steppedAt;
  }

  /** Ends a step of the rates. */
  step(now: number): Rates {
    const seconds = Math.max(now - this.#steppedAt, 1) / 1000;
    const { requests, hits, bytes, fetched } = this.#totals;
    const rates = {
      at: now,
      requests: (requests - this.#before.requests) / seconds,
      hits: (hits - this.#before.hits) / seconds,
      bytes: Math.round((bytes - this.#before.bytes) / seconds),
      fetched: Math.round((fetched - this.#before.fetched) / seconds),
    };
    this.#before = { requests, hits, bytes, fetched };
    this.#steppedAt = now;
    this.#rates = [...this.#rates, rates].slice(-RATE_STEPS);
    return rates;
  }

  /** The last five minutes, the oldest first. */
  get rates(): readonly Rates[] {
    return this.#rates;
  }
}

const FIELDS = ['pulls', 'requests', 'hits', 'failed', 'bytes', 'fetched'] as const satisfies (keyof FigureSums)[];

function isCounted(row: FigureSums): boolean {
  return FIELDS.some((field) => row[field] !== 0);
}
