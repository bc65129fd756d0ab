import type { ByteSource } from '../lib/index.ts';
import type { Digest, Reference, Repository, Visibility } from '../oci/index.ts';
import type { HealthView } from './health/index.ts';
import type { Quota } from './rate-limit.ts';

/**
 * What is had from other registries, by repository: `repository.registry` is the key to a registry and its upstreams.
 *
 * Every method rejects with an {@link UpstreamError}, or with the signal's reason where the caller gave up.
 */
export interface Upstreams {
  /** What a reference points to, without a pull being counted; by GET where the upstream has no usable HEAD. */
  headManifest(repository: Repository, reference: Reference, options?: AskOptions): Promise<ManifestHead>;
  /** The exact bytes, at most MAX_MANIFEST_BYTES. By digest, the bytes have that digest or the call fails. */
  getManifest(repository: Repository, reference: Reference, options?: AskOptions): Promise<ManifestAnswer>;
  /** Asks whether the repository has the blob. */
  headBlob(repository: Repository, digest: Digest, options?: AskOptions): Promise<BlobHead>;
  /** Opens the body at an offset. What is delivered is not verified: the caller hashes. */
  openBlob(repository: Repository, digest: Digest, options?: OpenBlobOptions): Promise<BlobAnswer>;
  /** Where a client itself can fetch the blob without a credential of ours; undefined: it cannot. */
  locateBlob(repository: Repository, digest: Digest, options?: AskOptions): Promise<BlobLocation | undefined>;
  /** One page of a list, as the upstream has it; of referrers also where the upstream has no such list. */
  list(repository: Repository, query: ListQuery, options?: AskOptions): Promise<ListAnswer>;
  /** How the upstreams of a registry fare that were asked since the configuration stands; asks nobody. */
  healthOf(registry: string): readonly UpstreamHealth[];
}

/** How one upstream fares. */
export interface UpstreamHealth extends HealthView {
  /** Its name. */
  readonly upstream: string;
  /** What is left of its limits, for each credential of which that is known. */
  readonly quota?: readonly Quota[];
}

/** What every question takes. */
export interface AskOptions {
  readonly signal?: AbortSignal;
}

/** Which part of a blob is opened. */
export interface OpenBlobOptions extends AskOptions {
  /** First byte wanted. @default 0 */
  readonly offset?: number;
  /** Last byte wanted, inclusive. @default the last there is */
  readonly end?: number;
}

/** Where an answer came from, and whether a credential of ours was needed to get it. */
export interface Provenance {
  /** Name of the upstream that answered. */
  readonly upstream: string;
  readonly visibility: Visibility;
}

/** What a reference points to. */
export interface ManifestHead extends Provenance {
  readonly digest: Digest;
  /** Without parameters. */
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
}

/** A manifest, with its exact bytes. */
export interface ManifestAnswer extends ManifestHead {
  readonly bytes: Buffer;
}

/** That a repository has a blob, and how large it is. */
export interface BlobHead extends Provenance {
  /** Bytes of the whole blob; undefined where the upstream does not say. */
  readonly size: number | undefined;
}

/** A blob whose body waits to be read to the end or cancelled. */
export interface BlobAnswer extends BlobHead {
  /** Where the body begins: always the offset asked for. */
  readonly offset: number;
  readonly body: ByteSource;
}

/** Where a client can fetch a blob by itself. */
export interface BlobLocation extends Provenance {
  /** May hold a signature: for the client alone, never for a log. */
  readonly url: string;
}

/**
 * Which list. `page` is a `next` of an earlier page and goes before `limit` and `last`: some registries (Quay) page by
 * parameters of their own.
 */
export type ListQuery =
  | { readonly kind: 'tags'; readonly limit?: number; readonly last?: string; readonly page?: string }
  | { readonly kind: 'catalog'; readonly limit?: number; readonly last?: string; readonly page?: string }
  | { readonly kind: 'referrers'; readonly digest: Digest; readonly artifactType?: string; readonly page?: string };

/** One page of a list, as the upstream wrote it. */
export interface ListAnswer extends Provenance {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** The query of the next page (`n=100&last=x`, without `?`). */
  readonly next: string | undefined;
  /** What the list was filtered by already: `artifactType`, or nothing. */
  readonly filtersApplied: string | undefined;
}
