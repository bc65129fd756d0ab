import { abortable, type BlobReader, type ByteSpan, WHOLE } from '../../lib/index.ts';
import {
  type Digest,
  isOriginFailure,
  OciError,
  type OriginBlob,
  type OriginSource,
  parseRange,
  type Repository,
} from '../../oci/index.ts';
import type { BlobStore, MemberRecord, MetadataStore } from '../../store/index.ts';
import type { CacheOutcome, Telemetry } from '../../telemetry/index.ts';
import type { CheckedBlob, Verification } from '../integrity/index.ts';
import type { ReadTimes, RepositoryBlobs } from '../metadata/index.ts';
import { describeIngest, Ingest, OriginReader, planRange, publishIngest, StoredReader } from '../transfer/index.ts';

export interface BlobsOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly membership: RepositoryBlobs;
  readonly verification: Verification;
  readonly readTimes: ReadTimes;
  readonly telemetry: Telemetry;
  /** False: what passes is delivered and not kept. */
  readonly keep: boolean;
  /** Whether the disk has room for a blob of so many bytes. @default always */
  readonly mayKeep?: (size: number | undefined) => boolean;
  /** Resolves when it is decided which of the transfers under way are kept. */
  readonly decided?: () => Promise<void>;
  /** Told where the disk refuses to take a blob. */
  readonly onRefusal?: (error: unknown) => void;
  /** `ingest`: a far Range on a cold blob starts the whole blob's transfer beside it; `pass`: it does not. */
  readonly onRange: 'ingest' | 'pass';
}

export interface BlobRequest {
  /** Which upstreams to ask, also for every transfer that the request starts. */
  readonly origin: OriginSource;
  /** The `Range` header. */
  readonly range?: string | undefined;
  /** False: delivered, not kept. @default true */
  readonly keep?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What is known of a blob before its first byte. */
export interface BlobHead {
  /** Bytes of the whole blob; undefined where nobody knows yet. */
  readonly size: number | undefined;
  readonly outcome: CacheOutcome;
  /** The upstream that answered, where one was asked. */
  readonly upstream: string | undefined;
}

export interface BlobAnswer extends BlobHead {
  /** Set where a part was asked for: the answer is 206 with this span. */
  readonly part: { readonly start: number; readonly end: number } | undefined;
  /** To be closed by whoever gets it. */
  readonly reader: BlobReader;
}

/** Whole-blob transfers that Range readers may start beside them at once: each costs a download nobody waits for. */
const MAX_UNATTENDED = 4;

/** Times a request looks again because another's transfer began or ended while the disk was asked. */
const MAX_LOOKS = 8;

/** Blobs by digest: from the store, from a transfer that runs, or by a transfer that is started. */
export class Blobs {
  readonly #options: BlobsOptions;
  readonly #running = new Map<Digest, Ingest>();
  /** Transfers that have ended so far: tells whether one ended while the disk was asked. */
  #ended = 0;
  #unattended = 0;
  #isStopping = false;

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /** The transfers that run now. */
  get transfers(): Iterable<Ingest> {
    return this.#running.values();
  }

  async head(repository: Repository, digest: Digest, { origin, signal }: BlobRequest): Promise<BlobHead> {
    const { membership, verification } = this.#options;
    const member = await membership.get(repository, digest);
    const running = this.#running.get(digest);
    if (running?.ending === false && (member !== undefined || isSame(running.repository, repository))) {
      // Where it fails, or is given up as nobody follows it, the upstream is asked for itself.
      const isOpen = running.opened.then(
        () => true,
        () => false,
      );
      if ((await abortable(isOpen, signal)) && running.size !== undefined) {
        return { size: running.size, outcome: 'JOIN', upstream: running.upstream };
      }
    }
    const size = await verification.size(digest, member?.size);
    if (size !== undefined && member !== undefined) return { size, outcome: 'HIT', upstream: undefined };
    const head = await (await origin()).headBlob(repository, digest, { signal });
    if (member === undefined) {
      await membership.add(repository, [confirmed(digest, head.size, head.visibility)]);
    }
    return {
      size: size ?? head.size ?? member?.size,
      outcome: size === undefined ? 'MISS' : 'HIT',
      upstream: head.upstream,
    };
  }

  async open(repository: Repository, digest: Digest, request: BlobRequest): Promise<BlobAnswer> {
    const { membership, verification } = this.#options;
    let member = await membership.get(repository, digest);
    for (let look = 0; ; look += 1) {
      const ended = this.#ended;
      const running = this.#running.get(digest);
      if (running?.ending === true && look < MAX_LOOKS) {
        await abortable(running.settled, request.signal);
        continue;
      }
      if (running !== undefined && (member !== undefined || isSame(running.repository, repository))) {
        try {
          return await this.#fromIngest(running, { repository, digest, outcome: 'JOIN' }, request);
        } catch (error) {
          // That another repository's upstream refused or failed says nothing about this one's.
          const isOurs = error !== running.error || isSame(running.repository, repository);
          if (isOurs || look >= MAX_LOOKS) throw error;
          await abortable(running.settled, request.signal);
          continue;
        }
      }
      const check = { expectedSize: member?.size, signal: request.signal };
      const stored = running === undefined ? await verification.open(digest, check) : undefined;
      if (member === undefined && (running !== undefined || stored !== undefined)) {
        // The bytes are here through another repository: only this one's upstream can say that it has them too.
        try {
          member = await this.#confirm(repository, digest, request);
        } catch (error) {
          stored?.blob.close().catch(() => {});
          throw error;
        }
      }
      if (stored !== undefined) return this.#fromStore(stored, digest, request);
      if (look < MAX_LOOKS && (running !== undefined || this.#running.has(digest) || this.#ended !== ended)) continue;
      return this.#fromOrigin(repository, digest, member, request);
    }
  }

  /** Ends every transfer; resolves when they have settled. */
  async close(): Promise<void> {
    this.#isStopping = true;
    const reason = new Error('The server is stopping');
    await Promise.all(
      [...this.#running.values()].map((ingest) => {
        ingest.stop(reason);
        return ingest.settled;
      }),
    );
  }

  async #confirm(repository: Repository, digest: Digest, { origin, signal }: BlobRequest): Promise<MemberRecord> {
    const { membership } = this.#options;
    const head = await (await origin()).headBlob(repository, digest, { signal });
    const member = confirmed(digest, head.size, head.visibility);
    await membership.add(repository, [member]);
    return member;
  }

  #fromStore({ blob, examination }: CheckedBlob, digest: Digest, request: BlobRequest): BlobAnswer {
    const { readTimes, verification } = this.#options;
    readTimes.note(digest);
    let part: BlobAnswer['part'];
    try {
      part = partOf(request.range, blob.size);
    } catch (error) {
      blob.close().catch(() => {});
      throw error;
    }
    return {
      size: blob.size,
      outcome: 'HIT',
      upstream: undefined,
      part,
      reader: new StoredReader(blob, part ?? WHOLE, {
        examination,
        onRot: (rot) => verification.quarantine(digest, rot, blob.mark),
      }),
    };
  }

  async #fromOrigin(
    repository: Repository,
    digest: Digest,
    member: MemberRecord | undefined,
    request: BlobRequest,
  ): Promise<BlobAnswer> {
    const { origin } = request;
    const keep = request.keep !== false && this.#isToBeKept(member);
    const range = parseRange(request.range, member?.size);
    if (range.kind === 'unsatisfiable') throw unsatisfiable(member?.size);
    if (range.kind === 'part' && planRange(range.start, { written: 0, size: member?.size }) === 'pass') {
      if (keep && this.#mayGoOnAlone)
        this.#continueUnattended(this.#start(repository, digest, { origin, member, keep }));
      return this.#pass(repository, digest, range, request);
    }
    const ingest = this.#start(repository, digest, { origin, member, keep });
    return this.#fromIngest(ingest, { repository, digest, outcome: 'MISS' }, request);
  }

  #isToBeKept(member: MemberRecord | undefined): boolean {
    const { keep, mayKeep } = this.#options;
    return keep && member?.transient !== true && mayKeep?.(member?.size) !== false;
  }

  async #fromIngest(
    ingest: Ingest,
    {
      repository,
      digest,
      outcome,
    }: { readonly repository: Repository; readonly digest: Digest; readonly outcome: CacheOutcome },
    request: BlobRequest,
  ): Promise<BlobAnswer> {
    // Attached before anything is awaited: a transfer nobody follows may be given up at any time.
    const whole = ingest.follow(WHOLE);
    try {
      if (outcome === 'JOIN') {
        this.#options.telemetry.publish('ingest.joined', { ...describeIngest(ingest), followers: ingest.followers });
      }
      await abortable(ingest.opened, request.signal);
      const { size, upstream } = ingest;
      const range = parseRange(request.range, size);
      if (range.kind === 'unsatisfiable') throw unsatisfiable(size);
      // Without a size there is no Content-Range to answer with: the whole is a right answer to any Range.
      if (range.kind === 'whole' || size === undefined) {
        return { size, outcome, upstream, part: undefined, reader: whole };
      }
      const part = { start: range.start, end: range.end ?? size - 1 };
      if (planRange(part.start, ingest) === 'pass') {
        // Of a part counted from the end nobody knew until now that it is far.
        if (outcome === 'MISS' && ingest.keep && this.#mayGoOnAlone) this.#continueUnattended(ingest);
        const answer = await this.#pass(repository, digest, part, request);
        whole.close();
        return answer;
      }
      const reader = ingest.follow(part);
      whole.close();
      return { size, outcome, upstream, part, reader };
    } catch (error) {
      whole.close();
      throw error;
    }
  }

  /** Fetches a part for itself. It is passed on unverified and never kept (decisions.md 4). */
  async #pass(
    repository: Repository,
    digest: Digest,
    span: ByteSpan,
    { origin, signal }: BlobRequest,
  ): Promise<BlobAnswer> {
    const { membership, telemetry } = this.#options;
    const upstreams = await origin();
    let blob: OriginBlob;
    try {
      blob = await upstreams.openBlob(repository, digest, { offset: span.start, end: span.end, signal });
    } catch (error) {
      if (!isOriginFailure(error) || error.kind !== 'invalid') throw error;
      // Where no manifest has said how large the blob is, the part may lie behind its end.
      const head = await upstreams.headBlob(repository, digest, { signal }).catch(() => undefined);
      throw head?.size !== undefined && span.start >= head.size ? unsatisfiable(head.size) : error;
    }
    const { size, upstream, visibility } = blob;
    telemetry.publish('range.passed', { ...repository, digest, upstream });
    if ((await membership.get(repository, digest)) === undefined) {
      await membership.add(repository, [confirmed(digest, size, visibility)]);
    }
    const last = span.end ?? (size === undefined ? undefined : size - 1);
    if (size === undefined || last === undefined) {
      blob.body.cancel();
      throw new OciError(
        'UNAVAILABLE',
        `${upstream} does not say how large the blob is, so no part of it can be given`,
        {
          status: 502,
        },
      );
    }
    const part = { start: span.start, end: Math.min(last, size - 1) };
    if (part.start > part.end) {
      blob.body.cancel();
      throw unsatisfiable(size);
    }
    return { size, outcome: 'PASS', upstream, part, reader: new OriginReader(blob, { end: part.end }) };
  }

  #start(
    repository: Repository,
    digest: Digest,
    how: Pick<BlobRequest, 'origin'> & { readonly member: MemberRecord | undefined; readonly keep: boolean },
  ): Ingest {
    const { store, metadata, membership, verification, telemetry, decided, onRefusal } = this.#options;
    if (this.#isStopping) throw new OciError('UNAVAILABLE', 'The server is stopping');
    let member = how.member;
    const ingest = new Ingest(
      { repository, digest, expectedSize: member?.size, keep: how.keep },
      {
        open: async (options) => {
          const blob = await (await how.origin()).openBlob(repository, digest, options);
          if (member === undefined) {
            member = confirmed(digest, blob.size, blob.visibility);
            await membership.add(repository, [member]);
          }
          return blob;
        },
        begin: () => store.begin(),
        ...(decided === undefined ? {} : { decided }),
        publish: async (file, { size }) => {
          await file.commit(digest);
          const storedAt = Date.now();
          await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt, verifiedAt: storedAt });
          verification.stored(digest, { size, mark: file.mark });
          // Purged while it came: what is stored and belongs to nobody would be reached by no other purge.
          if (member !== undefined) await membership.restore(repository, [member]);
        },
        observer: publishIngest(telemetry, {
          onRefusal,
          onSettled: (settled) => {
            if (this.#running.get(digest) === settled) this.#running.delete(digest);
            this.#ended += 1;
          },
        }),
      },
    );
    this.#running.set(digest, ingest);
    return ingest;
  }

  get #mayGoOnAlone(): boolean {
    return this.#options.onRange === 'ingest' && this.#unattended < MAX_UNATTENDED;
  }

  /** Lets a transfer come in beside a part that is fetched for itself. */
  #continueUnattended(ingest: Ingest): void {
    ingest.continueUnattended();
    this.#unattended += 1;
    void ingest.settled.finally(() => {
      this.#unattended -= 1;
    });
  }
}

function isSame(a: Repository, b: Repository): boolean {
  return a.registry === b.registry && a.repository === b.repository;
}

/** A member by the word of its upstream, with no manifest to say what it is. */
function confirmed(digest: Digest, size: number | undefined, visibility: MemberRecord['visibility']): MemberRecord {
  return { digest, kind: 'blob', mediaType: '', size, visibility };
}

function partOf(header: string | undefined, size: number): BlobAnswer['part'] {
  const range = parseRange(header, size);
  if (range.kind === 'unsatisfiable') throw unsatisfiable(size);
  return range.kind === 'whole' ? undefined : { start: range.start, end: range.end ?? size - 1 };
}

function unsatisfiable(size: number | undefined): OciError {
  return new OciError('RANGE_INVALID', `the blob has ${size ?? 'fewer'} bytes`, {
    headers: size === undefined ? {} : { 'content-range': `bytes */${size}` },
  });
}
