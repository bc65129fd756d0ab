/** A public registry that needs no configuration. */
export interface KnownRegistry {
  /** The host in image names. */
  readonly name: string;
  /** Other hosts of the same registry. */
  readonly hosts: readonly string[];
  /** Short names for host names and in front of `/v2/`; the same as in crproxy. */
  readonly aliases: readonly string[];
  /** The base URL of its API. */
  readonly url: string;
  readonly library: boolean;
  /** Hosts of its token service outside its own registrable domain. */
  readonly tokenRealms: readonly string[];
}

/**
 * The registries that need no configuration.
 *
 * Redirects to any public https host are allowed for all of them: the content hosts named below change without notice, and
 * an outdated list would break pulls. Content from a wrong host fails verification by its digest.
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
  // Public images need a token too. No referrers: 404, or a 303 to a missing page.
  // Blobs: pkg-containers.githubusercontent.com.
  known('ghcr.io', ['ghcr']),
  // Its token service sends no expires_in, which means 60 seconds. Blobs: cdn*.quay.io and object storage.
  known('quay.io', ['quay']),
  // Its token service answers a POST with 404, so tokens are requested by GET. Blobs: storage.googleapis.com.
  known('gcr.io', ['gcr']),
  // The same service, with repositories of their own.
  known('us.gcr.io', []),
  known('eu.gcr.io', []),
  known('asia.gcr.io', []),
  // Needs no token. Redirects manifests and blobs, to a regional pkg.dev or S3 by the client's address.
  known('registry.k8s.io', ['k8s']),
  // Frozen since 2023, redirects to registry.k8s.io; old charts still use it.
  known('k8s.gcr.io', ['k8sgcr']),
  // The scope is `aws` for every repository; about one anonymous request a second. Blobs: *.cloudfront.net.
  known('public.ecr.aws', ['ecr']),
  // Needs no token. Blobs: *.data.mcr.microsoft.com.
  known('mcr.microsoft.com', ['mcr']),
  // Without a token, its challenge names nvcr.io/proxy_auth; with an expired one, authn.nvidia.com, which rejects anonymous
  // users: an anonymous client must repeat the request without its token (nvidia-container-toolkit#1945).
  known('nvcr.io', ['nvcr'], { tokenRealms: ['authn.nvidia.com'] }),
  // Its token service returns only `access_token`, without expires_in.
  known('docker.elastic.co', ['elastic'], { tokenRealms: ['docker-auth.elastic.co'] }),
  // The realm is gitlab.com/jwt/auth. Blobs: object storage.
  known('registry.gitlab.com', ['gitlab'], { tokenRealms: ['gitlab.com'] }),
];

// Google's Artifact Registry has a host for each region, too many to list.
// A single label: only Google's own hosts match, not their subdomains.
const PKG_DEV = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.pkg\.dev$/;

const BY_HOST: ReadonlyMap<string, KnownRegistry> = new Map(
  KNOWN_REGISTRIES.flatMap((registry) => [registry.name, ...registry.hosts].map((host) => [host, registry] as const)),
);

const BY_ALIAS: ReadonlyMap<string, KnownRegistry> = new Map(
  KNOWN_REGISTRIES.flatMap((registry) => registry.aliases.map((alias) => [alias, registry] as const)),
);

/** The known registry of a host in canonical form. */
export function knownRegistryByHost(host: string): KnownRegistry | undefined {
  return BY_HOST.get(host);
}

/** The known registry of a host that matches a pattern (`*.pkg.dev`). */
export function knownRegistryByPattern(host: string): KnownRegistry | undefined {
  return PKG_DEV.test(host) ? registryAt(host) : undefined;
}

/** A registry of which only the host is known, in canonical form: its API is on that host, over https. */
export function registryAt(host: string): KnownRegistry {
  return known(host, []);
}

/** The known registry that a short name belongs to. */
export function knownRegistryByAlias(alias: string): KnownRegistry | undefined {
  return BY_ALIAS.get(alias);
}

function known(name: string, aliases: readonly string[], more: Partial<KnownRegistry> = {}): KnownRegistry {
  return { name, aliases, hosts: [], url: `https://${name}`, library: false, tokenRealms: [], ...more };
}
