import { hourOf, type Observation, type ObservationStore } from '../../store/index.ts';
import type { AccessOutcome, AccessVerdict, Telemetry } from '../../telemetry/index.ts';
import { targetOf } from './target.ts';

/** Milliseconds between two writes. */
const WRITE_EVERY = 60_000;
/** Milliseconds between two times that old rows are deleted. */
const TRIM_EVERY = 3_600_000;

/** Keys between two writes: 10,000 take some 3 MB, and with the longest names 10 MB. Requests with further keys are counted without their names. */
const MAX_PENDING = 10_000;
/** Of these, keys of refused requests, which a client without any right can cause. */
const MAX_PENDING_DENIED = 2000;

interface RecorderOptions {
  readonly store: ObservationStore;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
  /** Milliseconds between two writes. @default a minute */
  readonly writeEvery?: number;
}

/** What was observed. */
export interface Observed {
  readonly store: ObservationStore;
  /** Counts that are not in the store: they add to those of their keys there. */
  readonly unwritten: readonly Observation[];
}

interface Counted {
  readonly count: number;
  readonly lastAt: number;
}

interface Pending {
  readonly outcome: Pick<AccessOutcome, 'principal' | 'action' | 'verdict'>;
  readonly target: string;
  count: number;
  lastAt: number;
}

/**
 * Counts what the rules said to each request, in memory, and writes the counts once a minute. A request costs one look-up in
 * a map.
 */
export class Recorder {
  readonly #store: ObservationStore;
  readonly #telemetry: Telemetry;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #pending = new Map<string, Pending>();
  /** The one that was counted last: most requests are like the one before. */
  #last: { readonly outcome: AccessOutcome; readonly pending: Pending } | undefined;
  #pendingDenied = 0;
  #trimmedAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  #isFailing = false;

  constructor({ store, telemetry, now = Date.now, writeEvery = WRITE_EVERY }: RecorderOptions) {
    this.#store = store;
    this.#telemetry = telemetry;
    this.#now = now;
    this.#unsubscribe = telemetry.on('access.decided', (outcome) => this.#count(outcome));
    this.#timer = setInterval(() => void this.write(), writeEvery);
    this.#timer.unref();
  }

  /** Everything counted so far: in the store, and beside it what the disk refused. */
  async read(): Promise<Observed> {
    await this.write();
    return { store: this.#store, unwritten: [...this.#pending.values()].map(observationOf) };
  }

  /** Writes what was counted since the last time. Never rejects: where the disk refuses it, the counts are kept for the next. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Writes the rest, and closes the store. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#unsubscribe();
    await this.write();
    await this.#store.close();
  }

  async #write(): Promise<void> {
    const pending = [...this.#pending.values()];
    this.#pending = new Map();
    this.#last = undefined;
    this.#pendingDenied = 0;
    const now = this.#now();
    try {
      await this.#store.add(pending.map(observationOf));
      // A clock that was set back must not put it off.
      if (Math.abs(now - this.#trimmedAt) >= TRIM_EVERY) {
        this.#trimmedAt = now;
        await this.#store.trim(now);
      }
      this.#isFailing = false;
    } catch (error) {
      // Some of them may have been written: a count that is too high does no harm.
      for (const { outcome, target, count, lastAt } of pending) this.#add(outcome, target, { count, lastAt });
      if (!this.#isFailing) {
        const message = 'Cannot write the observed requests, from which `entrepot access suggest` makes rules';
        this.#telemetry.publish('warning', { message, error });
      }
      this.#isFailing = true;
    }
  }

  #count(outcome: AccessOutcome): void {
    const at = this.#now();
    if (this.#last !== undefined && isSame(this.#last.outcome, outcome)) {
      count(this.#last.pending, { count: 1, lastAt: at });
      return;
    }
    const target = targetOf(outcome);
    const counted = { count: 1, lastAt: at };
    const pending =
      target === undefined ? this.#addUnnamed(outcome.verdict, counted) : this.#add(outcome, target, counted);
    this.#last = { outcome, pending };
  }

  #add(outcome: Pending['outcome'], target: string, counted: Counted): Pending {
    const { principal, action, verdict } = outcome;
    const key = `${verdict}\n${action}\n${principal}\n${target}`;
    const found = this.#pending.get(key);
    if (found !== undefined) {
      count(found, counted);
      return found;
    }
    const isDenied = verdict === 'denied';
    const isFull = this.#pending.size >= MAX_PENDING || (isDenied && this.#pendingDenied >= MAX_PENDING_DENIED);
    if (isFull && principal !== '') return this.#addUnnamed(verdict, counted);
    if (isDenied) this.#pendingDenied += 1;
    const pending = { outcome, target, ...counted };
    this.#pending.set(key, pending);
    return pending;
  }

  /** One key for each verdict. */
  #addUnnamed(verdict: AccessVerdict, counted: Counted): Pending {
    return this.#add({ principal: '', action: '', verdict }, '', counted);
  }
}

function count(pending: Pending, { count: more, lastAt }: Counted): void {
  pending.count += more;
  pending.lastAt = Math.max(pending.lastAt, lastAt);
}

function isSame(one: AccessOutcome, other: AccessOutcome): boolean {
  return (
    one.repository === other.repository &&
    one.principal === other.principal &&
    one.verdict === other.verdict &&
    one.action === other.action &&
    one.registry === other.registry
  );
}

function observationOf({ outcome: { principal, action, verdict }, target, count, lastAt }: Pending): Observation {
  return { period: hourOf(lastAt), principal, action, verdict, target, count, lastAt };
}
