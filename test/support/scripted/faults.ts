import type { RecordedRequest, RequestFilter } from './journal.ts';

/**
 * What goes wrong. Offsets are bytes of the blob or manifest, not of one answer: a body that is cut at 8 MB is not cut
 * again for a request that begins there. Several may be combined.
 *
 * `gate`, `delay`, `reset` and `status` meet a request when it arrives; the rest meets content when it is sent, so that a 401 or
 * a redirect on the way to it does not use up `times`. What is about a body leaves a HEAD alone.
 */
export interface Fault {
  /** How many times it strikes. @default every time */
  readonly times?: number;
  /** Leaves the first so many occasions alone. @default 0 */
  readonly after?: number;
  /** Hears of each request that it strikes. */
  readonly onStrike?: (request: RecordedRequest) => void;

  /** Waits here before anything is answered. */
  readonly gate?: Gate;
  /** Waits so many milliseconds before anything is answered: what is measured is a time. */
  readonly delay?: number;
  /** Closes the connection without an answer. */
  readonly reset?: boolean;

  /** Answers with this status and nothing else. */
  readonly status?: number;
  /** Set on the answer, in place of what it would have; null takes one away. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** The body of a `status` answer. @default the error JSON of the specification */
  readonly body?: string;

  /** Says another length than the body has. */
  readonly contentLength?: number;
  /** Sends the body chunked, without a length. */
  readonly chunked?: boolean;
  /** Answers 200 with everything where a range was asked. */
  readonly ignoreRange?: boolean;

  /** Answers with another part, and says so: it begins so many bytes later. */
  readonly shifted?: number;

  /** The connection breaks here. */
  readonly cutAt?: number;
  /** The connection breaks after so many bytes of this answer. */
  readonly cutAfter?: number;
  /** A chunked body ends here as if it were whole. Implies `chunked`. */
  readonly endAt?: number;
  /** A chunked body ends after so many bytes of this answer as if it were whole. Implies `chunked`. */
  readonly endAfter?: number;
  /** The body stops here until the gate is opened, or for ever. */
  readonly stallAt?: number;
  /** The body stops after so many bytes of this answer. */
  readonly stallAfter?: number;
  readonly stallGate?: Gate;
  /** This byte is wrong. */
  readonly flipAt?: number;
  /** The byte after so many of this answer is wrong. */
  readonly flipAfter?: number;
  /** A part goes on for so many bytes behind its end. Implies `chunked`. */
  readonly runsOver?: number;
  /** Sends no faster than this. */
  readonly bytesPerSecond?: number;
  /** All answers together are sent no faster than this line takes them. */
  readonly line?: Line;
}

/** A line that answers share. */
export class Line {
  readonly #bytesPerSecond: number;
  /** When it has sent what it was given. */
  #freeAt = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Milliseconds until the line has sent so many bytes more. */
  take(bytes: number): number {
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + (bytes / this.#bytesPerSecond) * 1000;
    return this.#freeAt - now;
  }
}

/** A gate requests wait at until it is opened: makes "while it runs" a fact instead of a sleep. */
export class Gate {
  #waiting = 0;
  #open = false;
  readonly #released: (() => void)[] = [];
  readonly #watchers: { readonly count: number; readonly tell: () => void }[] = [];

  /** How many have arrived so far. */
  get arrivals(): number {
    return this.#waiting;
  }

  /** Waits until opened. */
  pass(): Promise<void> {
    this.#waiting += 1;
    for (const watcher of this.#watchers) if (this.#waiting >= watcher.count) watcher.tell();
    if (this.#open) return Promise.resolve();
    return new Promise((resolve) => this.#released.push(resolve));
  }

  /** Resolves when `count` requests have arrived here. */
  arrived(count = 1): Promise<void> {
    if (this.#waiting >= count) return Promise.resolve();
    return new Promise((tell) => this.#watchers.push({ count, tell }));
  }

  /** Lets everyone through, now and later. */
  open(): void {
    this.#open = true;
    for (const release of this.#released.splice(0)) release();
  }
}

/** What a fault is aimed at: a request filter, a digest or tag, a pattern for the URL, or whatever a function says. */
export type FaultTarget = RequestFilter | string | RegExp | ((request: RecordedRequest) => boolean);

/** When a fault strikes: as the request arrives, or as its content is sent. */
export type Occasion = 'arrival' | 'content';

const ARRIVAL: readonly (keyof Fault)[] = ['gate', 'delay', 'reset', 'status'];
const BODY: readonly (keyof Fault)[] = [
  'shifted',
  'cutAt',
  'cutAfter',
  'endAt',
  'endAfter',
  'stallAt',
  'stallAfter',
  'flipAt',
  'flipAfter',
  'runsOver',
  'bytesPerSecond',
  'line',
];

interface Armed {
  readonly target: FaultTarget;
  readonly fault: Fault;
  readonly seen: Record<Occasion, number>;
}

/** The faults that are armed. */
export class Faults {
  #armed: Armed[] = [];

  /** Arms a fault; the returned function disarms it. */
  add(target: FaultTarget, fault: Fault): () => void {
    const armed = { target, fault, seen: { arrival: 0, content: 0 } };
    this.#armed.push(armed);
    return () => {
      this.#armed = this.#armed.filter((each) => each !== armed);
    };
  }

  /** What this request meets on this occasion: all matching faults, the later ones over the earlier. */
  meet(request: RecordedRequest, occasion: Occasion): Fault {
    let met: Fault = {};
    for (const { target, fault, seen } of this.#armed) {
      if (!aims(target, request) || !concerns(fault, { request, occasion })) continue;
      seen[occasion] += 1;
      const nth = seen[occasion] - (fault.after ?? 0);
      if (nth < 1 || nth > (fault.times ?? Number.POSITIVE_INFINITY)) continue;
      met = { ...met, ...fault };
      // What strikes as a request arrives has nothing to do with its content, but that the content is met too.
      if (occasion === 'arrival' || !has(fault, ARRIVAL)) fault.onStrike?.(request);
    }
    return met;
  }

  /** Disarms everything and opens every gate, so that nothing waits for ever. */
  clear(): void {
    for (const { fault } of this.#armed) {
      fault.gate?.open();
      fault.stallGate?.open();
    }
    this.#armed = [];
  }
}

function concerns(fault: Fault, { request, occasion }: { request: RecordedRequest; occasion: Occasion }): boolean {
  if (occasion === 'arrival') return has(fault, ARRIVAL);
  // A status answers the request for good, so that its content is never reached; a gate may have more behind it.
  return request.method === 'HEAD' ? !has(fault, BODY) : true;
}

function has(fault: Fault, keys: readonly (keyof Fault)[]): boolean {
  return keys.some((key) => fault[key] !== undefined);
}

function aims(target: FaultTarget, request: RecordedRequest): boolean {
  if (typeof target === 'string') return request.reference === target;
  if (target instanceof RegExp) return target.test(request.url);
  if (typeof target === 'function') return target(request);
  return (Object.entries(target) as [keyof RequestFilter, unknown][]).every(([key, value]) => request[key] === value);
}
