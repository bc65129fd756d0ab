import type { HttpClient } from '../net/index.ts';
import type { TlsSpec, TransportSpec } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** What every upstream is given by whoever puts the server together. */
export interface UpstreamContext {
  /**
   * The client for a TLS setting. `key` tells apart what may not share connections, so one client per key is enough; it
   * is the same for all that have neither TLS nor transport settings nor a credential. A client is asked for once per upstream, and
   * closed by whoever made it.
   */
  readonly httpClientFor: (
    tls: TlsSpec | undefined,
    key: string,
    transport?: TransportSpec,
  ) => HttpClient | Promise<HttpClient>;
  readonly telemetry: Telemetry;
  /** Hosts, addresses and CIDR blocks that what is derived (redirects, realms) may lead to, besides public ones. */
  readonly allowPrivate: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1: spreads back-off. @default Math.random */
  readonly random?: (() => number) | undefined;
  /**
   * Milliseconds for an upstream to answer a small question (a manifest, a list, whether a blob is there) with all that
   * goes with it: token, redirects, body. @default 50_000: to connect, to shake hands and to answer once, each in its time
   */
  readonly answerTimeout?: number | undefined;
}
