import type { Destination, TransportSpec } from './transport-spec.ts';

/**
 * A registry: its names, and the upstreams that have its content.
 *
 * Routing finds it by name, `upstream/` sends requests to its upstreams; neither imports the other, so both share this type.
 */
export interface RegistrySpec {
  /** The canonical name: a host (`docker.io`, `ghcr.io`) or a name of the operator's own (`apps`). */
  readonly name: string;
  /** Other hosts of this registry, equivalent to its name (`index.docker.io`). */
  readonly hosts: readonly string[];
  /** Short names for the host name and in front of `/v2/` (`ghcr`). */
  readonly aliases: readonly string[];
  /** Names without a dot for the first path component: only those of the operator (decisions: names 2). */
  readonly pathNames: readonly string[];
  /** One-word repositories get the prefix `library/`, as on Docker Hub. */
  readonly library: boolean;
  /** `stream`: this server sends all bytes. `redirect`: it answers a blob GET with 307 if the client can follow. */
  readonly delivery: 'stream' | 'redirect';
  /** In order of preference. Empty only where every repository is hosted. */
  readonly upstreams: readonly UpstreamSpec[];
  /** @default in the order of `upstreams` */
  readonly strategy?: StrategySpec | undefined;
  /** What it overrides of the common settings. */
  readonly transfer?: Partial<TransferSpec> | undefined;
  /** Undefined: nothing can be pushed. */
  readonly hosting?: HostingSpec | undefined;
}

/** In which order the upstreams of a registry are asked. */
export interface StrategySpec {
  readonly by: 'ordered' | 'fastest' | 'weighted' | 'plugin';
  /** Whether it is for tags and lists too, which differ between upstreams; otherwise these are asked in the order of the upstreams. */
  readonly tags: boolean;
  /** By the names of upstreams, from 0 to 1000. @default 1 */
  readonly weights: ReadonlyMap<string, number>;
  /** Path of the plugin. */
  readonly plugin?: string | undefined;
}

/** How one blob is fetched. */
export interface TransferSpec {
  /** Connections at once, at most; 1: it is never split. */
  readonly connections: number;
  /** The fewest bytes of a part. */
  readonly minSegment: number;
}

/** Which repositories of a registry are pushed to this server, and how they are kept. */
export interface HostingSpec {
  /** Patterns of repositories whose home is this server: no upstream is ever asked for them. `**`: all of them. */
  readonly hosted: readonly string[];
  /** Patterns of repositories whose pushes go on to the first upstream. */
  readonly push: readonly string[];
  /** Patterns of tags that are never moved nor deleted: `v*` in every repository, or `repository:tag`. */
  readonly immutableTags: readonly string[];
  /** The most bytes of one repository. @default no limit */
  readonly quota?: number | undefined;
  /** Whether a manifest is taken although what it names is missing. */
  readonly sparse: boolean;
  /** Milliseconds that a manifest without a tag is kept. @default for good */
  readonly keepUntagged?: number | undefined;
}

/** What an upstream is used for: `resolve` decides what a tag points to, `pull` serves content by digest. */
export type Capability = 'pull' | 'resolve';

/** One source of a registry's content, or a mirrored site. */
export interface UpstreamSpec {
  /** Unique within the registry; shown in logs and metrics. The host (and port) of the URL unless named. */
  readonly name: string;
  /** `http(s)://host[:port][/prefix]`, without a trailing slash; the API is at `<url>/v2/`. */
  readonly url: string;
  /** Stands in front of each repository's name there, with a slash. @default repositories have the names of the registry */
  readonly repositoryPrefix?: string | undefined;
  /** Several are used in turn, as their pull limits run low. */
  readonly credentials: CredentialSource | readonly CredentialSource[] | undefined;
  /** Sent with each request to the upstream itself, never to a redirect target or token service. */
  readonly headers: Readonly<Record<string, string>>;
  readonly capabilities: readonly Capability[];
  /** How it, its token service and its redirect targets are connected to. */
  readonly transport: Readonly<Record<Destination, TransportSpec>>;
  /** What it overrides of the settings of its registry. */
  readonly transfer?: Partial<TransferSpec> | undefined;
  /** Hosts (or `*.suffix`) of token services, besides the upstream's own registrable domain. */
  readonly tokenRealms: readonly string[];
  /** If set, the only hosts (or `*.suffix`) of redirect targets, besides the upstream itself. */
  readonly redirectHosts: readonly string[] | undefined;
  /**
   * `public`: a client chose the host (`allow_any`), so its address must be public.
   * @default 'any': the configuration names the host, so its address may be private
   */
  readonly addresses?: 'any' | 'public';
}

/** A secret, or its source; read at each use, so that a rotated secret takes effect at once. */
export type Secret = string | { readonly env: string } | { readonly file: string };

/** A username and password, or a `docker-credential-<helper>` program that returns them. */
export type CredentialSource = { readonly username: Secret; readonly password: Secret } | { readonly helper: string };
