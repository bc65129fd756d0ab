import { Recent, type Via } from '../lib/index.ts';
import { type AddressPolicy, type HttpClient, HttpError, type HttpHead, type HttpRequest } from '../net/index.ts';
import { type Destination, identifiesUs, ownHeaders, type UpstreamSpec } from '../oci/index.ts';
import type { UpstreamRequestEnded } from '../telemetry/index.ts';
import { blockOf } from './blocked.ts';
import type { UpstreamContext } from './context.ts';
import { withDeadline } from './deadline.ts';
import { describeExchange, exchangeFailure } from './error.ts';
import { clientTowards, published } from './exchange.ts';

/** Milliseconds: the longest delay of a timer. */
const LONGEST_DELAY = 2 ** 31 - 1;
/** Distinct warnings per upstream: one that keeps inventing messages is not logged for ever. */
const MAX_WARNINGS = 32;

/** How long a host that refused a Range is sent none. */
const REFUSED_FOR_MS = 10 * 60_000;

/** Any address may be dialled. */
export const ANY: AddressPolicy = { kind: 'any' };

/** How an exchange is carried out. */
export interface ExchangeOptions<T> {
  /** The request of a client behind it. */
  readonly via?: Via | undefined;
  readonly purpose: UpstreamRequestEnded['purpose'];
  /** Whose TLS settings apply. */
  readonly destination: Destination;
  readonly send: (client: HttpClient, httpRequest: HttpRequest) => Promise<T>;
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
  /**
   * The hosts (with port, as `URL.host`) that refused a Range and sent the whole without it: the upstream's own, and those of
   * its storages. They are not sent one meanwhile.
   */
  readonly rangeRefusals: Recent;
  /**
   * Milliseconds for a small request (a manifest, a list, a token, a HEAD of a blob) as a whole, with token, redirects and
   * body: the time to connect, to shake hands and to respond once. Without it, a body that trickles would hold a request for
   * ever, and each of many exchanges could take its own timeout.
   */
  readonly #answerTimeout: number;
  readonly #warned = new Set<string>();

  constructor(registry: string, spec: UpstreamSpec, context: UpstreamContext) {
    this.registry = registry;
    this.spec = spec;
    this.url = new URL(spec.url);
    this.context = context;
    this.headers = ownHeaders(spec);
    this.isIdentified = identifiesUs(spec);
    const { allowPrivate, dialTimeout, tlsHandshakeTimeout, responseHeaderTimeout } = spec.transport.upstream;
    this.derived = { kind: 'public', allow: allowPrivate };
    this.named = spec.addresses === 'public' ? this.derived : ANY;
    this.rangeRefusals = new Recent({ most: 64, lasts: REFUSED_FOR_MS, now: context.now });
    this.#answerTimeout = Math.min(dialTimeout + tlsHandshakeTimeout + responseHeaderTimeout, LONGEST_DELAY);
  }

  /** @throws {UpstreamError} where no answer came; an abort rejects with the signal's reason */
  async exchange<T extends HttpHead>(
    httpRequest: HttpRequest,
    { purpose, destination, send, via }: ExchangeOptions<T>,
  ): Promise<T> {
    const { registry, spec, context } = this;
    const client = await clientTowards(destination, this);
    const { method, url, signal } = httpRequest;
    const exchange = {
      context,
      registry,
      upstream: spec.name,
      purpose,
      httpRequest,
      request: via?.request,
      repository: purpose === 'token' ? undefined : via?.repository,
    };
    const blockedBy = (reply: T): UpstreamRequestEnded['blocked'] => {
      const block = blockOf(reply);
      // Where another upstream answers in its place, the failure of the request is not logged.
      if (block !== undefined) this.warn(`${url.host} of ${spec.name} is blocked by ${block.by}. ${block.remedy}`);
      return block?.kind;
    };
    try {
      return await published(exchange, { send: (meter) => send(client, { ...httpRequest, meter }), blockedBy });
    } catch (error) {
      signal?.throwIfAborted();
      throw exchangeFailure(error, {
        upstream: spec.name,
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
    const milliseconds = this.#answerTimeout;
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
