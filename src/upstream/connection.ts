import { type AddressPolicy, type HttpClient, HttpError, type HttpHead, type HttpRequest } from '../net/index.ts';
import type { UpstreamSpec } from '../oci/index.ts';
import type { UpstreamRequestEnded } from '../telemetry/index.ts';
import { blockOf } from './blocked.ts';
import type { Destination, UpstreamContext } from './context.ts';
import { withDeadline } from './deadline.ts';
import { DestinationClients } from './destination-clients.ts';
import { describeExchange, exchangeFailure, shownUrl } from './error.ts';
import { identifiesUs, ownHeaders } from './own-headers.ts';
import { RangeRefusals } from './range-refusals.ts';

/** Without it, a body that trickles would hold a request for ever, and each of many exchanges could take its own timeout. */
const ANSWER_TIMEOUT_MS = 50_000;
/** Distinct warnings per upstream: one that keeps inventing messages is not logged for ever. */
const MAX_WARNINGS = 32;

/** Any address may be dialled. */
export const ANY: AddressPolicy = { kind: 'any' };

/** How an exchange is carried out. */
export interface ExchangeOptions<T> {
  readonly purpose: UpstreamRequestEnded['purpose'];
  /** Whose TLS settings apply. */
  readonly destination: Destination;
  readonly send: (client: HttpClient, httpRequest: HttpRequest) => Promise<T>;
}

/** What the event of an exchange without an answer says of it. */
export function outcomeOf(error: unknown): Pick<UpstreamRequestEnded, 'blocked'> & { readonly error: string } {
  if (!(error instanceof HttpError)) return { error: 'failed' };
  return { error: error.code, blocked: error.code === 'tls-reset' ? error.code : undefined };
}

/** Single HTTP exchanges with one upstream and with the hosts it leads to. Each is published, whatever its outcome. */
export class UpstreamConnection {
  readonly registry: string;
  readonly spec: UpstreamSpec;
  readonly url: URL;
  readonly context: UpstreamContext;
  /** The operator's headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** The upstream may recognise us without a token, by a client certificate or a header. */
  readonly isIdentified: boolean;
  /** What may be dialled at the upstream's own host. */
  readonly named: AddressPolicy;
  /** What may be dialled where an answer from the public internet leads. */
  readonly derived: AddressPolicy;
  readonly rangeRefusals: RangeRefusals;
  readonly #clients: DestinationClients;
  readonly #warned = new Set<string>();

  constructor(registry: string, spec: UpstreamSpec, context: UpstreamContext) {
    this.registry = registry;
    this.spec = spec;
    this.url = new URL(spec.url);
    this.context = context;
    this.headers = ownHeaders(spec);
    this.isIdentified = identifiesUs(spec);
    this.derived = { kind: 'public', allow: context.allowPrivate };
    this.named = spec.addresses === 'public' ? this.derived : ANY;
    this.rangeRefusals = new RangeRefusals(context.now);
    this.#clients = new DestinationClients(spec, context);
  }

  /** @throws {UpstreamError} where no answer came; an abort rejects with the signal's reason */
  async exchange<T extends HttpHead>(
    httpRequest: HttpRequest,
    { purpose, destination, send }: ExchangeOptions<T>,
  ): Promise<T> {
    const client = await this.#clients.to(destination);
    const { method, url, signal } = httpRequest;
    const startedAt = performance.now();
    const publish = (status: number, { error, blocked }: Pick<UpstreamRequestEnded, 'error' | 'blocked'> = {}): void =>
      this.context.telemetry.publish('upstream.request', {
        registry: this.registry,
        upstream: this.spec.name,
        method,
        url: shownUrl(url),
        status,
        durationMs: performance.now() - startedAt,
        purpose,
        ...(error === undefined ? {} : { error }),
        ...(blocked === undefined ? {} : { blocked }),
      });
    try {
      const reply = await send(client, httpRequest);
      const block = blockOf(reply);
      publish(reply.status, { blocked: block?.kind });
      // Where another upstream answers in its place, the failure of the request is not logged.
      if (block !== undefined) this.warn(`${url.host} of ${this.spec.name} is blocked by ${block.by}. ${block.remedy}`);
      return reply;
    } catch (error) {
      publish(0, outcomeOf(error));
      signal?.throwIfAborted();
      throw exchangeFailure(error, {
        upstream: this.spec.name,
        exchange: describeExchange(method, url),
        redirected: purpose === 'redirect',
      });
    }
  }

  /** Bounds an operation by the time that an upstream has to answer. */
  inTime<T>(
    { method, url, signal }: { readonly method: string; readonly url: URL; readonly signal?: AbortSignal | undefined },
    operation: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const milliseconds = this.context.answerTimeout ?? ANSWER_TIMEOUT_MS;
    const late = (): Error => {
      const cause = new HttpError('timeout', `there was no whole answer within ${milliseconds / 1000} s`);
      return exchangeFailure(cause, { upstream: this.spec.name, exchange: describeExchange(method, url) });
    };
    return withDeadline(operation, { milliseconds, signal, late });
  }

  /** Warns the operator, once per message, of what only a change of the configuration can fix. */
  warn(message: string): void {
    if (this.#warned.has(message) || this.#warned.size >= MAX_WARNINGS) return;
    this.#warned.add(message);
    this.context.telemetry.publish('warning', { message });
  }
}
