/** The bytes from `start` up to, and without, `end`. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Which bytes of a file have come: sorted spans that neither overlap nor touch. */
export class Extents {
  readonly #spans: { start: number; end: number }[] = [];
  #bytes = 0;

  /** Spans. */
  get count(): number {
    return this.#spans.length;
  }

  /** Bytes in all of them. */
  get bytes(): number {
    return this.#bytes;
  }

  *[Symbol.iterator](): Iterator<Extent> {
    yield* this.#spans;
  }

  /** Adds a span; it may overlap others. */
  add(start: number, end: number): void {
    if (end <= start) return;
    const spans = this.#spans;
    // The first that touches it, and the first behind it that does not.
    const from = this.#firstThat((span) => span.end >= start);
    let to = from;
    let merged = { start, end };
    for (let span = spans[to]; span !== undefined && span.start <= end; span = spans[to]) {
      merged = { start: Math.min(merged.start, span.start), end: Math.max(merged.end, span.end) };
      this.#bytes -= span.end - span.start;
      to += 1;
    }
    this.#bytes += merged.end - merged.start;
    const [only] = spans.slice(from, from + 1);
    // What grows chunk by chunk stays one object.
    if (to - from === 1 && only !== undefined) Object.assign(only, merged);
    else spans.splice(from, to - from, merged);
  }

  /** Forgets what lies before a position. */
  dropBefore(position: number): void {
    const kept = this.#firstThat((span) => span.end > position);
    for (const span of this.#spans.splice(0, kept)) this.#bytes -= span.end - span.start;
    const [first] = this.#spans;
    if (first === undefined || first.start >= position) return;
    this.#bytes -= position - first.start;
    first.start = position;
  }

  /** Forgets what lies from a position on, up to another. @default `end`: all of it */
  dropFrom(position: number, end = Number.POSITIVE_INFINITY): void {
    if (end <= position) return;
    const kept = this.#spans.flatMap((span) => [
      { start: span.start, end: Math.min(span.end, position) },
      { start: Math.max(span.start, end), end: span.end },
    ]);
    this.#spans.splice(0, this.#spans.length, ...kept.filter((span) => span.start < span.end));
    this.#bytes = this.#spans.reduce((sum, span) => sum + span.end - span.start, 0);
  }

  /** The end of the span that covers a position; the position where none does. */
  coveredTo(position: number): number {
    const span = this.#spans[this.#firstThat(({ end }) => end > position)];
    return span !== undefined && span.start <= position ? span.end : position;
  }

  /**
   * The start of the first span of at least some bytes that ends behind a position; undefined where there is none. It lies before
   * the position where that is covered.
   */
  nextStart(position: number, least = 0): number | undefined {
    for (let at = this.#firstThat(({ end }) => end > position); at < this.#spans.length; at += 1) {
      const span = this.#spans[at];
      if (span !== undefined && span.end - span.start >= least) return span.start;
    }
    return undefined;
  }

  /** Binary search. @param test false for some of the first spans, and true for all others */
  #firstThat(test: (span: Extent) => boolean): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const span = this.#spans[middle];
      if (span !== undefined && test(span)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
