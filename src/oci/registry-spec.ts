/**
 * A registry as this server knows it: what it is called, and who is asked for its content.
 *
 * Routing finds it by name, `upstream/` asks its upstreams; neither imports the other, so the words they share are here.
 */
export interface RegistrySpec {
  /** The canonical name: a host (`docker.io`, `ghcr.io`) or the operator's own word (`apps`). */
  readonly name: string;
  /** Other host names that mean this registry wherever its name does (`index.docker.io`). */
  readonly hosts: readonly string[];
  /** Short names that may stand in the host name and in front of `/v2/` (`ghcr`). */
  readonly aliases: readonly string[];
  /** Dotless names that may stand as the first path component: only those the operator wrote (decisions: names 2). */
  readonly pathNames: readonly string[];
  /** A one-word repository gets `library/` in front, as on Docker Hub. */
  readonly library: boolean;
  /** `stream`: bytes pass through here. `redirect`: a blob GET is answered with 307 where the client can follow. */
  readonly delivery: 'stream' | 'redirect';
  /** In order: the first that has it answers. Never empty. */
  readonly upstreams: readonly UpstreamSpec[];
}

/** What an upstream may be trusted with: `resolve` decides where a tag points, `pull` serves digests. */
export type Capability = 'pull' | 'resolve';

/** One place a registry's content can be had from. */
export interface UpstreamSpec {
  /** Unique within the registry; shown in logs and metrics. The host (and port) of the URL unless named. */
  readonly name: string;
  /** `http(s)://host[:port][/prefix]`, without a trailing slash; the API is at `<url>/v2/`. */
  readonly url: string;
  /** Several are used in turn, as their budgets run low. */
  readonly credentials: CredentialSource | readonly CredentialSource[] | undefined;
  /** Sent with each request to the upstream itself, never to a redirect target or token service. */
  readonly headers: Readonly<Record<string, string>>;
  readonly capabilities: readonly Capability[];
  readonly tls: TlsSpec | undefined;
  /** How it, its token service and what it redirects to are reached, where that differs from everybody else. */
  readonly transport?: TransportSpec;
  /** Hosts (or `*.suffix`) a token realm may have besides the upstream's own registrable domain. */
  readonly tokenRealms: readonly string[];
  /** When given, the only hosts (or `*.suffix`) a redirect may lead to besides the upstream itself. */
  readonly redirectHosts: readonly string[] | undefined;
  /**
   * `public`: the URL was made from a client's own words (`allow_any`), so its address must be a public one.
   * @default 'any': the configuration names it, so it may be private
   */
  readonly addresses?: 'any' | 'public';
}

/** Where a secret comes from; read when used, so that a rotated one takes effect at once. */
export type Secret = string | { readonly env: string } | { readonly file: string };

/** A username and password, or a `docker-credential-<helper>` program that is asked for them. */
export type CredentialSource = { readonly username: Secret; readonly password: Secret } | { readonly helper: string };

/** The way to one upstream. Times in milliseconds. */
export interface TransportSpec {
  /** 0 to 255; 0 leaves the ClientHello whole. */
  readonly firstFragmentLen?: number;
  readonly allowPlainFallback?: boolean;
  /** `none`, `environment`, or an address, which may hold a user and password: not to be shown. */
  readonly outboundProxy?: string;
  readonly dialTimeout?: number;
  readonly tlsHandshakeTimeout?: number;
  readonly responseHeaderTimeout?: number;
  readonly bodyIdleTimeout?: number;
}

/** TLS towards one upstream. Paths are of PEM files. */
export interface TlsSpec {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly insecureSkipVerify?: boolean;
}
