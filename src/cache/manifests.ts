import { abortable, keyOf, Lru, SingleFlight } from '../lib/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  MAX_MANIFEST_BYTES,
  OciError,
  parseManifest,
  type Repository,
} from '../oci/index.ts';
import type { BlobStore, MemberRecord, NameStore, StoredBlob, TagRecord } from '../store/index.ts';
import type { CacheOutcome, Telemetry } from '../telemetry/index.ts';
import { unreadable } from './examination.ts';
import { type Freshness, isFresh } from './freshness.ts';
import type { Membership } from './membership.ts';
import { isOriginFailure, type Origin, type OriginManifest, type OriginManifestHead } from './origin.ts';
import type { Pointers } from './pointers.ts';
import type { ReadTimes } from './read-times.ts';
import type { Verification } from './verification.ts';

export interface ManifestsOptions {
  readonly origin: Origin;
  readonly store: BlobStore;
  readonly names: NameStore;
  readonly membership: Membership;
  readonly verification: Verification;
  readonly pointers: Pointers;
  readonly readTimes: ReadTimes;
  readonly telemetry: Telemetry;
  readonly freshness: Freshness;
  /** False: every manifest comes from its upstream, and none is kept. */
  readonly keep: boolean;
  /** Bytes of manifests held in memory. @default 33_554_432 */
  readonly memory?: number;
  readonly now?: () => number;
}

export interface ManifestRequest {
  /** True where only the head is wanted: then `bytes` may be missing from the answer. */
  readonly head?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ManifestAnswer {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** Always there unless only the head was asked for. */
  readonly bytes: Buffer | undefined;
  readonly outcome: CacheOutcome;
  /** The upstream that answered, where one was asked. */
  readonly upstream: string | undefined;
  /** When an upstream last confirmed what the tag points to; undefined for a digest. Milliseconds since the epoch. */
  readonly checkedAt: number | undefined;
  /** Set where the answer is older than it should be: why. */
  readonly warning: string | undefined;
}

const DEFAULT_MEMORY = 32 * 1024 * 1024;

/** What one entry costs besides its bytes. */
const ENTRY_OVERHEAD = 256;

/** What became of a tag that had to be asked for. */
interface Resolution {
  readonly record: TagRecord;
  readonly outcome: CacheOutcome;
  readonly upstream: string | undefined;
  readonly warning: string | undefined;
}

/** Manifests by digest, which hold for ever, and by tag, which hold while they are fresh. */
export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #now: () => number;
  readonly #memory: Lru<Buffer>;
  readonly #resolving = new SingleFlight<Resolution>();
  readonly #fetching = new SingleFlight<OriginManifest>();
  readonly #heading = new SingleFlight<OriginManifestHead>();

  constructor(options: ManifestsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#memory = new Lru({
      maxWeight: options.memory ?? DEFAULT_MEMORY,
      weigh: (bytes) => bytes.length + ENTRY_OVERHEAD,
    });
  }

  async byDigest(repository: Repository, digest: Digest, request: ManifestRequest = {}): Promise<ManifestAnswer> {
    const member = await this.#options.membership.get(repository, digest);
    if (member !== undefined && member.kind === 'manifest' && member.mediaType !== '') {
      const bytes = await this.#local(digest);
      if (bytes !== undefined) return held(member, bytes);
    }
    const { origin } = this.#options;
    const reference = { kind: 'digest', digest } as const;
    const key = keyOf(repository.registry, repository.repository, digest);
    if (request.head === true && !this.#fetching.has(key)) {
      const heading = this.#heading.run(key, () => origin.headManifest(repository, reference));
      return fromOrigin(await abortable(heading, request.signal), undefined);
    }
    const joined = this.#fetching.has(key);
    const manifest = await abortable(this.#fetch(repository, digest), request.signal);
    return { ...fromOrigin(manifest, manifest.bytes), ...(joined ? { outcome: 'JOIN' } : {}) };
  }

  async byTag(repository: Repository, tag: string, request: ManifestRequest = {}): Promise<ManifestAnswer> {
    const { pointers, freshness, keep } = this.#options;
    if (!keep) return this.#through(repository, tag, request);
    const record = await pointers.get(repository, tag);
    if (record !== undefined && isFresh(record.checkedAt, freshness(repository, tag), this.#now())) {
      return this.#answer(repository, { record, outcome: 'HIT', upstream: undefined, warning: undefined }, request);
    }
    // Who only wants the head shares the question of who wants the bytes, and the other way round: one at a time.
    const key = keyOf(repository.registry, repository.repository, tag);
    const joined = this.#resolving.has(key);
    const resolving = this.#resolving.run(key, () => this.#resolve(repository, tag, record, request.head === true));
    const resolution = await abortable(resolving, request.signal);
    // That it is stale matters more than that others asked too.
    const outcome = joined && resolution.outcome !== 'STALE' ? 'JOIN' : resolution.outcome;
    return this.#answer(repository, { ...resolution, outcome }, request);
  }

  /** The bytes if they are here, found right; wrong ones are taken out of sight. */
  async #local(digest: Digest): Promise<Buffer | undefined> {
    const { verification, readTimes } = this.#options;
    const remembered = this.#memory.get(digest);
    if (remembered !== undefined) {
      // What is read often is in memory: without this its file would be the first to be evicted.
      readTimes.note(digest);
      return remembered;
    }
    const stored = await verification.open(digest);
    if (stored === undefined) return undefined;
    const { blob } = stored;
    try {
      // It may be a blob that somebody calls a manifest; as a blob there is nothing wrong with it.
      if (blob.size > MAX_MANIFEST_BYTES) return undefined;
      readTimes.note(digest);
      const bytes = await readWhole(blob);
      // Each time, and not only when nobody has for long: what is read here is remembered and served for ever.
      if (bytes !== undefined && digestOf(bytes, digestAlgorithm(digest)) === digest) {
        this.#memory.set(digest, bytes);
        return bytes;
      }
      await verification.condemn(digest, { reason: 'content', detail: 'its bytes have another digest' }, blob.mark);
    } catch (error) {
      await verification.condemn(digest, unreadable(error), blob.mark);
    } finally {
      blob.close().catch(() => {});
    }
    return undefined;
  }

  /** Asks the upstreams where a tag points to now. */
  async #resolve(
    repository: Repository,
    tag: string,
    known: TagRecord | undefined,
    headOnly: boolean,
  ): Promise<Resolution> {
    const { origin, pointers, membership } = this.#options;
    const reference = { kind: 'tag', tag } as const;
    try {
      let head: OriginManifestHead;
      if (known === undefined && !headOnly) {
        const manifest = await origin.getManifest(repository, reference);
        await this.#keep(repository, manifest);
        head = manifest;
      } else {
        // A HEAD is free where a GET counts as a pull.
        head = await origin.headManifest(repository, reference);
        const isNew = head.digest !== known?.digest;
        if (isNew && !headOnly) {
          // The new bytes come before the new pointer: while they cannot be had, the old image still can.
          const bytes = await this.#local(head.digest);
          if (bytes === undefined) await this.#fetch(repository, head.digest);
          else await membership.add(repository, membersOf({ ...head, bytes }));
        } else {
          await membership.add(repository, [memberOf(head)]);
        }
      }
      const record = { ...head, checkedAt: this.#now() };
      const { digest, mediaType, size, upstream, visibility, checkedAt } = record;
      await pointers.put(repository, tag, { digest, mediaType, size, upstream, visibility, checkedAt });
      const outcome = known !== undefined && known.digest === digest ? 'REVALIDATED' : 'MISS';
      this.#decide(
        repository,
        tag,
        outcome,
        outcome === 'MISS' ? 'the tag is new or has moved' : 'the tag has not moved',
      );
      return { record, outcome, upstream, warning: undefined };
    } catch (error) {
      if (known === undefined || !isTemporary(error) || (await this.#local(known.digest)) === undefined) throw error;
      const warning = `${(error as Error).message}; serving what ${known.upstream} said before`;
      this.#decide(repository, tag, 'STALE', warning);
      return { record: known, outcome: 'STALE', upstream: undefined, warning };
    }
  }

  /** What a resolved tag is answered with. */
  async #answer(repository: Repository, resolution: Resolution, request: ManifestRequest): Promise<ManifestAnswer> {
    const { record, outcome, upstream, warning } = resolution;
    const { digest, mediaType, size, checkedAt } = record;
    if (request.head === true) {
      return { digest, mediaType, size, bytes: undefined, outcome, upstream, checkedAt, warning };
    }
    const bytes = await this.#local(digest);
    if (bytes !== undefined) return { digest, mediaType, size, bytes, outcome, upstream, checkedAt, warning };
    const manifest = await abortable(this.#fetch(repository, digest), request.signal);
    return { ...fromOrigin(manifest, manifest.bytes, this.#now()), checkedAt, warning };
  }

  /** Straight from the upstream, shared by whoever asks at the same time. */
  async #through(repository: Repository, tag: string, request: ManifestRequest): Promise<ManifestAnswer> {
    const { origin, membership } = this.#options;
    const reference = { kind: 'tag', tag } as const;
    const key = keyOf(repository.registry, repository.repository, tag);
    if (request.head === true && !this.#fetching.has(key)) {
      const heading = this.#heading.run(key, () => origin.headManifest(repository, reference));
      return { ...fromOrigin(await abortable(heading, request.signal), undefined, this.#now()), outcome: 'PASS' };
    }
    const fetching = this.#fetching.run(key, async () => {
      const manifest = await origin.getManifest(repository, reference);
      await membership.add(repository, membersOf(manifest));
      return manifest;
    });
    const manifest = await abortable(fetching, request.signal);
    return { ...fromOrigin(manifest, manifest.bytes, this.#now()), outcome: 'PASS' };
  }

  #fetch(repository: Repository, digest: Digest): Promise<OriginManifest> {
    const key = keyOf(repository.registry, repository.repository, digest);
    return this.#fetching.run(key, async () => {
      const manifest = await this.#options.origin.getManifest(repository, { kind: 'digest', digest });
      await this.#keep(repository, manifest);
      return manifest;
    });
  }

  /** Notes what the manifest names, and keeps its bytes. A disk that refuses them costs the next pull, not this one. */
  async #keep(repository: Repository, manifest: OriginManifest): Promise<void> {
    const { membership, verification, store, names, keep, telemetry } = this.#options;
    const { digest, bytes } = manifest;
    await membership.add(repository, membersOf(manifest));
    if (!keep) return;
    this.#memory.set(digest, bytes);
    try {
      if ((await verification.size(digest, undefined)) === bytes.length) return;
      const file = await store.begin();
      try {
        await file.write(bytes, 0);
        await file.commit(digest);
        const storedAt = this.#now();
        await names.putBlob({ digest, size: bytes.length, kind: 'mirrored', storedAt, verifiedAt: storedAt });
        verification.stored(digest, { size: bytes.length, mark: file.mark });
      } catch (error) {
        await file.abort();
        throw error;
      } finally {
        await file.close();
      }
    } catch (error) {
      telemetry.publish('warning', { message: `Cannot store the manifest ${digest}`, error });
    }
  }

  #decide(repository: Repository, reference: string, outcome: CacheOutcome, reason: string): void {
    const { telemetry } = this.#options;
    if (telemetry.hears('cache.decision')) {
      telemetry.publish('cache.decision', { ...repository, reference, outcome, reason });
    }
  }
}

/** The bytes of a stored manifest; undefined where its file ends early. */
async function readWhole(stored: StoredBlob): Promise<Buffer | undefined> {
  const bytes = Buffer.allocUnsafeSlow(stored.size);
  for (let filled = 0; filled < bytes.length; ) {
    const count = await stored.read(bytes.subarray(filled), filled);
    if (count === 0) return undefined;
    filled += count;
  }
  return bytes;
}

/** The manifest itself and everything it names: what may be read through the repository from now on. */
function membersOf(manifest: OriginManifest): MemberRecord[] {
  const { visibility } = manifest;
  try {
    const { blobs, manifests } = parseManifest(manifest.bytes, manifest.mediaType);
    return [
      memberOf(manifest),
      ...blobs.map(
        ({ digest, mediaType, size }): MemberRecord => ({ digest, kind: 'blob', mediaType, size, visibility }),
      ),
      ...manifests.map(
        ({ digest, mediaType, size }): MemberRecord => ({ digest, kind: 'manifest', mediaType, size, visibility }),
      ),
    ];
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    // The client asked rightly: it is the upstream that gave something that cannot be served.
    throw new OciError(
      'MANIFEST_INVALID',
      `${manifest.upstream} sent a manifest that cannot be served: ${error.message}`,
      {
        status: 502,
        cause: error,
      },
    );
  }
}

function memberOf({ digest, mediaType, size, visibility }: OriginManifestHead): MemberRecord {
  return { digest, kind: 'manifest', mediaType, size, visibility };
}

function held(member: MemberRecord, bytes: Buffer): ManifestAnswer {
  return {
    digest: member.digest,
    mediaType: member.mediaType,
    size: bytes.length,
    bytes,
    outcome: 'HIT',
    upstream: undefined,
    checkedAt: undefined,
    warning: undefined,
  };
}

/** @param checkedAt for a tag alone: what a digest points to needs no confirmation */
function fromOrigin(head: OriginManifestHead, bytes: Buffer | undefined, checkedAt?: number): ManifestAnswer {
  const { digest, mediaType, size, upstream } = head;
  return { digest, mediaType, size, bytes, outcome: 'MISS', upstream, checkedAt, warning: undefined };
}

/** True for what may be over soon, so that an older answer is better than none (reliability.md §5.2 no 6). */
function isTemporary(error: unknown): boolean {
  return isOriginFailure(error) && (error.kind === 'unavailable' || error.kind === 'throttled');
}
