import type { Attributes, AttributeValue, Span, SpanEvent } from './span.ts';
import type { SpanContext } from './trace-context.ts';

/*
 * OTLP as JSON: the messages of opentelemetry-proto (trace/v1/trace.proto) by the JSON mapping of Protocol Buffers, with the
 * deviations of the OTLP specification ("JSON Protobuf Encoding"): ids are hexadecimal, enums are numbers. 64-bit integers are
 * texts.
 */

/** SpanKind of trace.proto. */
const KINDS = { internal: 1, server: 2, client: 3 } as const satisfies Record<Span['kind'], number>;

/** STATUS_CODE_ERROR; without a failure the code stays unset, as the conventions for HTTP want it. */
const ERROR = 2;

/** The W3C flag "sampled" (SpanFlags of trace.proto). */
const SAMPLED = 1;

/** Characters of a text: no attribute makes a batch large. */
const MAX_TEXT = 1024;

interface Origin {
  /** Of the process that made the spans. */
  readonly resource: Attributes;
  readonly version: string;
}

/** An ExportTraceServiceRequest. */
export function encodeSpans(spans: readonly Span[], { resource, version }: Origin): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: encodeAttributes(resource) },
        scopeSpans: [{ scope: { name: 'entrepot', version }, spans: spans.map(encodeSpan) }],
      },
    ],
  });
}

function encodeSpan({ context, parentSpanId, name, kind, start, end, attributes, events, links, failure }: Span) {
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(context.state === '' ? {} : { traceState: context.state }),
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    flags: SAMPLED,
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(Math.max(start, end)),
    attributes: encodeAttributes(attributes),
    ...(events.length === 0 ? {} : { events: events.map(encodeEvent) }),
    ...(links.length === 0 ? {} : { links: links.map(encodeLink) }),
    ...(failure === undefined
      ? {}
      : { status: { code: ERROR, ...(failure === '' ? {} : { message: shortened(failure) }) } }),
  };
}

function encodeEvent({ name, at, attributes }: SpanEvent) {
  return { timeUnixNano: nanoseconds(at), name, attributes: encodeAttributes(attributes) };
}

function encodeLink({ traceId, spanId, state, sampled }: SpanContext) {
  return { traceId, spanId, ...(state === '' ? {} : { traceState: state }), flags: sampled ? SAMPLED : 0 };
}

function encodeAttributes(attributes: Attributes) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: encodeValue(value) }],
  );
}

function encodeValue(value: AttributeValue) {
  if (typeof value === 'string') return { stringValue: shortened(value) };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** Well-formed in any case: a text may be cut between the halves of a character. */
function shortened(text: string): string {
  return (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text).toWellFormed();
}

/** A double holds milliseconds since the epoch to a microsecond, but not their nanoseconds. */
function nanoseconds(milliseconds: number): string {
  return String(BigInt(Math.round(milliseconds * 1000)) * 1000n);
}
