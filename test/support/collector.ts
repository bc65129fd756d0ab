import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';

/*
 * An OpenTelemetry collector that takes OTLP over HTTP, as JSON, and misbehaves on cue. It is strict: a field that trace.proto
 * does not have, or in another form than the JSON mapping has it, is a 400, and is remembered.
 */

const uint64 = z.string().regex(/^\d{1,20}$/);
const uint32 = z.int().min(0);
const traceId = z.string().regex(/^(?!0+$)[0-9a-f]{32}$/);
const spanId = z.string().regex(/^(?!0+$)[0-9a-f]{16}$/);

/** opentelemetry/proto/common/v1/common.proto, KeyValue: exactly one kind of value. */
const attributes = z
  .array(
    z.strictObject({
      key: z.string().min(1),
      value: z.union([
        z.strictObject({ stringValue: z.string() }),
        z.strictObject({ boolValue: z.boolean() }),
        z.strictObject({ intValue: z.string().regex(/^-?\d{1,19}$/) }),
        z.strictObject({ doubleValue: z.number() }),
      ]),
    }),
  )
  .transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, plain(value)])));

function plain(value: object): string | number | boolean {
  const [[kind, found] = ['', '']] = Object.entries(value);
  return kind === 'intValue' ? Number(found) : found;
}

/** opentelemetry/proto/trace/v1/trace.proto, Span. */
const span = z.strictObject({
  traceId,
  spanId,
  traceState: z.string().optional(),
  parentSpanId: spanId.optional(),
  flags: uint32,
  name: z.string().min(1),
  kind: z.int().min(1).max(5),
  startTimeUnixNano: uint64,
  endTimeUnixNano: uint64,
  attributes,
  events: z.array(z.strictObject({ timeUnixNano: uint64, name: z.string(), attributes })).default([]),
  links: z.array(z.strictObject({ traceId, spanId, traceState: z.string().optional(), flags: uint32 })).default([]),
  status: z.strictObject({ code: z.int().min(0).max(2), message: z.string().optional() }).optional(),
});

/** opentelemetry/proto/collector/trace/v1/trace_service.proto, ExportTraceServiceRequest. */
const request = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string(), version: z.string() }), spans: z.array(span) }),
      ),
    }),
  ),
});

export type ReceivedSpan = z.output<typeof span>;

/** Checks a body as a strict collector does. @throws where it is not OTLP as JSON */
export function readOtlp(body: string): {
  readonly spans: readonly ReceivedSpan[];
  readonly resource: Readonly<Record<string, string | number | boolean>>;
} {
  const { resourceSpans } = request.parse(JSON.parse(body));
  return {
    spans: resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    resource: resourceSpans[0]?.resource.attributes ?? {},
  };
}

/** `hang`: no answer, ever. `reset`: the connection is cut. A number: that status. */
export type CollectorMood = 'well' | 'hang' | 'reset' | number | { readonly rejects: number };

export interface Collector extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** What it took, oldest first. */
  readonly spans: readonly ReceivedSpan[];
  readonly requests: readonly { readonly path: string; readonly headers: IncomingMessage['headers'] }[];
  /** Why bodies were no OTLP. */
  readonly complaints: readonly string[];
  /** How it treats requests from now on. */
  mood: CollectorMood;
  /** Resolves with the first span that fits, taken by then or from now on. */
  received(fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>;
  /** Resolves when a further request has come, whatever became of it. */
  asked(): Promise<void>;
}

const PATIENCE_MS = 60_000;

/** Listens on 127.0.0.1, on a free port. */
export async function startCollector(): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const requests: { path: string; headers: IncomingMessage['headers'] }[] = [];
  const complaints: string[] = [];
  const watchers = new Set<() => void>();
  const server = createServer((incoming, response) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.once('end', () => {
      requests.push({ path: incoming.url ?? '', headers: incoming.headers });
      answer(Buffer.concat(pieces).toString(), response);
      for (const look of watchers) look();
    });
  });

  function answer(body: string, response: ServerResponse): void {
    const { mood } = collector;
    if (mood === 'hang') return;
    if (mood === 'reset') return void response.destroy();
    if (typeof mood === 'number') return void response.writeHead(mood, { 'retry-after': '0' }).end();
    try {
      spans.push(...readOtlp(body).spans);
    } catch (error) {
      complaints.push(String(error));
      return void response.writeHead(400).end();
    }
    const rejected = mood === 'well' ? {} : { rejectedSpans: String(mood.rejects), errorMessage: 'too old' };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ partialSuccess: rejected }));
  }

  function until<T>(found: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        watchers.delete(look);
        const names = spans.map(({ name }) => name).join(', ');
        reject(new Error(`The collector did not get what was waited for; it has ${names}; ${complaints.join('\n')}`));
      }, PATIENCE_MS);
      const look = (): void => {
        const result = found();
        if (result === undefined) return;
        watchers.delete(look);
        clearTimeout(timer);
        resolve(result);
      };
      watchers.add(look);
      look();
    });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const collector: Collector = {
    url: `http://127.0.0.1:${port}`,
    spans,
    requests,
    complaints,
    mood: 'well',
    received: (fits) => until(() => spans.find(fits)),
    async asked() {
      const { length } = requests;
      await until(() => (requests.length > length ? true : undefined));
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return collector;
}
