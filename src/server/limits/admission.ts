import { isDeepStrictEqual } from 'node:util';
import type { Telemetry } from '../../telemetry/index.ts';
import { ClientLeftError, clientKey, type RequestContext } from '../exchange/index.ts';
import { OverloadEpisodes, OverloadError, type OverloadReason } from './overload.ts';
import { RateLimit } from './token-bucket.ts';

/** Of counts, 0 is no limit. */
export interface AdmissionLimits {
  /** Requests under way at once. @default 0 */
  readonly maxInflight?: number;
  /** Milliseconds a request may wait for a place; 0 turns it away at once. @default 0 */
  readonly maxInflightWait?: number;
  /** Requests that may wait at once. @default 1024 */
  readonly maxWaiting?: number;
  /** How those are answered for whom there is no place. @default 429 */
  readonly overloadStatus?: 429 | 503;
  /** Milliseconds, as `Retry-After`. @default 5000 */
  readonly retryAfter?: number;
  readonly perClient?: {
    /** Requests under way at once. @default 0 */
    readonly maxInflight?: number;
    /** @default 0 */
    readonly requestsPerSecond?: number;
    /** Requests at once after a pause. @default ten seconds' worth */
    readonly burst?: number;
    /** Body bytes in a second, over all its requests. @default 0 */
    readonly maxBandwidth?: number;
  };
}

export interface AdmissionOptions {
  readonly limits?: AdmissionLimits;
  readonly telemetry: Telemetry;
}

/** A request that has a place, or waits for one. */
export interface Permit {
  /** Undefined where it has a place. Resolves when it gets one; rejects with {@link OverloadError} or {@link ClientLeftError}. */
  readonly granted: Promise<void> | undefined;
  /** It is over, or nobody waits for it any more. Calling it again does nothing. */
  readonly leave: () => void;
}

/** What is known of a client while it has requests here. */
interface Client {
  readonly key: string;
  inflight: number;
  /** In the order they came. */
  readonly waiting: Set<Waiter>;
}

interface Waiter {
  readonly enter: () => void;
  readonly refuse: (error: Error) => void;
}

/** Below this part of the limit there is room again. */
const ROOMY = 0.9;

/**
 * Who is served now, who waits, and who is turned away.
 *
 * A place is held from here until the answer has ended. Whoever finds none waits, for a bounded time among a bounded number;
 * free places go from client to client in turn, each client's requests in their order, so that one who asks for everything
 * delays itself and not the others. Where all waiting room is taken, a client that has more of it than another loses its
 * latest to it.
 */
export class Admission {
  readonly #telemetry: Telemetry;
  readonly #episodes: OverloadEpisodes;
  /** Those with requests under way or waiting. */
  readonly #clients = new Map<string, Client>();
  /** Those with requests that wait: whose turn it is comes first. */
  readonly #queue = new Map<string, Client>();
  #limits: AdmissionLimits;
  #rate: RateLimit | undefined;
  #bandwidth: RateLimit | undefined;
  #inflight = 0;
  #waiting = 0;

  constructor({ limits = {}, telemetry }: AdmissionOptions) {
    this.#telemetry = telemetry;
    this.#limits = limits;
    this.#rate = rateLimitOf(limits);
    this.#bandwidth = bandwidthOf(limits);
    this.#episodes = new OverloadEpisodes({
      isCrowded: () => this.#isCrowded(),
      onBegin: () => telemetry.publish('overload.began', { inflight: this.#inflight, waiting: this.#waiting }),
      onEnd: (episode) => telemetry.publish('overload.ended', episode),
    });
  }

  /** Requests that have a place. */
  get inflight(): number {
    return this.#inflight;
  }

  /** Requests that wait for one. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Requests are turned away because the server has no more places, or were a moment ago. */
  get overloaded(): boolean {
    return this.#episodes.active;
  }

  /** Other limits from now on; who has a place keeps it. */
  reconfigure(limits: AdmissionLimits): void {
    // Another rate begins anew; the same goes on with what everybody has used.
    if (!isDeepStrictEqual(limits.perClient, this.#limits.perClient)) {
      this.#rate = rateLimitOf(limits);
      this.#bandwidth = bandwidthOf(limits);
    }
    this.#limits = limits;
    this.#fill();
  }

  /** Finds a place for a request until its answer is over. @throws {OverloadError} {ClientLeftError} */
  async admit(context: Pick<RequestContext, 'client' | 'response' | 'pace'>): Promise<void> {
    const { client, response } = context;
    // Its close was told already.
    if (response.destroyed) throw new ClientLeftError();
    const visit = this.enter(client);
    response.once('close', () => visit.leave());
    const bandwidth = this.#bandwidth;
    if (bandwidth !== undefined) {
      const key = clientKey(client);
      context.pace = (bytes) => bandwidth.spend(key, bytes);
    }
    await visit.granted;
  }

  /** As {@link admit}, where whoever calls knows when it is over. @param address of the client @throws {OverloadError} */
  enter(address: string): Permit {
    const key = clientKey(address);
    const pause = this.#rate?.take(key) ?? 0;
    if (pause > 0) throw this.#refusal('rate', pause);
    const client = this.#clients.get(key) ?? { key, inflight: 0, waiting: new Set() };
    if (client.waiting.size > 0 || !this.#hasRoom || !this.#hasRoomFor(client)) return this.#wait(client);
    this.#place(client);
    return { granted: undefined, leave: once(() => this.#free(client)) };
  }

  /** Ends the watch over overload. */
  close(): void {
    this.#episodes.close();
  }

  get #hasRoom(): boolean {
    const { maxInflight = 0 } = this.#limits;
    return maxInflight === 0 || this.#inflight < maxInflight;
  }

  #hasRoomFor(client: Client): boolean {
    const { maxInflight = 0 } = this.#limits.perClient ?? {};
    return maxInflight === 0 || client.inflight < maxInflight;
  }

  #isCrowded(): boolean {
    const { maxInflight = 0 } = this.#limits;
    return maxInflight > 0 && (!this.#hasRoom || this.#inflight > maxInflight * ROOMY);
  }

  #place(client: Client): void {
    client.inflight += 1;
    this.#inflight += 1;
    this.#clients.set(client.key, client);
  }

  #free(client: Client): void {
    client.inflight -= 1;
    this.#inflight -= 1;
    this.#forget(client);
    this.#fill();
  }

  #wait(client: Client): Permit {
    const { maxInflightWait = 0 } = this.#limits;
    if (maxInflightWait === 0 || !this.#makeRoomToWait(client)) throw this.#refusal(this.#hasRoom ? 'client' : 'full');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Who leaves may do so before anybody looks.
    promise.catch(() => {});
    let leave = (): void => waiter.refuse(new ClientLeftError());
    const waiter: Waiter = {
      enter: () => {
        this.#stopWaiting(client, waiter);
        clearTimeout(timer);
        this.#place(client);
        leave = () => this.#free(client);
        resolve();
      },
      refuse: (error) => {
        this.#stopWaiting(client, waiter);
        clearTimeout(timer);
        this.#forget(client);
        leave = () => {};
        reject(error);
      },
    };
    const giveUp = (): void => waiter.refuse(this.#refusal(this.#hasRoom ? 'client' : 'timeout'));
    const timer = setTimeout(giveUp, maxInflightWait);
    client.waiting.add(waiter);
    this.#waiting += 1;
    this.#clients.set(client.key, client);
    this.#queue.set(client.key, client);
    return { granted: promise, leave: once(() => leave()) };
  }

  /** False where all waiting room is taken, and fairly. */
  #makeRoomToWait(client: Client): boolean {
    const { maxWaiting = 1024 } = this.#limits;
    if (this.#waiting < maxWaiting) return true;
    let greediest = client;
    for (const other of this.#queue.values()) if (other.waiting.size > greediest.waiting.size) greediest = other;
    if (greediest.waiting.size <= client.waiting.size + 1) return false;
    const latest = [...greediest.waiting].at(-1);
    latest?.refuse(this.#refusal(this.#hasRoom ? 'client' : 'full'));
    return latest !== undefined;
  }

  #stopWaiting(client: Client, waiter: Waiter): void {
    client.waiting.delete(waiter);
    this.#waiting -= 1;
    if (client.waiting.size === 0) this.#queue.delete(client.key);
  }

  /** Gives free places to those who wait. */
  #fill(): void {
    while (this.#hasRoom) {
      const next = this.#next();
      if (next === undefined) return;
      const [waiter] = next.waiting;
      waiter?.enter();
      // To the end of the queue, if more of it wait.
      if (this.#queue.delete(next.key)) this.#queue.set(next.key, next);
    }
  }

  #next(): Client | undefined {
    for (const client of this.#queue.values()) if (this.#hasRoomFor(client)) return client;
    return undefined;
  }

  #forget(client: Client): void {
    if (client.inflight === 0 && client.waiting.size === 0) this.#clients.delete(client.key);
  }

  /** @param pause milliseconds until it is worth trying again, where that is known */
  #refusal(reason: OverloadReason, pause?: number): OverloadError {
    const { overloadStatus = 429, retryAfter = 5000 } = this.#limits;
    this.#telemetry.publish('overload.refused', { reason });
    if (reason === 'full' || reason === 'timeout') this.#episodes.refused();
    const seconds = Math.max(1, Math.ceil((pause ?? retryAfter) / 1000));
    return new OverloadError(this.#explain(reason), { reason, status: overloadStatus, retryAfter: seconds });
  }

  #explain(reason: OverloadReason): string {
    const { maxInflight = 0, perClient = {} } = this.#limits;
    switch (reason) {
      case 'full':
      case 'timeout':
        return `this server has ${maxInflight} requests under way, as many as it takes at once`;
      case 'client':
        return `${perClient.maxInflight ?? 0} requests of your address are under way, as many as are taken at once`;
      case 'rate':
        return `your address asks more often than ${perClient.requestsPerSecond ?? 0} times a second`;
    }
  }
}

function rateLimitOf({ perClient: { requestsPerSecond = 0, burst } = {} }: AdmissionLimits): RateLimit | undefined {
  if (requestsPerSecond === 0) return undefined;
  return new RateLimit({ perSecond: requestsPerSecond, burst: burst ?? Math.max(1, requestsPerSecond * 10) });
}

function bandwidthOf({ perClient: { maxBandwidth = 0 } = {} }: AdmissionLimits): RateLimit | undefined {
  return maxBandwidth === 0 ? undefined : new RateLimit({ perSecond: maxBandwidth, burst: maxBandwidth });
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
