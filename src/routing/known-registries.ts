/** What is known of a public registry without any configuration. */
export interface KnownRegistry {
  /** The host that stands in image names. */
  readonly name: string;
  /** Other hosts that mean it. */
  readonly hosts: readonly string[];
  /** Short names for host names and in front of `/v2/`, those of crproxy where it has one. */
  readonly aliases: readonly string[];
  /** Where its API is. */
  readonly url: string;
  readonly library: boolean;
  /** Hosts its token service may have; its own registrable domain needs no mention. */
  readonly tokenRealms: readonly string[];
}

/**
 * The registries that are known out of the box.
 *
 * Redirects are left open for all of them (to public addresses, and to https): the content hosts named below move
 * without notice, and a list that is out of date breaks pulls while what it would keep out fails its digest anyway.
 */
export const KNOWN_REGISTRIES: readonly KnownRegistry[] = [
  // Names and API are on different hosts, and one-word names live in library/, in the path and in the token's scope.
  // Blobs: production.cloudflare.docker.com, production.cloudfront.docker.com, docker-images-prod.*.r2.cloudflarestorage.com.
  known('docker.io', ['docker'], {
    hosts: ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'],
    url: 'https://registry-1.docker.io',
    library: true,
    tokenRealms: ['auth.docker.io'],
  }),
  // A token is needed for public images too. No referrers: 404, or a 303 that leads nowhere.
  // Blobs: pkg-containers.githubusercontent.com.
  known('ghcr.io', ['ghcr']),
  // Its token service sends no expires_in: 60 seconds then. Blobs: cdn*.quay.io and object storage.
  known('quay.io', ['quay']),
  // Its token service answers a POST with 404: tokens are asked for by GET. Blobs: storage.googleapis.com.
  known('gcr.io', ['gcr']),
  // The same service, but each with repositories of its own.
  known('us.gcr.io', []),
  known('eu.gcr.io', []),
  known('asia.gcr.io', []),
  // Asks for no token. Manifests are redirected as well as blobs, to a regional pkg.dev or S3 by the asker's address.
  known('registry.k8s.io', ['k8s']),
  // Frozen since 2023 and answered by redirects to registry.k8s.io, but old charts still name it.
  known('k8s.gcr.io', ['k8sgcr']),
  // Scope is `aws`, whatever the repository; about one anonymous request a second. Blobs: *.cloudfront.net.
  known('public.ecr.aws', ['ecr']),
  // Asks for no token. Blobs: *.data.mcr.microsoft.com.
  known('mcr.microsoft.com', ['mcr']),
  // Without a token its challenge names nvcr.io/proxy_auth; with an expired one, authn.nvidia.com, which knows no
  // anonymous users: an anonymous client must ask again without the token (nvidia-container-toolkit#1945).
  known('nvcr.io', ['nvcr'], { tokenRealms: ['authn.nvidia.com'] }),
  // Its token service answers with `access_token` only, and without expires_in.
  known('docker.elastic.co', ['elastic'], { tokenRealms: ['docker-auth.elastic.co'] }),
  // The realm is gitlab.com/jwt/auth. Blobs: object storage of its own choice.
  known('registry.gitlab.com', ['gitlab'], { tokenRealms: ['gitlab.com'] }),
];

/** Registries of which there are too many to list: each region of Google's Artifact Registry is a host of its own. */
export const KNOWN_HOST_PATTERNS: readonly string[] = ['*.pkg.dev'];

// A single label: the pattern names Google's own hosts, not what somebody might put below one.
const PKG_DEV = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.pkg\.dev$/;

const BY_HOST: ReadonlyMap<string, KnownRegistry> = new Map(
  KNOWN_REGISTRIES.flatMap((registry) => [registry.name, ...registry.hosts].map((host) => [host, registry] as const)),
);

const BY_ALIAS: ReadonlyMap<string, KnownRegistry> = new Map(
  KNOWN_REGISTRIES.flatMap((registry) => registry.aliases.map((alias) => [alias, registry] as const)),
);

/** The listed registry a host belongs to; expects the canonical form of a host. */
export function knownRegistryByHost(host: string): KnownRegistry | undefined {
  return BY_HOST.get(host);
}

/** A registry of {@link KNOWN_HOST_PATTERNS}, made from its host. */
export function knownRegistryByPattern(host: string): KnownRegistry | undefined {
  return PKG_DEV.test(host) ? known(host, []) : undefined;
}

/** The known registry a short name belongs to. */
export function knownRegistryByAlias(alias: string): KnownRegistry | undefined {
  return BY_ALIAS.get(alias);
}

function known(name: string, aliases: readonly string[], more: Partial<KnownRegistry> = {}): KnownRegistry {
  return { name, aliases, hosts: [], url: `https://${name}`, library: false, tokenRealms: [], ...more };
}
