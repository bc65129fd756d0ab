import { keyOf } from '../../lib/index.ts';
import {
  dayOf,
  HOURLY_FOR,
  OBSERVATION_LIMITS,
  type Observation,
  type ObservationKey,
  type ObservationLimits,
  type ObservationStore,
} from './observation-store.ts';

/** Some 10 MB. */
const IN_MEMORY: ObservationLimits = { ...OBSERVATION_LIMITS, rows: 20_000, denied: 5000 };

interface MemoryObservationOptions {
  /** @default 20,000 rows, of which 5000 of refused requests, for 90 days */
  readonly limits?: ObservationLimits;
  /** Milliseconds since the epoch. @default now */
  readonly since?: number;
}

/** An {@link ObservationStore} in memory: for tests, and for `cache: off`. */
export class MemoryObservationStore implements ObservationStore {
  readonly since: number;
  readonly #limits: ObservationLimits;
  #rows = new Map<string, Observation>();

  constructor({ limits = IN_MEMORY, since = Date.now() }: MemoryObservationOptions = {}) {
    this.#limits = limits;
    this.since = since;
  }

  async add(observations: readonly Observation[]): Promise<void> {
    for (const each of observations) this.#add(each);
    this.#limit();
  }

  async list({
    after,
    limit,
  }: {
    readonly after?: ObservationKey | undefined;
    readonly limit: number;
  }): Promise<readonly Observation[]> {
    const rows = this.#ordered();
    return (after === undefined ? rows : rows.filter((row) => compare(row, after) > 0)).slice(0, limit);
  }

  async trim(now: number): Promise<void> {
    const rows = [...this.#rows.values()];
    const joined = dayOf(now - HOURLY_FOR);
    this.#rows = new Map();
    for (const row of rows) {
      if (row.period < now - this.#limits.age) continue;
      this.#add(row.period < joined ? { ...row, period: dayOf(row.period) } : row);
    }
    this.#limit();
  }

  async close(): Promise<void> {}

  #add(observation: Observation): void {
    const { period, principal, action, target, verdict } = observation;
    const key = keyOf(String(period), principal, action, target, verdict);
    const found = this.#rows.get(key);
    const count = (found?.count ?? 0) + observation.count;
    this.#rows.set(key, { ...observation, count, lastAt: Math.max(found?.lastAt ?? 0, observation.lastAt) });
  }

  #limit(): void {
    this.#drop((row) => row.verdict === 'denied', this.#limits.denied);
    this.#drop(() => true, this.#limits.rows);
  }

  /** Drops the oldest of the rows that fit, beyond so many. */
  #drop(fits: (row: Observation) => boolean, most: number): void {
    const rows = [...this.#rows.values()].filter(fits);
    if (rows.length <= most) return;
    const dropped = new Set(rows.sort(compare).slice(0, rows.length - most));
    this.#rows = new Map([...this.#rows].filter(([, row]) => !dropped.has(row)));
  }

  #ordered(): Observation[] {
    return [...this.#rows.values()].sort(compare);
  }
}

/** Any order will do within a period, as long as it is the same each time. */
function compare(one: ObservationKey, other: ObservationKey): number {
  if (one.period !== other.period) return one.period - other.period;
  for (const column of ['principal', 'action', 'target', 'verdict'] as const) {
    if (one[column] !== other[column]) return one[column] < other[column] ? -1 : 1;
  }
  return 0;
}
