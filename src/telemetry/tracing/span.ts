import type { SpanContext } from './trace-context.ts';

export type AttributeValue = string | number | boolean;

/** Those that are undefined are left out. */
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

/** Something that happened within a span. */
export interface SpanEvent {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly attributes: Attributes;
}

/** A finished piece of work. */
export interface Span {
  readonly context: SpanContext;
  readonly parentSpanId: string | undefined;
  /** Few distinct values: collectors group by it. */
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  /** Milliseconds since the epoch; fractions count. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Attributes;
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanContext[];
  /** Why it failed; undefined where it did not. */
  readonly failure: string | undefined;
}
