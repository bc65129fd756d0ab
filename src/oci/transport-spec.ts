/** What a connection is for: the upstream itself, a redirect target, the upstream's token service. */
export type Destination = 'upstream' | 'redirect' | 'token';

/**
 * How hosts are connected to, complete: an HTTP client is opened from this value alone. Times in milliseconds.
 *
 * Clients are kept per object: upstreams that have the same object share connections.
 */
export interface TransportSpec {
  readonly dialTimeout: number;
  readonly tlsHandshakeTimeout: number;
  readonly responseHeaderTimeout: number;
  readonly bodyIdleTimeout: number;
  readonly idleConnTimeout: number;
  readonly maxIdleConnsPerHost: number;
  readonly maxIdleConns: number;
  readonly maxConnsPerHost: number;
  readonly keepalive: number;
  /** 0 to 255; 0 leaves the ClientHello whole. */
  readonly firstFragmentLen: number;
  readonly allowPlainFallback: boolean;
  /** `none`, `environment`, or an address, which may contain a user and password: never show it. */
  readonly outboundProxy: string;
  readonly tls: TlsSpec;
  /** Undefined where the system resolves names. All transports of a configuration have the same object, and share a resolver. */
  readonly dns: DnsSpec | undefined;
  /** Hosts, addresses and CIDR blocks that redirects and token services may lead to, besides public ones. */
  readonly allowPrivate: readonly string[];
}

/** TLS settings. Paths are of PEM files. */
export interface TlsSpec {
  /** Trusted besides the usual authorities. */
  readonly caFiles: readonly string[];
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly insecureSkipVerify: boolean;
}

/** How names are resolved, and how the name servers are connected to. */
export interface DnsSpec
  extends Pick<TransportSpec, 'dialTimeout' | 'tlsHandshakeTimeout' | 'firstFragmentLen' | 'allowPlainFallback'> {
  readonly servers: readonly string[];
  readonly bootstrap: readonly string[];
  readonly fallback: 'system' | 'none';
  readonly hosts: Readonly<Record<string, readonly string[]>>;
  readonly caFiles: readonly string[];
}
