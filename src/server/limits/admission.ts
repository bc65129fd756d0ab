import { isDeepStrictEqual } from 'node:util';
import { clientKey } from '../../lib/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { ClientLeftError, type RequestContext } from '../exchange/index.ts';
import { OverloadEpisodes, OverloadError, type OverloadReason } from './overload.ts';
import { TokenBuckets } from './token-bucket.ts';

/** A count of 0 is no limit. */
export interface AdmissionLimits {
  /** Requests under way at once. @default 0 */
  readonly maxInflight?: number;
  /** Milliseconds a request may wait for a slot; 0 refuses it at once. @default 0 */
  readonly maxInflightWait?: number;
  /** Requests that may wait at once. @default 1024 */
  readonly maxWaiting?: number;
  /** Status of a refused request. @default 429 */
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
    /** Body bytes per second, over all its requests. @default 0 */
    readonly maxBandwidth?: number;
  };
}

interface AdmissionOptions {
  readonly limits?: AdmissionLimits;
  readonly telemetry: Telemetry;
}

/** A slot that a request holds or waits for. */
export interface Permit {
  /** Undefined where the slot was free. Resolves when one is; rejects with {@link OverloadError} or {@link ClientLeftError}. */
  readonly granted: Promise<void> | undefined;
  /** Frees the slot, or stops waiting for it. A second call does nothing. */
  readonly release: () => void;
}

/** A client with requests that hold a slot or wait for one. */
interface Client {
  readonly key: string;
  inflight: number;
  /** In the order they came. */
  readonly waiting: Set<Waiter>;
}

interface Waiter {
  readonly grant: () => void;
  readonly refuse: (error: Error) => void;
}

/** Below this share of `maxInflight`, the server is no longer crowded. */
const UNCROWDED = 0.9;

/**
 * Decides which requests are served, wait or are refused.
 *
 * A request holds its slot until its answer has ended. A request that finds no free slot waits in a bounded queue for a bounded
 * time. Free slots go round-robin from client to client, and in order among the requests of one: a greedy client delays
 * itself and not the others. Where the queue is full, the client with the most waiting requests loses its latest to one that
 * has fewer.
 */
export class Admission {
  readonly #telemetry: Telemetry;
  readonly #episodes: OverloadEpisodes;
  /** Clients with requests that hold a slot or wait. */
  readonly #clients = new Map<string, Client>();
  /** Clients with waiting requests; the one whose turn it is comes first. */
  readonly #queue = new Map<string, Client>();
  #limits: AdmissionLimits;
  #requests: TokenBuckets | undefined;
  #bandwidth: TokenBuckets | undefined;
  #inflight = 0;
  #waiting = 0;

  constructor({ limits = {}, telemetry }: AdmissionOptions) {
    this.#telemetry = telemetry;
    this.#limits = limits;
    this.#setRates(limits);
    this.#episodes = new OverloadEpisodes({
      isCrowded: () => this.#isCrowded(),
      onBegin: () => telemetry.publish('overload.began', { inflight: this.#inflight, waiting: this.#waiting }),
      onEnd: (episode) => telemetry.publish('overload.ended', episode),
    });
  }

  /** Requests that hold a slot. */
  get inflight(): number {
    return this.#inflight;
  }

  /** Requests in the queue. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Whether requests are refused for want of slots, or were in the last seconds. */
  get overloaded(): boolean {
    return this.#episodes.active;
  }

  /** Applies other limits; a request that holds a slot keeps it. */
  reconfigure(limits: AdmissionLimits): void {
    // A changed rate starts with full buckets; an unchanged one keeps what each client has used.
    if (!isDeepStrictEqual(limits.perClient, this.#limits.perClient)) this.#setRates(limits);
    this.#limits = limits;
    this.#fill();
  }

  #setRates({ perClient: { requestsPerSecond = 0, burst, maxBandwidth } = {} }: AdmissionLimits): void {
    this.#requests = bucketsOf(requestsPerSecond, burst ?? Math.max(1, requestsPerSecond * 10));
    this.#bandwidth = bucketsOf(maxBandwidth);
  }

  /** Gives a request a slot until its answer has ended. @throws {OverloadError} {ClientLeftError} */
  async admit(context: Pick<RequestContext, 'client' | 'response' | 'throttle'>): Promise<void> {
    const { client, response } = context;
    // Its `close` event has passed already.
    if (response.destroyed) throw new ClientLeftError();
    const permit = this.enter(client);
    response.once('close', permit.release);
    const bandwidth = this.#bandwidth;
    if (bandwidth !== undefined) {
      const key = clientKey(client);
      context.throttle = (bytes) => bandwidth.spend(key, bytes);
    }
    await permit.granted;
  }

  /** As {@link admit}; the caller releases the permit. @param address of the client @throws {OverloadError} */
  enter(address: string): Permit {
    const key = clientKey(address);
    const pause = this.#requests?.take(key) ?? 0;
    if (pause > 0) throw this.#refusal('rate', pause);
    const client = this.#clients.get(key) ?? { key, inflight: 0, waiting: new Set() };
    if (client.waiting.size > 0 || !this.#hasSlot || !this.#hasSlotFor(client)) return this.#wait(client);
    this.#take(client);
    return { granted: undefined, release: once(() => this.#free(client)) };
  }

  /** Ends the watch over overload. */
  close(): void {
    this.#episodes.close();
  }

  get #hasSlot(): boolean {
    const { maxInflight = 0 } = this.#limits;
    return maxInflight === 0 || this.#inflight < maxInflight;
  }

  #hasSlotFor(client: Client): boolean {
    const { maxInflight = 0 } = this.#limits.perClient ?? {};
    return maxInflight === 0 || client.inflight < maxInflight;
  }

  #isCrowded(): boolean {
    const { maxInflight = 0 } = this.#limits;
    return maxInflight > 0 && (!this.#hasSlot || this.#inflight > maxInflight * UNCROWDED);
  }

  #take(client: Client): void {
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
    if (maxInflightWait === 0 || !this.#makeRoomInQueue(client)) throw this.#refusal(this.#hasSlot ? 'client' : 'full');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // The client may leave before the promise is awaited.
    promise.catch(() => {});
    let release = (): void => waiter.refuse(new ClientLeftError());
    const waiter: Waiter = {
      grant: () => {
        this.#stopWaiting(client, waiter);
        clearTimeout(timer);
        this.#take(client);
        release = () => this.#free(client);
        resolve();
      },
      refuse: (error) => {
        this.#stopWaiting(client, waiter);
        clearTimeout(timer);
        this.#forget(client);
        release = () => {};
        reject(error);
      },
    };
    const giveUp = (): void => waiter.refuse(this.#refusal(this.#hasSlot ? 'client' : 'timeout'));
    const timer = setTimeout(giveUp, maxInflightWait);
    client.waiting.add(waiter);
    this.#waiting += 1;
    this.#clients.set(client.key, client);
    this.#queue.set(client.key, client);
    return { granted: promise, release: once(() => release()) };
  }

  /** False where the queue is full and shared fairly. */
  #makeRoomInQueue(client: Client): boolean {
    const { maxWaiting = 1024 } = this.#limits;
    if (this.#waiting < maxWaiting) return true;
    let greediest = client;
    for (const other of this.#queue.values()) if (other.waiting.size > greediest.waiting.size) greediest = other;
    if (greediest.waiting.size <= client.waiting.size + 1) return false;
    const latest = [...greediest.waiting].at(-1);
    latest?.refuse(this.#refusal(this.#hasSlot ? 'client' : 'full'));
    return latest !== undefined;
  }

  #stopWaiting(client: Client, waiter: Waiter): void {
    client.waiting.delete(waiter);
    this.#waiting -= 1;
    if (client.waiting.size === 0) this.#queue.delete(client.key);
  }

  /** Gives free slots to waiting requests. */
  #fill(): void {
    while (this.#hasSlot) {
      const next = this.#next();
      if (next === undefined) return;
      const [waiter] = next.waiting;
      waiter?.grant();
      // A client with more waiting requests goes to the end of the queue.
      if (this.#queue.delete(next.key)) this.#queue.set(next.key, next);
    }
  }

  #next(): Client | undefined {
    for (const client of this.#queue.values()) if (this.#hasSlotFor(client)) return client;
    return undefined;
  }

  #forget(client: Client): void {
    if (client.inflight === 0 && client.waiting.size === 0) this.#clients.delete(client.key);
  }

  /** @param pause milliseconds after which the client may try again, where that is known */
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
        return `your address has ${perClient.maxInflight ?? 0} requests under way, as many as one may have at once`;
      case 'rate':
        return `your address sends more than ${perClient.requestsPerSecond ?? 0} requests a second`;
    }
  }
}

function bucketsOf(perSecond = 0, burst = perSecond): TokenBuckets | undefined {
  return perSecond === 0 ? undefined : new TokenBuckets({ perSecond, burst });
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
