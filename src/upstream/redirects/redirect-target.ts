import type { WrittenUrl } from '../../net/index.ts';
import type { Visibility } from '../../oci/index.ts';
import { statedExpiry } from './url-expiry.ts';

/** Milliseconds that the registry is not asked again at most: a right that it withdraws ends with them. */
const SHARED_FOR_MS = 5 * 60_000;

/** A place away from the upstream that a chain of redirects has ended at, with what the next request to it must know. */
export interface RedirectTarget extends WrittenUrl {
  /** How many redirects led to it. */
  readonly redirects: number;
  /** The answers that led to it came from outside the public internet. */
  readonly privateNetwork: boolean;
  /** Of the request that was redirected. */
  readonly visibility: Visibility;
}

/**
 * The redirect that the requests of one transfer share: the registry signs a URL once for all parts of a blob.
 *
 * It ends with the transfer, with the time that the URL states, after five minutes, or where the storage refuses it. One request
 * then asks the registry; the others wait for what it is told.
 */
export class SharedTarget {
  readonly #now: () => number;
  #target: RedirectTarget | undefined;
  #until = 0;
  /** Whether the registry's last answer was a redirect. */
  #isRedirected = false;
  #renewal: Promise<void> | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Undefined where the registry has to be asked. */
  get current(): RedirectTarget | undefined {
    return this.#now() < this.#until ? this.#target : undefined;
  }

  /** Resolves when the request that asks the registry for another one has its answer; undefined where none does. */
  get renewal(): Promise<void> | undefined {
    return this.#renewal;
  }

  /** The registry has answered. @param target undefined where it did not redirect */
  learn(target: RedirectTarget | undefined): void {
    const now = this.#now();
    this.#target = target;
    this.#isRedirected = target !== undefined;
    this.#until =
      target === undefined ? 0 : Math.min(now + SHARED_FOR_MS, statedExpiry(target.url) ?? now + SHARED_FOR_MS);
  }

  /** It was refused. One that has been learned since stays. */
  drop(target: RedirectTarget): void {
    if (this.#target === target) this.#target = undefined;
  }

  /** Asks the registry. Requests that can wait for its redirect see that as {@link renewal}. */
  async renewing<T>(ask: () => Promise<T>): Promise<T> {
    if (!this.#isRedirected || this.#renewal !== undefined) return ask();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#renewal = promise;
    try {
      return await ask();
    } finally {
      this.#renewal = undefined;
      resolve();
    }
  }
}

/** Those of one upstream, by transfer. They are gone when their transfer is. */
export class SharedTargets {
  readonly #now: () => number;
  readonly #ofTransfers = new WeakMap<object, SharedTarget>();

  constructor(now: () => number) {
    this.#now = now;
  }

  of(transfer: object): SharedTarget {
    const shared = this.#ofTransfers.get(transfer) ?? new SharedTarget(this.#now);
    this.#ofTransfers.set(transfer, shared);
    return shared;
  }
}
