const GOOGLE_STORAGE = 'storage.googleapis.com';

/**
 * The hosts that a pull from a registry needs: its API, its token service and its blob storage. Without the last two a pull
 * starts and fails halfway.
 *
 * Entries are as in `allowed_hosts`. Blob hosts move without notice: operators add a missing one there.
 */
export const HOST_PRESETS = {
  // As on Docker's allow-list page; the storage account of r2 is named by a number.
  'docker.io': [
    'docker.io',
    'index.docker.io',
    'registry-1.docker.io',
    'registry.hub.docker.com',
    'auth.docker.io',
    'production.cloudflare.docker.com',
    'production.cloudfront.docker.com',
    '^docker-images-prod\\.[0-9a-f]{32}\\.r2\\.cloudflarestorage\\.com$',
  ],
  'ghcr.io': ['ghcr.io', 'pkg-containers.githubusercontent.com'],
  // cdn01 to cdn03 and similar names, and the bucket that preceded them.
  'quay.io': ['quay.io', '^cdn[0-9]{0,2}\\.quay\\.io$', 'quayio-production-s3.s3.amazonaws.com'],
  'gcr.io': ['gcr.io', '^[a-z0-9-]+\\.gcr\\.io$', '^[a-z0-9-]+\\.pkg\\.dev$', GOOGLE_STORAGE],
  // Redirects by the client's address, to a regional Artifact Registry or a bucket nearby.
  'registry.k8s.io': [
    'k8s.io',
    'registry.k8s.io',
    'k8s.gcr.io',
    '^[a-z0-9-]+-docker\\.pkg\\.dev$',
    '^prod-registry-k8s-io-[a-z0-9-]+\\.s3(?:\\.dualstack)?\\.[a-z0-9-]+\\.amazonaws\\.com$',
  ],
  'docker.elastic.co': ['docker.elastic.co', 'docker-auth.elastic.co', 'd2iks1dkcwqcbx.cloudfront.net'],
  'public.ecr.aws': ['public.ecr.aws', 'd5l0dvt14r5h8.cloudfront.net', 'd2glxqk2uabbnd.cloudfront.net'],
  'mcr.microsoft.com': ['mcr.microsoft.com', '^[a-z0-9-]+\\.data\\.mcr\\.microsoft\\.com$'],
  'nvcr.io': ['nvcr.io', 'authn.nvidia.com', 'layers.nvcr.io'],
  'registry.gitlab.com': ['registry.gitlab.com', 'gitlab.com', 'cdn.registry.gitlab-static.net', GOOGLE_STORAGE],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type HostPreset = keyof typeof HOST_PRESETS;

/** Allowed by default: the registries that Container Registry Mirrors allows, each with all its hosts. */
export const DEFAULT_PRESETS: readonly HostPreset[] = ['docker.io', 'gcr.io', 'registry.k8s.io', 'docker.elastic.co'];

/** The entries of several presets. */
export function hostsOfPresets(presets: readonly HostPreset[]): readonly string[] {
  return [...new Set<string>(presets.flatMap((preset) => HOST_PRESETS[preset]))];
}
