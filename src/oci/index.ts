/**
 * The vocabulary: digests, references, repository names, manifests, ranges, request paths, errors, what a registry is and
 * what a remote one answers.
 *
 * Everything here is a type, a value or a pure function. It never does I/O, and it never knows the client.
 */
export { type ConfiguredRegistry, type ConfiguredUpstream, completeUpstream } from './complete-upstream.ts';
export {
  type Digest,
  type DigestAlgorithm,
  Digester,
  digestAlgorithm,
  digestHex,
  digestOf,
  parseDigest,
} from './digest.ts';
export { type ErrorCode, loopDetected, OciError, rangeInvalid } from './error.ts';
export { anonymousViewsOf, identifiesUs, isKnownTo, mayBeKey, ownHeaders } from './identity.ts';
export {
  type Descriptor,
  MAX_MANIFEST_BYTES,
  type Manifest,
  type Platform,
  parseManifest,
  pickPlatform,
  readManifest,
} from './manifest.ts';
export {
  acceptsMediaType,
  isGenericType,
  isIndexType,
  isManifestType,
  isMediaType,
  MANIFEST_ACCEPT,
  MEDIA_TYPES,
} from './media-types.ts';
export { decodeRegistryPath, notAnApiPath, parseRegistryPath, type RegistryPath, splitRegistryPath } from './path.ts';
export { type ManifestReference, type PushedManifest, readPushedManifest } from './pushed-manifest.ts';
export { formatContentRange, parseContentRange, parseRange, parseRanges, type RangePart } from './range.ts';
export {
  formatReference,
  isRepositoryName,
  isTag,
  type Reference,
  type Repository,
  type Visibility,
} from './reference.ts';
export type {
  Capability,
  CredentialSource,
  HostingSpec,
  RegistrySpec,
  Secret,
  StrategySpec,
  TransferSpec,
  UpstreamSpec,
} from './registry-spec.ts';
export {
  type AnonymousSources,
  type BlobLocation,
  type BlobOptions,
  type FailureKind,
  isOriginFailure,
  type ListQuery,
  type OpenBlobOptions,
  type Origin,
  type OriginBlob,
  type OriginBlobHead,
  type OriginFailure,
  type OriginList,
  type OriginManifest,
  type OriginManifestHead,
  type OriginOptions,
  type OriginSource,
} from './remote.ts';
export type {
  AppendUploadOptions,
  FinishUploadOptions,
  OpenUpload,
  PushBody,
  PushFailure,
  PushOrigin,
  PushOriginSource,
  PushRefusal,
  PutManifestOptions,
  ReferrersOptions,
  StartUploadOptions,
  StoredManifest,
  StoredUpload,
  UploadPlace,
} from './remote-push.ts';
export type { Destination, DnsSpec, TransportSpec } from './transport-spec.ts';
