import { Lru } from '../lib/index.ts';

/** Hosts remembered for one upstream: its own, and those of its storages. */
const MOST = 64;
/** Milliseconds. */
const REFUSED_FOR_MS = 10 * 60_000;

/** The hosts that refused a Range not long ago and sent the whole without it: they are not sent one meanwhile. */
export class RangeRefusals {
  readonly #now: () => number;
  readonly #since = new Lru<number>({ maxWeight: MOST });

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param host with its port, as `URL.host` */
  add(host: string): void {
    this.#since.set(host, this.#now());
  }

  has(host: string): boolean {
    const since = this.#since.get(host);
    return since !== undefined && Math.abs(this.#now() - since) <= REFUSED_FOR_MS;
  }
}
