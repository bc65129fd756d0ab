import { type ByteSource, byteSourceOf, drain } from '../lib/index.ts';
import { type HttpClient, HttpError, type HttpStream } from '../net/index.ts';
import type { Secret } from '../oci/index.ts';
import { MEDIA_TYPE, type SentEvent, type Source } from './envelope.ts';
import { LONGEST_RETRY_AFTER } from './schedule.ts';
import { keyOf, signatureOf } from './signature.ts';
import type { WebhookSpec } from './webhook.ts';

/** How one attempt ended. `gone`: the receiver answered 410 and wants no more. */
export interface Attempt {
  readonly outcome: 'delivered' | 'failed' | 'gone';
  /** Undefined where no answer came. */
  readonly status?: number | undefined;
  /** Why it failed, and the remedy where there is one. It holds no path and no query of the URL. */
  readonly reason?: string | undefined;
  /** Milliseconds that the receiver asks to be left alone, at most an hour. */
  readonly retryAfter?: number | undefined;
  /** The first 4 KiB of the answer at most, where the caller wants it. */
  readonly answer?: string | undefined;
  readonly durationMs: number;
}

/** What one attempt sends. */
export interface Message {
  /** The same over all attempts. */
  readonly id: string;
  readonly event: SentEvent;
  readonly body: string;
  /** When it happened; milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface AttemptContext {
  readonly http: Pick<HttpClient, 'open'>;
  readonly source: Source;
  /** Rejects with an `Error` that names the source of the secret, where it cannot be read. */
  readonly readSecret: (secret: Secret) => Promise<string>;
  /** Of this program. */
  readonly version: string;
  /** Cuts the attempt. */
  readonly signal: AbortSignal;
  /** @default false */
  readonly wantsAnswer?: boolean;
}

/** Bytes of an answer that are read; the rest is discarded, and its connection with it. */
const MAX_ANSWER = 4096;
/** Milliseconds for them, after the head. */
const ANSWER_TIMEOUT = 1000;

/**
 * Sends one message, once. No redirect is followed, and certificates are always checked.
 *
 * Rejects only where `signal` aborts: then it is not known whether the receiver took it.
 */
export async function attempt(spec: WebhookSpec, message: Message, context: AttemptContext): Promise<Attempt> {
  const started = performance.now();
  const durationMs = (): number => Math.round(performance.now() - started);
  const late = AbortSignal.timeout(spec.timeout);
  try {
    const headers = await headersOf(spec, message, context);
    const body = Buffer.from(message.body);
    const response = await context.http.open({
      method: 'POST',
      url: new URL(spec.url),
      headers,
      // As a stream it goes out on a new connection: a pooled one may just be closed by the receiver, and a POST on it would fail.
      body: { length: body.length, source: byteSourceOf([body]) },
      addresses: { kind: 'any' },
      signal: AbortSignal.any([context.signal, late]),
    });
    const answer = await readAnswer(response.body, context.wantsAnswer === true);
    return { ...judge(response), ...(answer === undefined ? {} : { answer }), durationMs: durationMs() };
  } catch (error) {
    context.signal.throwIfAborted();
    const reason = late.aborted ? `no answer within ${spec.timeout / 1000} s` : explain(error);
    return { outcome: 'failed', reason, durationMs: durationMs() };
  }
}

function explain(error: unknown): string {
  if (error instanceof HttpError) return error.explanation;
  return error instanceof Error ? error.message : String(error);
}

function judge({ status, headers }: Pick<HttpStream, 'status' | 'headers'>): Omit<Attempt, 'durationMs' | 'answer'> {
  if (status >= 200 && status < 300) return { outcome: 'delivered', status };
  if (status === 410) {
    const reason = 'the receiver answered 410: it wants no more events. Remove the webhook, or correct its url';
    return { outcome: 'gone', status, reason };
  }
  const isRedirect = status >= 300 && status < 400 && headers['location'] !== undefined;
  const remedy = isRedirect
    ? `, a redirect to ${originOf(headers['location'] ?? '')}, which is not followed. Correct the url`
    : '';
  return { outcome: 'failed', status, reason: `it answered ${status}${remedy}`, ...retryAfterOf(headers) };
}

/** Where a redirect leads, without its path, which may hold a token. */
function originOf(location: string): string {
  const origin = URL.parse(location)?.origin ?? 'null';
  return origin === 'null' ? 'another path' : origin;
}

/** Seconds (RFC 9110 §10.2.3). A date is left to the usual back-off. */
function retryAfterOf(headers: HttpStream['headers']): Pick<Attempt, 'retryAfter'> {
  const [seconds] = /^\d{1,9}$/.exec(headers['retry-after']?.trim() ?? '') ?? [];
  return seconds === undefined ? {} : { retryAfter: Math.min(Number(seconds) * 1000, LONGEST_RETRY_AFTER) };
}

async function headersOf(
  { secrets, headers }: WebhookSpec,
  { id, event, body, createdAt }: Message,
  { readSecret, source, version }: AttemptContext,
): Promise<Record<string, string>> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    own[name.toLowerCase()] = headerValue(name, await readSecret(value));
  const timestamp = Math.floor(Date.now() / 1000);
  const keys = await Promise.all(secrets.map(async (secret) => keyFrom(await readSecret(secret))));
  return {
    'user-agent': `entrepot/${version}`,
    'content-type': MEDIA_TYPE,
    accept: '*/*',
    ...own,
    'x-entrepot-event': event,
    'x-entrepot-delivery': id,
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    ...(keys.length === 0 ? {} : { 'webhook-signature': signatureOf({ id, timestamp, body }, keys) }),
    // CloudEvents 1.0.2, HTTP binding, binary mode: the body is the data of the event.
    'ce-specversion': '1.0',
    'ce-type': `entrepot.${event}`,
    'ce-source': source.url ?? `//${source.addr}`,
    'ce-id': id,
    'ce-time': new Date(createdAt).toISOString(),
  };
}

function headerValue(name: string, value: string): string {
  // Not quoted: it may be a credential.
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return value;
  throw new Error(`the value of the header ${name} has characters that no header can have. Write it on one line`);
}

function keyFrom(secret: string): Buffer {
  const key = keyOf(secret);
  if (key !== undefined) return key;
  throw new Error('the secret begins with whsec_, and no base64 follows. Correct it, or leave whsec_ out of a text');
}

/** What the receiver says, bounded in bytes and time. The status has said whether it took the event. */
async function readAnswer(body: ByteSource, isWanted: boolean): Promise<string | undefined> {
  if (!isWanted) {
    body.cancel();
    return undefined;
  }
  return (await drain(body, { limit: MAX_ANSWER, timeout: ANSWER_TIMEOUT })).toString();
}
