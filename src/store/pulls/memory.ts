import { keyOf } from '../../lib/index.ts';
import {
  addSums,
  asksFor,
  compareRecency,
  dayOf,
  type Figure,
  type FigureKey,
  HOURLY_FOR,
  type LastPull,
  matches,
  PULL_LIMITS,
  type PullFilter,
  type PullLimits,
  type PullPosition,
  type PullRecord,
  type PullStore,
  type PullSummary,
} from './pull-store.ts';

/** Some 20 MB. */
const IN_MEMORY: PullLimits = {
  ...PULL_LIMITS,
  pulls: 2000,
  refused: 400,
  bytes: 8 * 1024 * 1024,
  figures: 20_000,
  lastPulls: 10_000,
};

interface MemoryPullOptions {
  /** @default 2000 pulls, 20,000 rows of figures, 10,000 last pulls */
  readonly limits?: PullLimits;
  /** Milliseconds since the epoch. @default now */
  readonly since?: number;
}

interface Kept {
  readonly pull: PullRecord;
  /** Bytes of its requests, as JSON. */
  readonly size: number;
}

/** A {@link PullStore} in memory: for tests, and for `cache: off`. */
export class MemoryPullStore implements PullStore {
  readonly since: number;
  readonly #limits: PullLimits;
  /** In the order in which they were added. */
  #pulls: Kept[] = [];
  #figures = new Map<string, Figure>();
  readonly #lastPulls = new Map<string, LastPull>();

  constructor({ limits = IN_MEMORY, since = Date.now() }: MemoryPullOptions = {}) {
    this.#limits = limits;
    this.since = since;
  }

  async add(pulls: readonly PullRecord[]): Promise<void> {
    for (const pull of pulls) this.#pulls.push({ pull, size: JSON.stringify(pull.requestList).length });
    this.#limit();
  }

  async count(figures: readonly Figure[], lastPulls: readonly LastPull[]): Promise<void> {
    for (const each of figures) this.#addFigure(each);
    for (const each of lastPulls) this.#addLastPull(each);
    this.#limit();
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
    return this.#pulls
      .map(({ pull }) => summaryOf(pull))
      .filter((pull) => (before === undefined || compareRecency(pull, before) > 0) && matches(pull, filter))
      .sort(compareRecency)
      .slice(0, limit);
  }

  async find(request: string): Promise<PullRecord | undefined> {
    return this.#pulls.findLast(({ pull }) => asksFor(pull, request))?.pull;
  }

  async figures({
    from,
    to,
    after,
    limit,
  }: {
    readonly from: number;
    readonly to: number;
    readonly after?: FigureKey | undefined;
    readonly limit: number;
  }): Promise<readonly Figure[]> {
    return [...this.#figures.values()]
      .filter((row) => row.period >= from && row.period < to && (after === undefined || compare(row, after) > 0))
      .sort(compare)
      .slice(0, limit);
  }

  async lastPulls(
    { registry, repository }: Pick<LastPull, 'registry' | 'repository'>,
    limit: number,
  ): Promise<readonly LastPull[]> {
    return [...this.#lastPulls.values()]
      .filter((each) => each.registry === registry && each.repository === repository)
      .sort((one, other) => other.at - one.at)
      .slice(0, limit);
  }

  async lastPull({
    registry,
    repository,
    tag,
  }: Pick<LastPull, 'registry' | 'repository' | 'tag'>): Promise<LastPull | undefined> {
    return this.#lastPulls.get(keyOf(registry, repository, tag));
  }

  async trim(now: number): Promise<void> {
    const rows = [...this.#figures.values()];
    const joined = dayOf(now - HOURLY_FOR);
    this.#figures = new Map();
    for (const row of rows) {
      if (row.period < now - this.#limits.age) continue;
      this.#addFigure(row.period < joined ? { ...row, period: dayOf(row.period) } : row);
    }
  }

  async close(): Promise<void> {}

  #addFigure(figure: Figure): void {
    const { period, registry, repository } = figure;
    const key = keyOf(String(period), registry, repository);
    const found = this.#figures.get(key);
    this.#figures.set(key, found === undefined ? figure : { ...figure, ...addSums(found, figure) });
  }

  #addLastPull(pull: LastPull): void {
    const key = keyOf(pull.registry, pull.repository, pull.tag);
    const found = this.#lastPulls.get(key);
    if (found !== undefined && found.at > pull.at) return;
    this.#lastPulls.set(key, pull);
  }

  #limit(): void {
    const { pulls, refused, bytes, figures, lastPulls } = this.#limits;
    const refusedOnes = this.#pulls.filter(({ pull }) => pull.outcome === 'refused');
    const dropped = new Set(refusedOnes.slice(0, Math.max(0, refusedOnes.length - refused)));
    this.#pulls = this.#pulls.filter((each) => !dropped.has(each)).slice(-pulls);
    let size = this.#pulls.reduce((sum, each) => sum + each.size, 0);
    while (size > bytes) size -= this.#pulls.shift()?.size ?? size;
    drop(this.#figures, this.#figures.size - figures, (one, other) => one.period - other.period);
    drop(this.#lastPulls, this.#lastPulls.size - lastPulls, (one, other) => one.at - other.at);
  }
}

/** Drops so many, the first of an order. */
function drop<T>(rows: Map<string, T>, count: number, order: (one: T, other: T) => number): void {
  if (count <= 0) return;
  const sorted = [...rows].sort(([, one], [, other]) => order(one, other));
  for (const [key] of sorted.slice(0, count)) rows.delete(key);
}

function summaryOf(pull: PullRecord): PullSummary {
  const { requestList: _, omitted: __, rule: ___, verdict: ____, ...summary } = pull;
  return summary;
}

function compare(one: FigureKey, other: FigureKey): number {
  if (one.period !== other.period) return one.period - other.period;
  if (one.registry !== other.registry) return one.registry < other.registry ? -1 : 1;
  if (one.repository === other.repository) return 0;
  return one.repository < other.repository ? -1 : 1;
}
