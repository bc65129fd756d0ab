/** Manifest and index media types, Docker's and OCI's. */
export const MEDIA_TYPES = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestV1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  dockerManifestV1: 'application/vnd.docker.distribution.manifest.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
} as const;

/**
 * The `Accept` of every manifest request. Always the whole list: the cached manifest must not depend on which client came
 * first, and an old registry without an `Accept` answers with schema 1.
 */
export const MANIFEST_ACCEPT = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerList,
  MEDIA_TYPES.dockerManifest,
  `${MEDIA_TYPES.dockerManifestV1Signed};q=0.5`,
  `${MEDIA_TYPES.dockerManifestV1};q=0.4`,
  '*/*;q=0.1',
].join(', ');

// Types that storages and careless registries send for any content.
const GENERIC: readonly string[] = [
  '',
  'text/plain',
  'application/octet-stream',
  'binary/octet-stream',
  'application/json',
];

/** True for a Content-Type that does not tell one kind of manifest from another: then its own `mediaType` decides. */
export function isGenericType(mediaType: string): boolean {
  return GENERIC.includes(mediaType);
}

/** True for the types of manifests and indexes that are known. */
export function isManifestType(mediaType: string): boolean {
  return mediaType !== MEDIA_TYPES.ociEmpty && Object.values<string>(MEDIA_TYPES).includes(mediaType);
}

/** True for the two types whose `manifests` point to other manifests. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.ociIndex || mediaType === MEDIA_TYPES.dockerList;
}

const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i;

/** True for a media type without parameters (RFC 6838 §4.2). */
export function isMediaType(text: string): boolean {
  return MEDIA_TYPE.test(text);
}

/** Entries of an `Accept` header that are read; docker sends ten. */
const MAX_ACCEPT_ENTRIES = 100;

/**
 * Whether a client accepts a media type (RFC 9110, section 12.5.1): the most specific matching entry decides, and `q=0`
 * refuses. Without a header, or with one that names no type, everything is accepted.
 *
 * @param acceptHeaders all `Accept` headers, joined with commas
 * @param mediaType without parameters
 */
export function acceptsMediaType(acceptHeaders: string | undefined, mediaType: string): boolean {
  const wanted = mediaType.toLowerCase();
  const family = `${wanted.slice(0, wanted.indexOf('/'))}/*`;
  let said = false;
  let decidedBy = 0;
  let accepted = false;
  for (const entry of (acceptHeaders ?? '').split(',', MAX_ACCEPT_ENTRIES)) {
    const [type = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    if (!type.includes('/')) continue;
    said = true;
    const specificity = [undefined, '*/*', family, wanted].lastIndexOf(type);
    if (specificity < 1 || specificity < decidedBy) continue;
    const isTaken = !parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter));
    accepted = specificity === decidedBy ? accepted || isTaken : isTaken;
    decidedBy = specificity;
  }
  return accepted || !said;
}
