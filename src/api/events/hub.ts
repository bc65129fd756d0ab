import { randomBytes } from 'node:crypto';
import type { LiveEvent } from '../../admin/index.ts';
import { ApiProblem } from '../problem.ts';
import { Ring } from './ring.ts';
import { type EventStream, messageOf, type Published } from './stream.ts';
import type { ShowTo } from './visible.ts';

/** @param show what of it each caller may see; by default what `shownTo` says of its kind */
export type Publish = (event: LiveEvent, show?: ShowTo) => void;

/** Hands events to `publish` until the returned function is called. */
export type LiveSource = (publish: Publish) => () => void;

const MAX_STREAMS = 100;
const MAX_OF_CLIENT = 8;
/** Milliseconds between two signs of life; then each client is asked about too. */
const BEAT_EVERY = 15_000;
/** Milliseconds for which events are gathered without a client, so that one that lost its connection misses none. */
const LINGER = 15_000;

interface Follower {
  readonly stream: EventStream;
  /** Whose streams are counted together. */
  readonly client: string;
  /** Whether the client may still follow: its session and its right hold. */
  readonly mayFollow: () => Promise<boolean>;
}

interface HubOptions {
  readonly sources: readonly LiveSource[];
  /** Called for a source or a question that fails. */
  readonly onWarning: (message: string, error: unknown) => void;
}

/** Numbers events, and hands each to every stream. What publishes them is listened to only while there is a stream, and a moment longer. */
export class EventHub {
  readonly #options: HubOptions;
  readonly #process = randomBytes(6).toString('hex');
  readonly #followers = new Set<Follower>();
  readonly #ring = new Ring<Published>();
  #number = 0;
  #stopSources: (() => void) | undefined;
  #beat: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#followers.size;
  }

  idOf = (number: number): string => `${this.#process}-${number}`;

  /** @throws {ApiProblem} 503 where the server stops or has no room for another stream, 429 where the client has too many */
  admit(client: string): void {
    if (this.#isClosed) throw new ApiProblem(503, 'this server is about to stop', { retryAfter: 5 });
    if (this.#followers.size >= MAX_STREAMS) {
      throw new ApiProblem(503, `${MAX_STREAMS} event streams are open, and no more are served; close one`, {
        retryAfter: 30,
      });
    }
    const own = [...this.#followers].filter((each) => each.client === client).length;
    if (own >= MAX_OF_CLIENT) {
      throw new ApiProblem(429, `${own} event streams are open for this client already; close one`, { retryAfter: 30 });
    }
  }

  /**
   * Begins a stream: first what the client missed since the last event that it saw.
   *
   * @returns what ends it
   */
  follow(follower: Follower, lastId: string | undefined): () => void {
    this.#start();
    const { stream } = follower;
    const last = lastId === undefined ? this.#number : this.#numberOf(lastId);
    const missed = last === undefined ? undefined : this.#ring.after(last);
    stream.begin(missed === undefined ? this.#number : (last ?? this.#number));
    if (missed === undefined) stream.tellGap(this.#number);
    else for (const each of missed) stream.send(each);
    this.#followers.add(follower);
    return () => this.#leave(follower);
  }

  /** Ends the streams of clients that may no longer follow. */
  async check(): Promise<void> {
    await Promise.all(
      [...this.#followers].map(async (follower) => {
        const may = await follower.mayFollow().catch((error: unknown) => {
          this.#options.onWarning('Cannot tell whether a client may still follow events', error);
          return false;
        });
        if (!may) this.#end(follower);
      }),
    );
  }

  /** Ends every stream; each client that comes back passes the gate again. */
  endAll(): void {
    for (const follower of this.#followers) this.#end(follower);
  }

  /** Ends every stream, and takes no other. */
  close(): void {
    this.#isClosed = true;
    this.endAll();
    this.#stop();
  }

  #end(follower: Follower): void {
    follower.stream.end();
    this.#leave(follower);
  }

  #leave(follower: Follower): void {
    if (!this.#followers.delete(follower) || this.#followers.size > 0) return;
    clearInterval(this.#beat);
    this.#beat = undefined;
    this.#linger = setTimeout(() => this.#stop(), LINGER).unref();
  }

  #start(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    this.#beat ??= setInterval(() => {
      for (const { stream } of this.#followers) stream.beat(this.#number);
      void this.check();
    }, BEAT_EVERY).unref();
    if (this.#stopSources !== undefined) return;
    // What happened since the last stream was not seen.
    this.#number += 1;
    this.#ring.clear(this.#number + 1);
    const publish: Publish = (event, show) => this.#publish(event, show);
    const stops = this.#options.sources.map((source) => source(publish));
    this.#stopSources = () => {
      for (const stop of stops) stop();
    };
  }

  #stop(): void {
    clearTimeout(this.#linger);
    clearInterval(this.#beat);
    this.#linger = undefined;
    this.#beat = undefined;
    this.#stopSources?.();
    this.#stopSources = undefined;
  }

  #publish(event: LiveEvent, show?: ShowTo): void {
    const isKept = !isProgress(event);
    if (isKept) this.#number += 1;
    const published: Published = { event, number: this.#number, text: messageOf(event), isKept, show };
    if (isKept) this.#ring.add(published);
    for (const { stream } of this.#followers) this.#send(stream, published);
    // The rules may be others now: each client comes back through the gate.
    if (event.kind === 'reloaded' && event.data.outcome === 'changed') this.endAll();
  }

  /** A fault of one stream is neither that of the others nor of what publishes. */
  #send(stream: EventStream, published: Published): void {
    try {
      stream.send(published);
    } catch (error) {
      this.#options.onWarning('Cannot send an event to a client that follows events', error);
    }
  }

  /** The number of an event of this process; undefined for another id. */
  #numberOf(id: string): number | undefined {
    const [process, digits, ...more] = id.split('-');
    if (process !== this.#process || digits === undefined || more.length > 0 || !/^\d{1,15}$/.test(digits))
      return undefined;
    const number = Number(digits);
    return number > this.#number ? undefined : number;
  }
}

/** Whether the next event of the same thing says all of this one again. */
function isProgress(event: LiveEvent): boolean {
  switch (event.kind) {
    case 'pull':
      return event.data.running === true;
    case 'transfer':
      return true;
    case 'warm':
    case 'copy':
      return event.data.endedAt === undefined;
    default:
      return false;
  }
}
