import type { ByteSource } from '../lib/index.ts';
import type { Digest, DigestAlgorithm } from './digest.ts';
import type { Reference, Repository, Visibility } from './reference.ts';
import type {
  BlobOptions,
  OriginBlobHead,
  OriginFailure,
  OriginList,
  OriginManifestHead,
  OriginOptions,
} from './remote.ts';

// What a remote registry that takes pushes is asked, and what it answers. `registry/` asks by this vocabulary; `upstream/` answers.

/**
 * The upstream that takes the pushes of a registry: the first one, and no other in its place.
 *
 * Every method rejects with a {@link PushFailure}, with the signal's reason where the caller aborted, or with the error of the
 * body's own source.
 */
export interface PushOrigin {
  /** Its name. */
  readonly upstream: string;
  /** That of what is pushed to it, as if it had been pulled from there. */
  readonly visibility: Visibility;
  /** What the upstream itself has under a reference now. */
  headManifest(repository: Repository, reference: Reference, options?: OriginOptions): Promise<OriginManifestHead>;
  /** Whether the upstream itself has a blob now. */
  headBlob(repository: Repository, digest: Digest, options?: BlobOptions): Promise<OriginBlobHead>;
  /** A page of the referrers that the upstream itself has, with those of the fallback tag. `not-found`: it has none. */
  listReferrers(repository: Repository, digest: Digest, options?: ReferrersOptions): Promise<OriginList>;
  /** Starts an upload, or mounts a blob; where the upstream does not mount it, an upload is open. */
  startUpload(repository: Repository, options?: StartUploadOptions): Promise<OpenUpload | StoredUpload>;
  /** Sends the next bytes of an upload. */
  appendUpload(repository: Repository, place: UploadPlace, options: AppendUploadOptions): Promise<OpenUpload>;
  /** Ends an upload, with its last bytes or without any. */
  finishUpload(repository: Repository, place: UploadPlace, options: FinishUploadOptions): Promise<StoredUpload>;
  /** How far an upload is. */
  uploadStatus(repository: Repository, place: UploadPlace, options?: OriginOptions): Promise<OpenUpload>;
  /** Gives an upload up. */
  cancelUpload(repository: Repository, place: UploadPlace, options?: OriginOptions): Promise<void>;
  putManifest(repository: Repository, reference: Reference, options: PutManifestOptions): Promise<StoredManifest>;
  deleteManifest(repository: Repository, reference: Reference, options?: OriginOptions): Promise<void>;
  deleteBlob(repository: Repository, digest: Digest, options?: OriginOptions): Promise<void>;
}

/** Opened when a request first asks it, as the upstreams of `OriginSource`. */
export type PushOriginSource = () => Promise<PushOrigin>;

/**
 * Where an upload goes on: the `Location` of the upstream, with its state as it was written. It may hold a signature, so a
 * client never sees it as it stands.
 */
export interface UploadPlace {
  /** Absolute. */
  readonly url: string;
  /** Every answer that led to it came from outside the public internet, so it may lead to a private address. */
  readonly privateNetwork: boolean;
}

/** An upload that the upstream waits for. */
export interface OpenUpload {
  readonly kind: 'open';
  readonly place: UploadPlace;
  /** The `Range` of the bytes that the upstream has (`0-99`), without a unit; undefined where it does not say. */
  readonly range: string | undefined;
  /** `Docker-Upload-UUID`. */
  readonly uuid: string | undefined;
  /** `OCI-Chunk-Min-Length`: bytes that a chunk has at least, but for the last one. */
  readonly minChunkLength: number | undefined;
}

/** A blob that the upstream has taken. */
export interface StoredUpload {
  readonly kind: 'stored';
  /** Its `Docker-Content-Digest`; undefined where it sent none. */
  readonly digest: Digest | undefined;
}

/** A manifest that the upstream has taken. */
export interface StoredManifest {
  /** Its `Docker-Content-Digest`; undefined where it sent none. */
  readonly digest: Digest | undefined;
  /** `OCI-Subject`: the upstream lists the manifest among the referrers of this digest. */
  readonly subject: Digest | undefined;
  /** `OCI-Tag`: the tags of `?tag=` that the upstream has set. */
  readonly tags: readonly string[];
}

export interface ReferrersOptions extends OriginOptions {
  /** The `next` of the page before. @default the first page */
  readonly page?: string | undefined;
}

export interface StartUploadOptions extends OriginOptions {
  /** A blob of another repository of the same registry. */
  readonly mount?: { readonly digest: Digest; readonly from: Repository } | undefined;
  /** The algorithm of the digest that will be named at the end. @default the upstream's own choice */
  readonly algorithm?: DigestAlgorithm | undefined;
}

/** A body that streams, read once. */
export interface PushBody {
  /** Bytes; undefined: sent in chunks. */
  readonly length: number | undefined;
  readonly source: ByteSource;
}

export interface AppendUploadOptions extends OriginOptions {
  readonly body: PushBody;
  /** `Content-Range` (`100-199`), without a unit. @default none: the body goes to the end of what the upstream has */
  readonly range?: string | undefined;
}

export interface FinishUploadOptions extends OriginOptions {
  readonly digest: Digest;
  /** @default every byte was sent before */
  readonly body?: PushBody | undefined;
  /** `Content-Range` of that body, without a unit. */
  readonly range?: string | undefined;
}

export interface PutManifestOptions extends OriginOptions {
  readonly bytes: Buffer;
  /** As the client gave it. */
  readonly mediaType: string;
  /** Tags to set besides, each as a `?tag=`. Only with a digest as reference. */
  readonly tags?: readonly string[];
}

/** Why a push did not succeed. */
export interface PushFailure extends OriginFailure {
  /** What the upstream answered, where it answered. */
  readonly said?: PushRefusal | undefined;
}

/** An answer that refuses a push. */
export interface PushRefusal {
  readonly status: number;
  /** The error code of its body (distribution-spec, "Error Codes"), of upper-case letters and `_`. */
  readonly code: string | undefined;
  /** The message of its body: one line, bounded, and without anything that may be a credential. */
  readonly message: string | undefined;
  /** Of a 416: how far the upload is. */
  readonly range: string | undefined;
}
