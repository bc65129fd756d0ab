import type { ByteSource } from '../lib/index.ts';
import type { Digest, Reference, Repository, Visibility } from '../oci/index.ts';

/**
 * What the cache needs of the outside world. It is declared here, by whoever needs it, and `upstream/` happens to
 * satisfy it; a test does so in ten lines.
 *
 * Every method rejects with an {@link OriginFailure} where the outside could not or would not answer.
 */
export interface Origin {
  /** What a tag points to, without a pull being counted; falls back to a GET where the upstream has no HEAD. */
  headManifest(repository: Repository, reference: Reference, options?: OriginOptions): Promise<OriginManifestHead>;
  /** The exact bytes, at most MAX_MANIFEST_BYTES. By digest, the bytes have that digest or the call fails. */
  getManifest(repository: Repository, reference: Reference, options?: OriginOptions): Promise<OriginManifest>;
  /** Asks whether the repository has the blob. */
  headBlob(repository: Repository, digest: Digest, options?: OriginOptions): Promise<OriginBlobHead>;
  /** Opens the body at an offset. What is delivered is not verified: the caller hashes. */
  openBlob(repository: Repository, digest: Digest, options?: OpenBlobOptions): Promise<OriginBlob>;
  /** Where the client itself can fetch the blob without a credential of ours; undefined: stream it instead. */
  locateBlob(repository: Repository, digest: Digest, options?: OriginOptions): Promise<BlobLocation | undefined>;
  /** One page of a list, as the upstream has it. */
  list(repository: Repository, query: ListQuery, options?: OriginOptions): Promise<OriginList>;
}

export interface OriginOptions {
  /** Ends the question and, of a blob, the body too: its pending read rejects. */
  readonly signal?: AbortSignal;
}

export interface OpenBlobOptions extends OriginOptions {
  /** First byte wanted. @default 0 */
  readonly offset?: number;
  /** Last byte wanted, inclusive; absent: to the end. */
  readonly end?: number;
}

/** Says where an answer came from, and whether a credential of ours was needed to get it. */
export interface Provenance {
  /** Name of the upstream that answered. */
  readonly upstream: string;
  readonly visibility: Visibility;
}

export interface OriginManifestHead extends Provenance {
  readonly digest: Digest;
  /** Without parameters. */
  readonly mediaType: string;
  readonly size: number;
}

export interface OriginManifest extends OriginManifestHead {
  readonly bytes: Buffer;
}

export interface OriginBlobHead extends Provenance {
  /** Undefined where the upstream does not say. */
  readonly size: number | undefined;
}

export interface OriginBlob extends OriginBlobHead {
  /** Where the body begins. Always the offset asked for: where an upstream ignores Range, the prefix is skipped. */
  readonly offset: number;
  readonly body: ByteSource;
}

export interface BlobLocation extends Provenance {
  readonly url: string;
}

/** Which list. `page` is the `next` of an earlier page, before `limit` and `last`: Quay pages by a word of its own. */
export type ListQuery =
  | { readonly kind: 'tags'; readonly limit?: number; readonly last?: string; readonly page?: string }
  | { readonly kind: 'catalog'; readonly limit?: number; readonly last?: string; readonly page?: string }
  | { readonly kind: 'referrers'; readonly digest: Digest; readonly artifactType?: string; readonly page?: string };

export interface OriginList extends Provenance {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** The query of the next page (`n=100&last=x`, without `?`), from the `Link` header. */
  readonly next: string | undefined;
  /** The upstream's `OCI-Filters-Applied`. */
  readonly filtersApplied: string | undefined;
}

/**
 * Why the outside did not answer.
 *
 * `not-found` it said so; `denied` 401 or 403; `throttled` 429; `unavailable` 5xx, timeout, refused, broken;
 * `invalid` it answered what cannot be right (wrong digest, too large, no manifest).
 */
export type FailureKind = 'not-found' | 'denied' | 'throttled' | 'unavailable' | 'invalid';

/** The shape of what an {@link Origin} rejects with. */
export interface OriginFailure extends Error {
  readonly kind: FailureKind;
  readonly upstream: string;
  /** Seconds the upstream asked us to wait. */
  readonly retryAfter: number | undefined;
}

export function isOriginFailure(error: unknown): error is OriginFailure {
  return error instanceof Error && 'kind' in error && 'upstream' in error;
}
