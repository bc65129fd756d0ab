import type { Stage } from './stage.ts';

/** One kind of fault: what is done, what must hold, and how it is found out. */
export interface Row {
  /** For `--only`: `cuts`. */
  readonly id: string;
  /** As the table says it. */
  readonly what: string;
  /** What must hold, as the table says it. */
  readonly reach: string;
  /** Seconds after which the row has failed, in the short form; the long form has what it takes. @default 90 */
  readonly within?: number;
  run(stage: Stage): Promise<Outcome>;
}

/** What was found. */
export interface Outcome {
  /** As the table says it: `100 pulls, 0 failed`. */
  readonly figure: string;
  /** What must hold and did not; empty means that the row is met. */
  readonly misses: readonly string[];
  /** For the JSON: whatever was counted or measured. */
  readonly figures?: Readonly<Record<string, number | string>>;
  /** What the reader of the table should know. */
  readonly notes?: readonly string[];
  /** Why nothing was done here, and what would do. */
  readonly skipped?: string;
}

/** Nothing was done here. */
export function skipped(reason: string): Outcome {
  return { figure: 'skipped', misses: [], skipped: reason };
}

/** Misses kept in full; the rest are counted. */
const MAX_MISSES = 12;

/** Collects what did not hold, without growing when nothing does. */
export class Misses {
  readonly #kept: string[] = [];
  #count = 0;

  add(miss: string): void {
    this.#count += 1;
    if (this.#kept.length < MAX_MISSES) this.#kept.push(miss);
  }

  /** Adds the miss unless it holds. */
  expect(holds: boolean, miss: string): void {
    if (!holds) this.add(miss);
  }

  get count(): number {
    return this.#count;
  }

  list(): readonly string[] {
    const more = this.#count - this.#kept.length;
    return more > 0 ? [...this.#kept, `… and ${more} more`] : [...this.#kept];
  }
}
