import type { ByteSource } from '../lib/index.ts';
import type { Digest } from './digest.ts';
import type { Reference, Repository, Visibility } from './reference.ts';

// What a remote registry is asked and what it answers. The cache asks by this vocabulary; `upstream/` answers in it.

/**
 * The upstreams of one registry, as the cache sees them.
 *
 * Every method rejects with an {@link OriginFailure}, or with the signal's reason where the caller aborted.
 */
export interface Origin {
  /** What a reference points to, without a counted pull; falls back to GET where the upstream has no usable HEAD. */
  headManifest(repository: Repository, reference: Reference, options?: OriginOptions): Promise<OriginManifestHead>;
  /** The exact bytes, at most MAX_MANIFEST_BYTES. By digest, the bytes have that digest or the call fails. */
  getManifest(repository: Repository, reference: Reference, options?: OriginOptions): Promise<OriginManifest>;
  /** Whether the repository has the blob, and its size. */
  headBlob(repository: Repository, digest: Digest, options?: BlobOptions): Promise<OriginBlobHead>;
  /** Opens the body at an offset. The bytes are not verified: the caller hashes. */
  openBlob(repository: Repository, digest: Digest, options?: OpenBlobOptions): Promise<OriginBlob>;
  /**
   * Names of the upstreams that may be asked for a blob now, in their order: without those that are known to be down and those that
   * gave it wrongly lately. Whether they have it they have not been asked. Makes no request.
   */
  upstreamsOf(digest: Digest): readonly string[];
  /** Where a client can fetch the blob without a credential of ours; undefined: only we can, so it must be streamed. */
  locateBlob(repository: Repository, digest: Digest, options?: OriginOptions): Promise<BlobLocation | undefined>;
  /** One page of a list as the upstream wrote it. Referrers are synthesised where the upstream has no such API. */
  list(repository: Repository, query: ListQuery, options?: OriginOptions): Promise<OriginList>;
}

/**
 * The origin that a request carries, opened at the first question. A request keeps it, and so does every transfer and
 * revalidation that the request starts: a reload never moves them to other upstreams.
 */
export interface OriginSource {
  (): Promise<Origin>;
  /**
   * Servers that the request had passed before this one. Mirrors may ask each other, so a request never waits for a question
   * that was asked for one that had passed fewer: the two could wait for each other. @default 0
   */
  readonly hops?: number;
  /** The id of the request, where a client sent one. */
  readonly request?: string | undefined;
}

/** The upstreams of a registry that may show this server more than every client sees, as they answer without its credential. */
export interface AnonymousSources {
  /** One for each upstream. Empty: all of the registry is public. */
  readonly sources: readonly OriginSource[];
  /** The URLs of the upstreams: what they say holds for no others. */
  readonly upstreams: string;
}

export interface OriginOptions {
  /** Aborts the request and, for a blob, the body too: its pending read rejects. */
  readonly signal?: AbortSignal | undefined;
}

export interface BlobOptions extends OriginOptions {
  /**
   * Bytes of the whole blob, by the manifest that names it. It is believed over what an upstream says: one that says
   * another number does not have the blob. @default unknown
   */
  readonly size?: number | undefined;
}

export interface OpenBlobOptions extends BlobOptions {
  /** First byte wanted. @default 0 */
  readonly offset?: number;
  /** Last byte wanted, inclusive. @default the last byte of the blob */
  readonly end?: number | undefined;
  /** Rejects with `invalid` where an upstream sends the whole blob instead of the part, and asks the next. @default false */
  readonly partOnly?: boolean;
  /**
   * The same object for all requests of one transfer, and of no other: a URL that the upstream has signed for one of them serves
   * the parts of the others. @default each is signed a URL of its own
   */
  readonly transfer?: object | undefined;
  /** Name of the upstream that is asked first, the others after it. A name that is not among them changes nothing. @default none */
  readonly prefer?: string | undefined;
  /** Name of the upstream that is asked alone. Rejects with `not-found` where no upstream has that name. @default all are asked */
  readonly only?: string | undefined;
}

/** Which upstream answered, and whether it took a credential of ours. */
export interface Provenance {
  /** Name of the upstream. */
  readonly upstream: string;
  readonly visibility: Visibility;
}

export interface OriginManifestHead extends Provenance {
  readonly digest: Digest;
  /** Without parameters. */
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
}

export interface OriginManifest extends OriginManifestHead {
  readonly bytes: Buffer;
}

export interface OriginBlobHead extends Provenance {
  /** Bytes of the whole blob; undefined where neither the manifest nor the upstream says. */
  readonly size: number | undefined;
}

/** A blob whose body is to be read to the end or cancelled. */
export interface OriginBlob extends OriginBlobHead {
  /** Where the body begins. Always the requested offset: where an upstream ignores Range, the prefix is skipped. */
  readonly offset: number;
  readonly body: ByteSource;
  /** Where the body ends, as a 206 says; undefined where it goes to the end of the blob, or to the requested end. */
  readonly end?: number | undefined;
  /**
   * Says that the body is wrong or breaks off again and again: for a while this upstream is asked after the others for the
   * digest. Undefined where there is no other.
   */
  readonly giveUp?: (() => void) | undefined;
}

export interface BlobLocation extends Provenance {
  /** May hold a signature: for the client alone, never for a log. */
  readonly url: string;
}

/**
 * Which list. `page` is the `next` of an earlier page and goes before `limit` and `last`: some registries (Quay) page by
 * parameters of their own.
 */
export type ListQuery =
  | { readonly kind: 'tags'; readonly limit?: number; readonly last?: string; readonly page?: string }
  | { readonly kind: 'catalog'; readonly limit?: number; readonly last?: string; readonly page?: string }
  | { readonly kind: 'referrers'; readonly digest: Digest; readonly artifactType?: string; readonly page?: string };

export interface OriginList extends Provenance {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** The query of the next page (`n=100&last=x`, without `?`), from the `Link` header. */
  readonly next: string | undefined;
  /** The upstream's `OCI-Filters-Applied`: `artifactType` or nothing. */
  readonly filtersApplied: string | undefined;
}

/**
 * Why an upstream did not answer.
 *
 * `not-found` it said so; `denied` 401 or 403, or its token service refused; `throttled` 429; `unavailable` 5xx, timeout,
 * refused or broken connection; `invalid` its answer cannot be right (wrong digest, too large, no manifest);
 * `loop` 508: the request came back to a server that it had passed. That is due to the way of the request, so it says nothing
 * about the upstream, the content or another request. `offline` no upstream was asked, as the operator has said so.
 */
export type FailureKind = 'not-found' | 'denied' | 'throttled' | 'unavailable' | 'invalid' | 'loop' | 'offline';

/** The shape of every error of an {@link Origin}. */
export interface OriginFailure extends Error {
  readonly kind: FailureKind;
  /** Name of the upstream. */
  readonly upstream: string;
  /** Seconds that the upstream asked to be left alone. */
  readonly retryAfter: number | undefined;
  /** True where the same question, asked again at once, goes to another upstream first. @default false */
  readonly another?: boolean;
}

export function isOriginFailure(error: unknown): error is OriginFailure {
  return error instanceof Error && 'kind' in error && 'upstream' in error;
}
