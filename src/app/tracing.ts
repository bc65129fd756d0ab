import type { Config } from '../config/index.ts';
import { byteSourceOf } from '../lib/index.ts';
import type { HttpClient, HttpError, HttpReply } from '../net/index.ts';
import { type Delivery, loadTracing, type SendSpans, type Telemetry, type Tracing } from '../telemetry/index.ts';
import { ClientPool, loadNet, transportOf } from './settings/index.ts';

/** Bytes of a collector's answer: it has nothing to say but how many spans it refused. */
const MAX_ANSWER = 64 * 1024;

interface TracingContext {
  readonly telemetry: Telemetry;
  /** Of this program. */
  readonly version: string;
  /** Takes what closes it again. */
  readonly cleanups: (() => unknown)[];
}

/**
 * Makes traces and sends them to `tracing.endpoint`; undefined where there is none.
 *
 * The collector is reached directly: the settings for upstreams (outbound proxy, split handshakes) are for the internet.
 *
 * @throws {SettingsError} for a bad PEM file
 */
export async function openTracing(
  config: Config,
  { telemetry, version, cleanups }: TracingContext,
): Promise<Tracing | undefined> {
  const { endpoint, sample, serviceName, headers, timeout } = config.tracing;
  if (endpoint === undefined) return undefined;
  const clients = new ClientPool();
  cleanups.push(() => clients.close());
  const client = await clients.clientFor({ ...transportOf(config), outboundProxy: 'none', firstFragmentLen: 0 });
  const [{ createTracing }, net] = await Promise.all([loadTracing(), loadNet()]);
  const isHttpError = (error: unknown): error is HttpError => error instanceof net.HttpError;
  const tracing = createTracing(telemetry, {
    sample,
    serviceName,
    version,
    timeout,
    send: sendTo({ url: new URL(endpoint), headers, client, isHttpError }),
  });
  cleanups.push(() => tracing.close());
  return tracing;
}

interface Collector {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly client: HttpClient;
  readonly isHttpError: (error: unknown) => error is HttpError;
}

/** POSTs a batch, and reads the answer as the OTLP specification says (OTLP/HTTP Response). */
function sendTo({ url, headers, client, isHttpError }: Collector): SendSpans {
  const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return async (text, signal) => {
    const body = Buffer.from(text);
    try {
      const answer = await client.fetch({
        method: 'POST',
        url,
        headers: { accept: 'application/json', ...own, 'content-type': 'application/json' },
        body: { length: body.length, source: byteSourceOf([body]) },
        addresses: { kind: 'any' },
        maxBytes: MAX_ANSWER,
        signal,
      });
      return readAnswer(answer, url);
    } catch (error) {
      signal.throwIfAborted();
      if (!isHttpError(error)) throw error;
      return { kind: 'retry', reason: error.explanation, after: undefined };
    }
  };
}

function readAnswer({ status, headers, body }: HttpReply, url: URL): Delivery {
  if (status >= 200 && status < 300) {
    const { rejected, reason } = readPartialSuccess(body.toString());
    return { kind: 'taken', rejected, reason };
  }
  const reason = `${url.origin}${url.pathname} answered ${status}`;
  if (![429, 502, 503, 504].includes(status)) return { kind: 'refused', reason };
  // A date, which the header may also be, is left to the usual back-off.
  const seconds = /^\d{1,5}$/.exec(headers['retry-after']?.trim() ?? '')?.[0];
  return { kind: 'retry', reason, after: seconds === undefined ? undefined : Number(seconds) * 1000 };
}

/** ExportTracePartialSuccess. Any other text means that everything was taken. */
function readPartialSuccess(text: string): { readonly rejected: number; readonly reason: string } {
  const partial = fieldOf(parseJson(text), 'partialSuccess');
  // A 64-bit integer is a text in JSON.
  const rejected = Number(fieldOf(partial, 'rejectedSpans') ?? 0);
  const message = fieldOf(partial, 'errorMessage');
  return {
    rejected: Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0,
    reason: `the collector refused ${rejected} spans: ${typeof message === 'string' ? message.slice(0, 300) : 'no reason given'}`,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
