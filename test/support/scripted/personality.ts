/** How a scripted registry behaves when nothing is wrong with it: the habits of one real registry. */
export interface Personality {
  readonly auth:
    | { readonly kind: 'none' }
    | { readonly kind: 'basic'; readonly realm: string }
    | {
        readonly kind: 'bearer';
        /** On another host and port, as auth.docker.io, or on the registry's own. */
        readonly host: 'own' | 'other';
        readonly path: string;
        readonly service: string;
        /** The scope named in the challenge; absent: `repository:<name>:pull`. */
        readonly scope?: string;
        /** Seconds in `expires_in`; absent: the field is left out. */
        readonly expiresIn?: number;
        /** The field the token comes in. */
        readonly field: 'token' | 'access_token' | 'both';
        /** True where a POST (OAuth 2) is answered too. */
        readonly post: boolean;
      };
  /** Where bodies come from: the registry itself, or another host after this redirect status. */
  readonly blobs: 'here' | 302 | 307;
  /** Manifests come from the other host too (registry.k8s.io). */
  readonly redirectManifests: boolean;
  /** What a HEAD of a redirected blob gets. `here`: 200 from the registry. `refused`: 307 to a URL signed for GET alone. */
  readonly blobHead: 'here' | 'redirect' | 'refused';
  /** `see-other`: 303 to another page that answers 429 (ghcr.io). */
  readonly referrers: 'api' | 'not-found' | 'see-other';
  readonly catalog: boolean;
  /** Pulls per window told in `ratelimit-*`, and enforced; a pull is a GET of a manifest. */
  readonly rateLimit?: { readonly pulls: number; readonly windowSeconds: number };
}

const PLAIN: Personality = {
  auth: { kind: 'none' },
  blobs: 'here',
  redirectManifests: false,
  blobHead: 'here',
  referrers: 'api',
  catalog: true,
};

/** The registries that are imitated, after their documentation and their recorded challenges. */
export const PERSONALITIES = {
  /** As docker-registry without authentication. */
  plain: PLAIN,
  /** registry-1.docker.io, auth.docker.io, and a CDN. */
  dockerHub: {
    ...PLAIN,
    auth: {
      kind: 'bearer',
      host: 'other',
      path: '/token',
      service: 'registry.docker.io',
      expiresIn: 300,
      field: 'both',
      post: true,
    },
    blobs: 307,
    blobHead: 'redirect',
    catalog: false,
    rateLimit: { pulls: 100, windowSeconds: 21_600 },
  },
  ghcr: {
    ...PLAIN,
    auth: { kind: 'bearer', host: 'own', path: '/token', service: 'ghcr.io', field: 'token', post: false },
    blobs: 307,
    blobHead: 'here',
    referrers: 'see-other',
    catalog: false,
  },
  quay: {
    ...PLAIN,
    auth: { kind: 'bearer', host: 'own', path: '/v2/auth', service: 'quay.io', field: 'token', post: false },
    blobs: 302,
    blobHead: 'here',
  },
  ecrPublic: {
    ...PLAIN,
    auth: {
      kind: 'bearer',
      host: 'own',
      path: '/token/',
      service: 'public.ecr.aws',
      scope: 'aws',
      field: 'token',
      post: false,
    },
    blobs: 307,
    blobHead: 'redirect',
    referrers: 'not-found',
    catalog: false,
  },
  /** A private ECR: Basic, and object storage whose URLs are signed for GET alone. */
  ecr: {
    ...PLAIN,
    auth: { kind: 'basic', realm: 'https://000000000000.dkr.ecr.eu-west-1.amazonaws.com/' },
    blobs: 307,
    blobHead: 'refused',
    referrers: 'not-found',
    catalog: false,
  },
  /** registry.k8s.io: everybody may, and even manifests come from elsewhere. */
  k8s: {
    ...PLAIN,
    blobs: 307,
    redirectManifests: true,
    blobHead: 'redirect',
    referrers: 'not-found',
    catalog: false,
  },
} as const satisfies Record<string, Personality>;

export type PersonalityName = keyof typeof PERSONALITIES;
