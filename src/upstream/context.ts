import type { HttpClient } from '../net/index.ts';
import type { TlsSpec, TransportSpec } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/**
 * The client for a TLS setting. What may share connections has the same `key`, so one client per key is enough; the key is
 * empty for all that have neither TLS nor transport settings nor a credential. It is called once per upstream; its caller
 * never closes the client.
 */
export type HttpClientFor = (
  tls: TlsSpec | undefined,
  key: string,
  transport?: TransportSpec,
) => HttpClient | Promise<HttpClient>;

/** What all upstreams share. */
export interface UpstreamContext {
  readonly httpClientFor: HttpClientFor;
  readonly telemetry: Telemetry;
  /** Hosts, addresses and CIDR blocks that redirects and realms may lead to, besides public ones. */
  readonly allowPrivate: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1: spreads back-off. @default Math.random */
  readonly random?: (() => number) | undefined;
  /**
   * Milliseconds for a small request (a manifest, a list, a HEAD of a blob) as a whole, with token, redirects and body.
   * @default 50_000: the default timeouts of connect, TLS handshake and response header together
   */
  readonly answerTimeout?: number | undefined;
}
