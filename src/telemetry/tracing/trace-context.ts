import { randomFillSync } from 'node:crypto';

/** A place in a trace, as other spans refer to it. */
export interface SpanContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits. */
  readonly spanId: string;
  readonly sampled: boolean;
  /** Other systems' data, unchanged; empty where there is none. */
  readonly state: string;
}

/** W3C Trace Context §3.3.1.5: at least 512 characters should be propagated. */
const MAX_STATE = 512;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Reads the `traceparent` and `tracestate` of a request (W3C Trace Context §3.2.2). Undefined for a missing or malformed one,
 * which the specification says to ignore.
 */
export function readTraceContext(traceparent: string | undefined, tracestate = ''): SpanContext | undefined {
  if (traceparent === undefined || traceparent.length > 256) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  const isKept = tracestate.length <= MAX_STATE && /^[\x20-\x7e]*$/.test(tracestate);
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1, state: isKept ? tracestate : '' };
}

/** A span of the parent's trace, sampled as the parent is. */
export function childOf({ traceId, sampled, state }: SpanContext): SpanContext {
  return { traceId, spanId: newSpanId(), sampled, state };
}

/** @param share of traces that are sampled, 0 to 1 */
export function newTrace(share: number): SpanContext {
  const traceId = newId(16);
  return { traceId, spanId: newSpanId(), sampled: isSampled(traceId, share), state: '' };
}

/** The last 56 bits decide, which are random in other systems' ids too (W3C Trace Context Level 2 §2.2.2.3). */
export function isSampled(traceId: string, share: number): boolean {
  return Number.parseInt(traceId.slice(-14), 16) < share * 2 ** 56;
}

function newSpanId(): string {
  return newId(8);
}

/** Random bytes for many ids: each call of the generator costs as much as a span. */
const pool = Buffer.alloc(4096);
let used = pool.length;

function newId(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString('hex', used, used + bytes);
  used += bytes;
  // All zeros mean "none".
  return /^0+$/.test(id) ? newId(bytes) : id;
}
