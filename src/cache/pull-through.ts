import {
  acceptsMediaType,
  type Digest,
  isIndexType,
  MEDIA_TYPES,
  parseManifest,
  pickPlatform,
  type Reference,
  type Repository,
} from '../oci/index.ts';
import type { BlobStore, NameStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { type BlobAnswer, type BlobHead, type BlobRequest, Blobs } from './blobs.ts';
import { createFreshness, type FreshnessOptions } from './freshness.ts';
import type { Ingest } from './ingest.ts';
import { type ManifestAnswer, type ManifestRequest, Manifests } from './manifests.ts';
import { Membership } from './membership.ts';
import type { BlobLocation, ListQuery, Origin, OriginList } from './origin.ts';
import { Pointers } from './pointers.ts';
import { ReadTimes } from './read-times.ts';
import { sweep } from './sweep.ts';
import { Verification } from './verification.ts';

export interface PullThroughOptions {
  readonly origin: Origin;
  readonly store: BlobStore;
  readonly names: NameStore;
  readonly telemetry: Telemetry;
  /** False: everything is delivered and nothing is kept (`cache: off`). */
  readonly keep: boolean;
  /** `never`: manifests are never kept, as crproxy does. @default {} */
  readonly tags?: FreshnessOptions | 'never';
  /** @default 'ingest' */
  readonly onRange?: 'ingest' | 'pass';
  /** Bytes of blobs and manifests on disk; undefined: no limit. */
  readonly maxSize?: number | undefined;
  /** Milliseconds after which a stored blob is hashed again; 0: only at its first read since the start. @default 7 days */
  readonly verifyAfter?: number;
  /** Bytes of manifests held in memory. */
  readonly manifestMemory?: number;
  readonly now?: () => number;
}

export interface NegotiatedRequest extends ManifestRequest {
  /** The client's `Accept` headers, joined. */
  readonly accept?: string | undefined;
}

/** The cache as the front door sees it: have it, join it or get it. */
export class PullThrough {
  readonly #options: PullThroughOptions;
  readonly #blobs: Blobs;
  readonly #manifests: Manifests;
  readonly #readTimes: ReadTimes;
  readonly #verification: Verification;
  readonly #stopListening: () => void;
  #sweeping: Promise<unknown> = Promise.resolve();

  constructor(options: PullThroughOptions) {
    const { origin, store, names, telemetry, keep, tags = {}, onRange = 'ingest' } = options;
    const membership = new Membership(names, telemetry);
    const readTimes = new ReadTimes(names, telemetry);
    const { verifyAfter, now } = options;
    const verification = new Verification({
      store,
      names,
      telemetry,
      ...(verifyAfter === undefined ? {} : { verifyAfter }),
      ...(now === undefined ? {} : { now }),
    });
    const shared = { origin, store, names, membership, verification, readTimes, telemetry };
    this.#options = options;
    this.#readTimes = readTimes;
    this.#verification = verification;
    this.#blobs = new Blobs({ ...shared, keep, onRange });
    this.#manifests = new Manifests({
      ...shared,
      pointers: new Pointers(names, telemetry),
      freshness: createFreshness(tags === 'never' ? {} : tags),
      keep: keep && tags !== 'never',
      ...(options.manifestMemory === undefined ? {} : { memory: options.manifestMemory }),
      ...(options.now === undefined ? {} : { now: options.now }),
    });
    this.#stopListening = telemetry.on('ingest.finished', ({ outcome }) => {
      if (outcome === 'committed') this.#scheduleSweep();
    });
    // The limit may have been lowered since the last start.
    this.#scheduleSweep();
  }

  /** The transfers that run now. */
  get transfers(): Iterable<Ingest> {
    return this.#blobs.transfers;
  }

  /**
   * @throws {OciError} where the answer to the client is known
   * @throws {OriginFailure} where the outside did not give it
   */
  async manifest(repository: Repository, reference: Reference, request: NegotiatedRequest): Promise<ManifestAnswer> {
    const answer = await this.#manifest(repository, reference, request);
    // Whoever asked by digest checks it, and could only refuse anything else.
    if (reference.kind === 'digest' || !wantsImageOfIndex(request.accept, answer.mediaType)) return answer;
    // An old client that knows no index: it gets the image most machines want, as from other registries.
    const bytes =
      answer.bytes ?? (await this.#manifests.byDigest(repository, answer.digest, { signal: request.signal })).bytes;
    if (bytes === undefined) return answer;
    const child = pickPlatform(parseManifest(bytes, answer.mediaType), { os: 'linux', architecture: 'amd64' });
    if (child === undefined) return answer;
    const image = await this.#manifests.byDigest(repository, child.digest, request);
    const outcome = answer.outcome === 'STALE' ? answer.outcome : image.outcome;
    return { ...image, outcome, checkedAt: answer.checkedAt, warning: answer.warning };
  }

  /** As {@link manifest}; the reader of the answer is to be closed. */
  blob(repository: Repository, digest: Digest, request: BlobRequest): Promise<BlobAnswer> {
    return this.#blobs.open(repository, digest, request);
  }

  headBlob(repository: Repository, digest: Digest, request: BlobRequest): Promise<BlobHead> {
    return this.#blobs.head(repository, digest, request);
  }

  /** Where the client itself can fetch the blob; see Origin.locateBlob. */
  locate(repository: Repository, digest: Digest, signal: AbortSignal): Promise<BlobLocation | undefined> {
    return this.#options.origin.locateBlob(repository, digest, { signal });
  }

  list(repository: Repository, query: ListQuery, signal: AbortSignal): Promise<OriginList> {
    return this.#options.origin.list(repository, query, { signal });
  }

  /** What is kept on disk. */
  totals(): Promise<{ readonly blobs: number; readonly bytes: number }> {
    return this.#options.names.totals();
  }

  /** Ends every transfer and writes down what is still to be noted. */
  async close(): Promise<void> {
    this.#stopListening();
    await this.#blobs.close();
    await this.#verification.close();
    await this.#sweeping;
    await this.#readTimes.close();
  }

  #manifest(repository: Repository, reference: Reference, request: ManifestRequest): Promise<ManifestAnswer> {
    return reference.kind === 'tag'
      ? this.#manifests.byTag(repository, reference.tag, request)
      : this.#manifests.byDigest(repository, reference.digest, request);
  }

  /** One sweep after the other, each with the read times of everything before it. */
  #scheduleSweep(): void {
    const { store, names, telemetry, maxSize } = this.#options;
    if (maxSize === undefined) return;
    this.#sweeping = this.#sweeping
      .then(() => this.#readTimes.flush())
      .then(() => sweep({ store, names, telemetry, maxSize }))
      .catch((error: unknown) => telemetry.publish('warning', { message: 'Cannot make room in the cache', error }));
  }
}

/** True for a client that lists image manifests but no index, when an index is all there is. */
function wantsImageOfIndex(accept: string | undefined, mediaType: string): boolean {
  return (
    isIndexType(mediaType) &&
    !acceptsMediaType(accept, mediaType) &&
    (acceptsMediaType(accept, MEDIA_TYPES.dockerManifest) || acceptsMediaType(accept, MEDIA_TYPES.ociManifest))
  );
}
