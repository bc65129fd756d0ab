import type { Extent } from './extents.ts';

/** Spans that are told apart; beyond that it is not known any more which came from where. */
export const MOST_SPANS = 8192;

/** Bytes that one upstream delivered. */
export interface SourcedSpan extends Extent {
  readonly upstream: string;
}

/** Which spans of a file came from which upstream, in little memory: neighbours of one upstream are one span. */
export class SpanSources {
  readonly #spans: { start: number; end: number; readonly upstream: string }[] = [];
  #isFull = false;

  /** An upstream delivered bytes, in the place of any that were there. */
  note(start: number, end: number, upstream: string): void {
    if (end <= start || this.#isFull) return;
    const spans = this.#spans;
    const at = this.#clear(start, end);
    const before = spans[at - 1];
    const after = spans[at];
    const follows = before !== undefined && before.end === start && before.upstream === upstream;
    const precedes = after !== undefined && after.start === end && after.upstream === upstream;
    if (follows) {
      before.end = precedes ? after.end : end;
      if (precedes) spans.splice(at, 1);
    } else if (precedes) after.start = start;
    else if (spans.length < MOST_SPANS) spans.splice(at, 0, { start, end, upstream });
    else {
      this.#isFull = true;
      spans.length = 0;
    }
  }

  /** The spans that did not come from an upstream, in order; undefined where there were too many to tell. */
  besides(upstream: string): readonly SourcedSpan[] | undefined {
    return this.#isFull ? undefined : this.#spans.filter((span) => span.upstream !== upstream);
  }

  /** Takes bytes out of the spans that have them. @returns where the first span behind them stands */
  #clear(start: number, end: number): number {
    const spans = this.#spans;
    let at = this.#firstBehind(start);
    for (let span = spans[at]; span !== undefined && span.start < end; span = spans[at]) {
      const { end: spanEnd, upstream } = span;
      if (span.start < start) {
        span.end = start;
        at += 1;
        if (spanEnd > end) spans.splice(at, 0, { start: end, end: spanEnd, upstream });
      } else if (spanEnd > end) {
        span.start = end;
      } else spans.splice(at, 1);
    }
    return at;
  }

  /** Where the first span stands that ends behind a position. */
  #firstBehind(position: number): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#spans[middle]?.end ?? 0) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
