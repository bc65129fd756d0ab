/**
 * Which hosts a pull from a registry needs: its API, its token service, and where its blobs are. Without the last two a
 * pull begins and does not end.
 *
 * Entries are as in `allowed_hosts`. Content hosts move without notice, so whoever finds one missing adds it there.
 */
const GOOGLE_STORAGE = 'storage.googleapis.com';

export const HOST_PRESETS = {
  // Docker's allow-list page names these; the storage account behind r2 has a number for its name.
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
  // cdn01 to cdn03 and their like, and the bucket that was there before them.
  'quay.io': ['quay.io', '^cdn[0-9]{0,2}\\.quay\\.io$', 'quayio-production-s3.s3.amazonaws.com'],
  'gcr.io': ['gcr.io', '^[a-z0-9-]+\\.gcr\\.io$', '^[a-z0-9-]+\\.pkg\\.dev$', GOOGLE_STORAGE],
  // Redirects by the asker's address, to a regional Artifact Registry or a bucket near by.
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

/** What is allowed where nothing is said: the registries Container Registry Mirrors allows, each with all its hosts. */
export const DEFAULT_PRESETS: readonly HostPreset[] = ['docker.io', 'gcr.io', 'registry.k8s.io', 'docker.elastic.co'];

/** The entries of some presets together. */
export function hostsOfPresets(presets: readonly HostPreset[]): readonly string[] {
  return [...new Set<string>(presets.flatMap((preset) => HOST_PRESETS[preset]))];
}
