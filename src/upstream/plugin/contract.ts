/*
 * The contract between this server and a routing plugin. It is published as `entrepot/routing`, so it imports nothing and holds
 * types alone.
 */

/** One upstream that can be asked. */
export interface RoutingCandidate {
  /** Its name in the configuration, or the host of its URL. What a plugin returns is made of these. */
  readonly name: string;
  /** Host and port of its URL. */
  readonly host: string;
  /** `weight` of the configuration. @default 1 */
  readonly weight: number;
  /** `up`; `trying`: it has failed, and the next request tries whether it is back; `resting`: requests to it fail at once. */
  readonly state: 'up' | 'trying' | 'resting';
  /** The mean time to its answers of this kind, in milliseconds; absent where it was not measured lately. */
  readonly latencyMs?: number;
  /** The mean rate of its blobs over one connection; absent where it was not measured lately. */
  readonly bytesPerSecond?: number;
}

/** One question of this server to its upstreams. It says nothing about the client behind it. */
export interface RoutingQuestion {
  /** The name of the registry in the configuration. */
  readonly registry: string;
  /** Without the registry: `library/nginx`. Empty for a list of all repositories. */
  readonly repository: string;
  /** `list`: of tags, repositories or referrers. */
  readonly content: 'manifest' | 'blob' | 'list';
  readonly method: 'GET' | 'HEAD';
  /** Where it asks for a manifest by tag. A tag may differ between upstreams. */
  readonly tag?: string;
  /** Where it asks for a manifest or blob by digest, which is the same at every upstream. */
  readonly digest?: string;
  /** Bytes of the blob, or of the part that is asked for, where that is known. */
  readonly size?: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The upstreams that may be asked this, in the order of the configuration: two at least. */
  readonly upstreams: readonly RoutingCandidate[];
}

/**
 * Names of upstreams, the one to be asked first at the front. Those that are left out come after them, in the order of the
 * configuration. `undefined`: the order of the configuration.
 */
export type RoutingOrder = readonly string[] | undefined;

/** The default export of a routing plugin. It is called before each request to a registry that has the plugin. */
export type RoutingPlugin = (question: RoutingQuestion) => RoutingOrder | Promise<RoutingOrder>;
