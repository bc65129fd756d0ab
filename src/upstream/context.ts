import type { HttpClient } from '../net/index.ts';
import type { TlsSpec, UpstreamSpec } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** What a connection is for: the upstream itself, a redirect target, the upstream's token service. */
export type Destination = 'upstream' | 'redirect' | 'token';

/** The client for one destination of an upstream. */
export interface ClientQuery {
  readonly spec: UpstreamSpec;
  readonly destination: Destination;
  /** The TLS settings for this destination: those of the upstream, or fewer. */
  readonly tls: TlsSpec | undefined;
}

/** What all upstreams share. */
export interface UpstreamContext {
  /**
   * Opens a client, or gives one that is open: connections are never shared between upstreams that have settings or
   * credentials of their own. Called once for each destination of an upstream; the pool closes its clients.
   */
  readonly httpClientFor: (query: ClientQuery) => HttpClient | Promise<HttpClient>;
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
