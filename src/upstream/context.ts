import type { HttpClient } from '../net/index.ts';
import type { RegistrySpec, TransportSpec } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { RoutingPort } from './strategy/index.ts';

/** What all upstreams share. */
export interface UpstreamContext {
  /** Opens the client of a transport, or gives the one that is open; the room that provides it closes the clients. */
  readonly httpClientFor: (transport: TransportSpec) => HttpClient | Promise<HttpClient>;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1: spreads back-off. @default Math.random */
  readonly random?: (() => number) | undefined;
  /** The plugin that orders the upstreams of a registry. @default none */
  readonly pluginOf?: ((registry: RegistrySpec) => RoutingPort | undefined) | undefined;
}
