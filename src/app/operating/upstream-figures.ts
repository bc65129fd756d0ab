import { keyOf, Lru } from '../../lib/index.ts';
import type { Telemetry, UpstreamRequestEnded } from '../../telemetry/index.ts';

/** What requests to one upstream did since counting began. */
export interface UpstreamFigures {
  readonly requests: number;
  /** Of these, without a response, or with a status of 500 and above. A request that was given up here is none. */
  readonly failures: number;
  /** Bytes of blobs that it sent. */
  readonly bytes: number;
  /** The median of the last {@link KEPT_TIMES} times to the response head, in milliseconds; undefined before the first. */
  readonly latencyMs: number | undefined;
}

/** Times of one upstream that are kept. */
export const KEPT_TIMES = 50;

/** Upstreams that are counted. Clients name registries where `allow_any` is set; those asked longest ago are forgotten. */
const MAX_UPSTREAMS = 2000;

const NONE: UpstreamFigures = { requests: 0, failures: 0, bytes: 0, latencyMs: undefined };

/**
 * Counts the requests to upstreams, and keeps the last response times of each: from the events of the server, in memory of a
 * fixed size for each upstream.
 */
export class UpstreamCounters {
  readonly #counters = new Lru<Counter>({ maxWeight: MAX_UPSTREAMS });
  readonly #subscriptions: readonly (() => void)[];

  constructor(telemetry: Telemetry) {
    this.#subscriptions = [
      telemetry.on('upstream.request', (event) => this.#at(event).add(event)),
      telemetry.on('ingest.finished', (event) => {
        this.#at(event).bytes += event.bytes;
      }),
    ];
  }

  /** @param registry its name, or `mirror:<route>` for the site of a mirror route */
  of(registry: string, upstream: string): UpstreamFigures {
    return this.#counters.get(keyOf(registry, upstream))?.read() ?? NONE;
  }

  close(): void {
    for (const end of this.#subscriptions) end();
  }

  #at({ registry, upstream }: Pick<UpstreamRequestEnded, 'registry' | 'upstream'>): Counter {
    const key = keyOf(registry, upstream);
    const counter = this.#counters.get(key) ?? new Counter();
    this.#counters.set(key, counter);
    return counter;
  }
}

/** The counts of one upstream, and a ring of its last times. */
class Counter {
  requests = 0;
  failures = 0;
  bytes = 0;
  readonly #times = new Float64Array(KEPT_TIMES);
  #timed = 0;

  add({ status, error, purpose, durationMs }: UpstreamRequestEnded): void {
    this.requests += 1;
    if (error === 'aborted') return;
    if (status === 0 || status >= 500) this.failures += 1;
    // A token service and a redirect target are other servers, and a request without a response has no time.
    if (status === 0 || purpose === 'token' || purpose === 'redirect') return;
    this.#times[this.#timed % KEPT_TIMES] = durationMs;
    this.#timed += 1;
  }

  read(): UpstreamFigures {
    const { requests, failures, bytes } = this;
    const times = this.#times.slice(0, Math.min(this.#timed, KEPT_TIMES)).sort();
    return { requests, failures, bytes, latencyMs: medianOf(times) };
  }
}

function medianOf(sorted: Float64Array): number | undefined {
  const [upper, lower] = [sorted[sorted.length >> 1], sorted[(sorted.length - 1) >> 1]];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}
