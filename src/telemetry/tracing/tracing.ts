import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Events, RequestFinished, Telemetry, UpstreamRequestEnded } from '../events.ts';
import { redactText } from '../redact.ts';
import { describeRequest, describeTransfer, describeUpstreamRequest, resourceOf } from './attributes.ts';
import { ExportQueue, type SendSpans } from './export-queue.ts';
import { encodeSpans } from './otlp.ts';
import type { Span, SpanEvent } from './span.ts';
import { childOf, newTrace, readTraceContext, type SpanContext } from './trace-context.ts';

export interface TracingOptions {
  readonly send: SendSpans;
  /** Share of the traces that begin here and are recorded, 0 to 1. */
  readonly sample: number;
  readonly serviceName: string;
  /** Of this program. */
  readonly version: string;
  /** Milliseconds for one attempt to send a batch. */
  readonly timeout: number;
  /** Milliseconds until a batch that is not full is sent. @default 5000 */
  readonly interval?: number;
  /** Milliseconds before the first repetition of a batch. @default 1000 */
  readonly backOff?: number;
}

export interface Tracing {
  /** When {@link close} must be done at the latest, as `performance.now()` counts. @default 5 s after it is called */
  stopBy(deadline: number): void;
  /** Makes no more spans, and sends those that wait. */
  close(): Promise<void>;
}

/** A span that has not ended, and what is known of it so far. */
interface OpenSpan {
  readonly context: SpanContext;
  readonly parentSpanId: string | undefined;
  readonly links: SpanContext[];
  readonly events: SpanEvent[];
  /** Why the cache chose its outcome. */
  reason?: string;
  /** How often each upstream URL was requested, for resends. */
  readonly asked: Map<string, number>;
}

/** Links and events of one span, and URLs it counts: a transfer may have any number of readers. */
const MAX_DETAILS = 64;

/** Requests and transfers that run. Both end with an event of their own, so the bound is reached only by a defect. */
const MAX_OPEN = 100_000;

/** Probes and scrapes: they come every few seconds, and say nothing of a pull. */
const UNTRACED: ReadonlySet<string> = new Set(['health', 'metrics', 'events']);

const CLOSE_MS = 5000;

/** Milliseconds between two warnings that spans are lost. */
const WARN_EVERY = 10 * 60 * 1000;

/**
 * Makes spans of events, until it is closed: one for each request, one for each upstream request, one for each transfer.
 *
 * Events are published in the asynchronous context of the request that causes them, which finds an upstream request's parent.
 * A request's context begins with its event `request.started`, which nothing else listens to.
 */
export function createTracing(telemetry: Telemetry, options: TracingOptions): Tracing {
  const recorder = new SpanRecorder(telemetry, options);
  const subscriptions = recorder.subscribe();
  let deadline: number | undefined;
  return {
    stopBy(at) {
      deadline = at;
    },
    async close() {
      for (const unsubscribe of subscriptions.splice(0)) unsubscribe();
      const latest = performance.now() + CLOSE_MS;
      await recorder.queue.close(Math.min(latest, deadline ?? latest));
    },
  };
}

class SpanRecorder {
  readonly queue: ExportQueue;
  readonly #telemetry: Telemetry;
  readonly #sample: number;
  readonly #current = new AsyncLocalStorage<OpenSpan>();
  readonly #requests = new Map<string, OpenSpan>();
  readonly #transfers = new Map<string, OpenSpan>();
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(
    telemetry: Telemetry,
    { send, sample, serviceName, version, timeout, interval, backOff }: TracingOptions,
  ) {
    this.#telemetry = telemetry;
    this.#sample = sample;
    const resource = resourceOf({ serviceName, version, instance: randomUUID(), host: hostname() });
    this.queue = new ExportQueue({
      send,
      timeout,
      ...(interval === undefined ? {} : { interval }),
      ...(backOff === undefined ? {} : { backOff }),
      encode: (spans) => encodeSpans(spans, { resource, version }),
      onFate: (outcome, spans) => telemetry.publish('trace.spans', { outcome, spans }),
      onAttempt: (reason) => this.#warn(reason),
    });
  }

  subscribe(): (() => void)[] {
    const telemetry = this.#telemetry;
    return [
      telemetry.on('request.started', (event) => this.#startRequest(event)),
      telemetry.on('request.finished', (event) => this.#endRequest(event)),
      telemetry.on('upstream.request', (event) => this.#recordUpstreamRequest(event)),
      telemetry.on('upstream.failover', ({ from, to, reason }) => {
        const attributes = { 'entrepot.upstream.from': from, 'entrepot.upstream.to': to, reason: redactText(reason) };
        this.#note(this.#current.getStore(), { name: 'failover', attributes });
      }),
      telemetry.on('cache.decision', ({ reason }) => {
        const span = this.#current.getStore();
        if (span !== undefined) span.reason = reason;
      }),
      telemetry.on('ingest.started', ({ id }) => this.#startTransfer(id)),
      telemetry.on('ingest.joined', ({ id }) => this.#joinTransfer(id)),
      telemetry.on('ingest.resumed', ({ id, offset, reason }) => {
        const attributes = { 'entrepot.transfer.offset': offset, reason: redactText(reason) };
        this.#note(this.#transfers.get(id), { name: 'resumed', attributes });
      }),
      telemetry.on('ingest.finished', (event) => this.#endTransfer(event)),
    ];
  }

  /** A trusted proxy's trace goes on; another client's is linked, since it could choose ids and have everything recorded. */
  #startRequest({ id, traceparent, tracestate, isTrusted }: Events['request.started']): void {
    const remote = readTraceContext(traceparent, tracestate);
    const isContinued = remote !== undefined && isTrusted;
    const span = openSpan(isContinued ? childOf(remote) : newTrace(this.#sample), isContinued ? remote : undefined);
    if (remote !== undefined && !isContinued) span.links.push(remote);
    if (this.#requests.size < MAX_OPEN) this.#requests.set(id, span);
    // Not `run`, which takes a callback: the publisher of the event goes on in this context.
    this.#current.enterWith(span);
  }

  #endRequest(event: RequestFinished): void {
    const known = this.#requests.get(event.id);
    this.#requests.delete(event.id);
    // A tunnel has no start of its own.
    const span = known ?? openSpan(newTrace(this.#sample));
    if (!span.context.sampled || UNTRACED.has(event.route)) return;
    this.#finish(span, { ...describeRequest(event, span.reason), kind: 'server', durationMs: event.durationMs });
  }

  #recordUpstreamRequest(event: UpstreamRequestEnded): void {
    const parent = this.#current.getStore();
    const span = this.#child(parent);
    if (!span.context.sampled) return;
    const key = `${event.method} ${event.url}`;
    const resends = parent?.asked.get(key) ?? 0;
    if (parent !== undefined && (resends > 0 || parent.asked.size < MAX_DETAILS)) parent.asked.set(key, resends + 1);
    this.#finish(span, { ...describeUpstreamRequest(event, resends), kind: 'client', durationMs: event.durationMs });
  }

  #startTransfer(id: string): void {
    const request = this.#current.getStore();
    const known = this.#transfers.get(id);
    if (known === undefined) this.#openTransfer(id, request);
    else link(known, request);
  }

  #joinTransfer(id: string): void {
    const request = this.#current.getStore();
    // A reader may join before the upstream has answered, which is when the transfer is published to start.
    const transfer = this.#transfers.get(id) ?? this.#openTransfer(id, request);
    link(transfer, request);
    if (request !== undefined && transfer.context.sampled) link(request, transfer);
  }

  #openTransfer(id: string, request: OpenSpan | undefined): OpenSpan {
    const transfer = this.#child(request);
    if (this.#transfers.size < MAX_OPEN) this.#transfers.set(id, transfer);
    return transfer;
  }

  #endTransfer(event: Events['ingest.finished']): void {
    // It fails without a start where no upstream answers.
    const span = this.#transfers.get(event.id) ?? this.#child(this.#current.getStore());
    this.#transfers.delete(event.id);
    if (!span.context.sampled) return;
    this.#finish(span, { ...describeTransfer(event), kind: 'internal', durationMs: event.durationMs });
  }

  #child(parent: OpenSpan | undefined): OpenSpan {
    return parent === undefined ? openSpan(newTrace(this.#sample)) : openSpan(childOf(parent.context), parent.context);
  }

  #note(span: OpenSpan | undefined, { name, attributes }: Omit<SpanEvent, 'at'>): void {
    if (span?.context.sampled !== true || span.events.length >= MAX_DETAILS) return;
    span.events.push({ name, attributes, at: Date.now() });
  }

  #finish(
    { context, parentSpanId, links, events }: OpenSpan,
    { durationMs, ...said }: Pick<Span, 'name' | 'kind' | 'attributes' | 'failure'> & { readonly durationMs: number },
  ): void {
    const end = Date.now();
    this.queue.add({ context, parentSpanId, links, events, start: end - durationMs, end, ...said });
  }

  /** At most once in ten minutes: a collector that is down must not fill the log. */
  #warn(reason: string | undefined): void {
    const now = performance.now();
    if (reason === undefined || now - this.#warnedAt < WARN_EVERY) return;
    this.#warnedAt = now;
    const message = `Cannot export traces: ${redactText(reason)}. Pulls are not affected. Check tracing.endpoint and the collector`;
    this.#telemetry.publish('warning', { message });
  }
}

function openSpan(context: SpanContext, parent?: SpanContext): OpenSpan {
  return { context, parentSpanId: parent?.spanId, links: [], events: [], asked: new Map() };
}

/** Links one span to another that is recorded. */
function link(from: OpenSpan, to: OpenSpan | undefined): void {
  if (to?.context.sampled === true && from.links.length < MAX_DETAILS) from.links.push(to.context);
}
