import type { OriginBlob } from '../../../oci/index.ts';
import { type SourcedSpan, SpanSources } from './span-sources.ts';

/** What of a rate's past counts at each measurement: the last second has nearly all the weight. */
const FADES = 0.5;

/** What one upstream does for a transfer. */
export interface UpstreamShare {
  /** Its name. */
  readonly upstream: string;
  /** Connections to it now. */
  readonly connections: number;
  /** Bytes that it has delivered. */
  readonly bytes: number;
  /** Bytes a second now, of all connections to it; 0 before they were measured. */
  readonly bytesPerSecond: number;
}

interface Delivered {
  /** A body of it; undefined before its first byte. */
  source: OriginBlob | undefined;
  bytes: number;
  /** Of these, what the last measurement had. */
  measured: number;
  /** Bytes of all connections, and the milliseconds they took; both fade. */
  all: number;
  took: number;
  /** Those while no connection began or ended, and the milliseconds of each connection together. */
  came: number;
  spent: number;
  /** Connections at the last measurement. */
  count: number;
  /** Measurements of a connection. */
  steps: number;
}

/** What each upstream has delivered to a transfer: how many bytes, how fast, and which. */
export class Deliveries {
  readonly #of = new Map<string, Delivered>();
  #spans = new SpanSources();
  #since: number | undefined;

  /** A body brought bytes to a place in the file. */
  came(source: OriginBlob, start: number, end: number): void {
    const delivered = this.#entry(source.upstream);
    delivered.source = source;
    delivered.bytes += end - start;
    this.#spans.note(start, end, source.upstream);
  }

  /**
   * Measures the rates.
   *
   * @param now milliseconds, of a clock that only goes forward
   * @param connections to each upstream, that have begun or take too long to
   */
  step(now: number, connections: ReadonlyMap<string, number>): void {
    const milliseconds = now - (this.#since ?? now);
    this.#since = now;
    // One that has a connection and sends nothing is measured too.
    for (const upstream of connections.keys()) this.#entry(upstream);
    for (const [upstream, delivered] of this.#of) {
      const count = connections.get(upstream) ?? 0;
      const bytes = delivered.bytes - delivered.measured;
      const isSteady = count === delivered.count && count > 0;
      delivered.measured = delivered.bytes;
      delivered.count = count;
      if (milliseconds <= 0) continue;
      delivered.all = delivered.all * FADES + bytes;
      delivered.took = delivered.took * FADES + milliseconds;
      // The rate of a connection stays as it was where there is none, or where one had only a part of the time.
      if (!isSteady) continue;
      delivered.came = delivered.came * FADES + bytes;
      delivered.spent = delivered.spent * FADES + milliseconds * count;
      delivered.steps += 1;
    }
  }

  /** Bytes a second of one connection to an upstream, with the measurements they are made of; the first undefined without any. */
  rateOf(upstream: string): { readonly rate: number | undefined; readonly steps: number } {
    const delivered = this.#of.get(upstream);
    if (delivered === undefined || delivered.steps === 0) return { rate: undefined, steps: 0 };
    const { came, spent, steps } = delivered;
    return { rate: (came * 1000) / spent, steps };
  }

  /** Each upstream that bytes came from, or are to come from. @param connections to it */
  shares(connections: (upstream: string) => number): readonly UpstreamShare[] {
    return [...this.#of]
      .map(([upstream, { bytes, all, took }]) => ({
        upstream,
        connections: connections(upstream),
        bytes,
        bytesPerSecond: took === 0 ? 0 : Math.round((all * 1000) / took),
      }))
      .filter((share) => share.bytes > 0 || share.connections > 0);
  }

  /** A body of an upstream; undefined where no byte came from it. */
  sourceOf(upstream: string): OriginBlob | undefined {
    return this.#of.get(upstream)?.source;
  }

  /** See {@link SpanSources.besides}. */
  spansBesides(upstream: string): readonly SourcedSpan[] | undefined {
    return this.#spans.besides(upstream);
  }

  /** One body of each upstream that bytes came from, besides one. */
  sourcesBesides(upstream: string): readonly OriginBlob[] {
    return [...this.#of.values()]
      .flatMap(({ source }) => source ?? [])
      .filter((source) => source.upstream !== upstream);
  }

  /** Forgets everything: the bytes are fetched once more. */
  reset(): void {
    this.#of.clear();
    this.#spans = new SpanSources();
    this.#since = undefined;
  }

  #entry(upstream: string): Delivered {
    const known = this.#of.get(upstream);
    if (known !== undefined) return known;
    const delivered: Delivered = {
      source: undefined,
      bytes: 0,
      measured: 0,
      all: 0,
      took: 0,
      came: 0,
      spent: 0,
      count: 0,
      steps: 0,
    };
    this.#of.set(upstream, delivered);
    return delivered;
  }
}
