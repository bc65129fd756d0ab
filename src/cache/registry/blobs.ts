import { abortable, type ByteSpan, WHOLE } from '../../lib/index.ts';
import {
  type Digest,
  isManifestType,
  isOriginFailure,
  OciError,
  type Origin,
  type OriginBlob,
  type OriginBlobHead,
  type OriginSource,
  parseRange,
  type Repository,
  rangeInvalid,
} from '../../oci/index.ts';
import type { BlobStore, MemberRecord } from '../../store/index.ts';
import type { CacheOutcome, Telemetry } from '../../telemetry/index.ts';
import type { Capacity } from '../capacity.ts';
import type { CheckedBlob, Verification } from '../integrity/index.ts';
import type { ReadTimes, RepositoryBlobs } from '../metadata/index.ts';
import {
  describeIngest,
  Ingest,
  Keeping,
  OriginReader,
  type PartialContent,
  planRange,
  publishIngest,
  RunningTransfers,
  SegmentSlots,
  type SplitOf,
} from '../transfer/index.ts';
import { answerStored, type BlobAnswer, type BlobHead, REASONS } from './blob-answer.ts';

/** What may change while the server runs; asked for at each use. */
interface BlobPolicy {
  /** False: blobs are delivered and not kept. */
  readonly keep: boolean;
  /** `ingest`: a far Range on a blob that is not cached also starts the transfer of the whole blob; `pass`: it does not. */
  readonly onRange: 'ingest' | 'pass';
  readonly splitOf: SplitOf;
}

interface BlobsOptions {
  readonly store: BlobStore;
  readonly repositoryBlobs: RepositoryBlobs;
  readonly verification: Verification;
  readonly readTimes: ReadTimes;
  readonly telemetry: Telemetry;
  readonly capacity: Capacity;
  /** What has come of blobs whose transfers ended early. */
  readonly partials: PartialContent;
  readonly policy: () => BlobPolicy;
}

/** How a client asks for a blob. */
export interface BlobRequest {
  /** Which upstreams to ask, also for every transfer that the request starts. */
  readonly origin: OriginSource;
  /** The `Range` header. */
  readonly range?: string | undefined;
  /** False: delivered, not kept. @default true */
  readonly keep?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Times a request looks again because another's transfer began or ended during the read. */
const MAX_LOOKS = 8;

/** Blobs by digest: from the store, from a running transfer, or from a transfer that is started. */
export class Blobs {
  readonly #options: BlobsOptions;
  readonly #running = new RunningTransfers<{ readonly ingest: Ingest; readonly hops: number }>();
  readonly #slots = new SegmentSlots();

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /** The transfers that run now. */
  get transfers(): Iterable<Ingest> {
    return this.#running.ingests;
  }

  async head(repository: Repository, digest: Digest, { origin, signal }: BlobRequest): Promise<BlobHead> {
    const { verification } = this.#options;
    const member = await this.#memberOf(repository, digest);
    const running = this.#joinable(digest, origin);
    if (running?.ending === false && (member !== undefined || isSame(running.repository, repository))) {
      // Where the transfer fails, or is given up for want of followers, this request asks the upstream itself.
      const isOpen = running.opened.then(
        () => true,
        () => false,
      );
      if ((await abortable(isOpen, signal)) && running.size !== undefined) {
        return { size: running.size, outcome: 'JOIN', reason: REASONS.joined, upstream: running.upstream };
      }
    }
    const size = await verification.size(digest, member?.size);
    if (size !== undefined && member !== undefined) {
      return { size, outcome: 'HIT', reason: REASONS.stored, upstream: undefined };
    }
    const head = await (await origin()).headBlob(repository, digest, { size: member?.size, signal });
    if (member === undefined) await this.#confirmed(repository, digest, head);
    return {
      size: size ?? head.size ?? member?.size,
      outcome: size === undefined ? 'MISS' : 'HIT',
      reason:
        size === undefined ? REASONS.missing : 'it is stored, and the upstream confirms that the repository has it',
      upstream: head.upstream,
    };
  }

  /**
   * Bytes of a blob, of which no more is asked: a manifest's word is enough, so that no upstream has to answer for it. That
   * the upstream has the blob it does not say.
   */
  async size(repository: Repository, digest: Digest, request: BlobRequest): Promise<number | undefined> {
    const member = await this.#memberOf(repository, digest);
    return member?.size ?? (await this.head(repository, digest, request)).size;
  }

  async open(repository: Repository, digest: Digest, request: BlobRequest): Promise<BlobAnswer> {
    const { verification } = this.#options;
    let member = await this.#memberOf(repository, digest);
    for (let look = 0; ; look += 1) {
      const { ended } = this.#running;
      const running = this.#joinable(digest, request.origin);
      if (running?.ending === true && look < MAX_LOOKS) {
        await abortable(running.settled, request.signal);
        continue;
      }
      if (running !== undefined && (member !== undefined || isSame(running.repository, repository))) {
        try {
          return await this.#fromIngest(running, { repository, digest, outcome: 'JOIN' }, request);
        } catch (error) {
          // The failure of another repository's upstream says nothing about this one's.
          const isOurs = error !== running.error || isSame(running.repository, repository);
          if (isOurs || look >= MAX_LOOKS) throw error;
          await abortable(running.settled, request.signal);
          continue;
        }
      }
      const check = { expectedSize: member?.size, signal: request.signal };
      const stored = running === undefined ? await verification.open(digest, check) : undefined;
      if (member === undefined && (running !== undefined || stored !== undefined)) {
        // The blob is stored through another repository: only this one's upstream can tell that it has the blob too.
        try {
          const head = await (await request.origin()).headBlob(repository, digest, { signal: request.signal });
          member = await this.#confirmed(repository, digest, head);
        } catch (error) {
          stored?.blob.close().catch(() => {});
          throw error;
        }
      }
      if (stored !== undefined) return this.#fromStore(stored, digest, request);
      const hasChanged = this.#joinable(digest, request.origin) !== undefined || this.#running.ended !== ended;
      if (look < MAX_LOOKS && (running !== undefined || hasChanged)) continue;
      return this.#fromOrigin(repository, digest, member, request);
    }
  }

  /** Stops every transfer; resolves when they have settled. */
  close(): Promise<void> {
    return this.#running.close();
  }

  /**
   * What is recorded of a blob. A manifest is none, as in distribution, where the two have links of their own: a client that asks
   * for it as a blob gets what the upstream says, mostly 404.
   */
  async #memberOf(repository: Repository, digest: Digest): Promise<MemberRecord | undefined> {
    const member = await this.#options.repositoryBlobs.get(repository, digest);
    // An index may list blobs too (BuildKit's cache does).
    return member?.kind === 'manifest' && isManifestType(member.mediaType) ? undefined : member;
  }

  /** Records that a blob belongs to a repository: its upstream has confirmed it, without a manifest that names the blob. */
  async #confirmed(repository: Repository, digest: Digest, { visibility }: OriginBlobHead): Promise<MemberRecord> {
    // Its size is what the upstream says: only a manifest's is believed.
    const member: MemberRecord = { digest, kind: 'blob', mediaType: '', size: undefined, visibility };
    const { repositoryBlobs } = this.#options;
    // A manifest that its upstream gives as a blob too stays a manifest.
    if ((await repositoryBlobs.get(repository, digest)) === undefined) await repositoryBlobs.add(repository, [member]);
    return member;
  }

  #fromStore(checked: CheckedBlob, digest: Digest, request: BlobRequest): BlobAnswer {
    const { readTimes, verification } = this.#options;
    readTimes.note(digest);
    return answerStored(checked, { digest, range: request.range, verification });
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
    if (range.kind === 'unsatisfiable') {
      // The upstream may not have the blob at all, which is 404.
      const { size } = await (await origin()).headBlob(repository, digest, {
        size: member?.size,
        signal: request.signal,
      });
      throw rangeInvalid(size);
    }
    if (range.kind === 'part' && planRange(range.start, { written: 0, size: member?.size }) === 'pass') {
      const mayIngest = keep && this.#mayContinueUnattended;
      const { connections } = this.#options.policy().splitOf(repository.registry, '');
      // Where the manifest gives the size, the transfer can begin with what the client reads.
      if (!mayIngest || member?.size === undefined || connections < 2) {
        if (mayIngest) this.#start(repository, digest, { origin, member, keep }).continueUnattended();
        return this.#pass(repository, digest, range, request);
      }
    }
    const ingest = this.#start(repository, digest, { origin, member, keep });
    return this.#fromIngest(ingest, { repository, digest, outcome: 'MISS' }, request);
  }

  #isToBeKept(member: MemberRecord | undefined): boolean {
    const { policy, capacity } = this.#options;
    return policy().keep && member?.transient !== true && capacity.mayKeep(member?.size);
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
    const { policy } = this.#options;
    // Attached before anything is awaited: a transfer without followers may be given up at any time.
    const whole = ingest.follow(WHOLE);
    const reason = outcome === 'JOIN' ? REASONS.joined : REASONS.missing;
    try {
      if (outcome === 'JOIN') {
        this.#options.telemetry.publish('ingest.joined', { ...describeIngest(ingest), followers: ingest.followers });
      }
      await this.#running.makingWay(ingest.repository.registry, abortable(ingest.opened, request.signal));
      const { size, upstream } = ingest;
      const range = parseRange(request.range, size);
      if (range.kind === 'unsatisfiable') throw rangeInvalid(size);
      // Without a size there is no Content-Range to answer with: the whole is a right answer to any Range.
      if (range.kind === 'whole' || size === undefined) {
        return { size, outcome, reason, upstream, part: undefined, reader: whole };
      }
      const part = { start: range.start, end: range.end ?? size - 1 };
      const isAhead = planRange(part.start, ingest, ingest.soon) === 'pass';
      if (isAhead) {
        const mayIngest = policy().onRange === 'ingest';
        if (outcome === 'MISS' && ingest.keep && this.#mayContinueUnattended) ingest.continueUnattended();
        // Every byte is asked for once: what is read first comes first, and into the cache.
        if (!mayIngest || !ingest.bring(part.start, part.end + 1)) {
          const answer = await this.#pass(repository, digest, part, request);
          whole.close();
          return answer;
        }
      }
      const reader = ingest.follow(part, { isAhead });
      whole.close();
      return { size, outcome, reason, upstream, part, reader };
    } catch (error) {
      whole.close();
      throw error;
    }
  }

  /** Fetches a part alone. It is passed on unverified and never kept (decisions.md 4). */
  async #pass(
    repository: Repository,
    digest: Digest,
    span: ByteSpan,
    { origin, signal }: BlobRequest,
  ): Promise<BlobAnswer> {
    const { telemetry } = this.#options;
    const member = await this.#memberOf(repository, digest);
    const upstreams = await origin();
    let blob: OriginBlob;
    try {
      const options = { offset: span.start, end: span.end, size: member?.size, signal };
      blob = await this.#running.makingWay(repository.registry, upstreams.openBlob(repository, digest, options));
    } catch (error) {
      if (!isOriginFailure(error) || error.kind !== 'invalid') throw error;
      // Where no manifest gives the size of the blob, the part may lie behind its end.
      const head = await upstreams.headBlob(repository, digest, { signal }).catch(() => undefined);
      throw head?.size !== undefined && span.start >= head.size ? rangeInvalid(head.size) : error;
    }
    const { size, upstream } = blob;
    telemetry.publish('range.passed', { ...repository, digest, upstream });
    if (member === undefined) await this.#confirmed(repository, digest, blob);
    // Of a blob of unknown size only the part that the upstream names is certain; its Content-Range then has no size either.
    const last = size === undefined ? blob.end : Math.min(span.end ?? size - 1, size - 1);
    if (last === undefined) {
      blob.body.cancel();
      const message = `${upstream} does not say how large the blob is, so no part of it can be given`;
      throw new OciError('UNAVAILABLE', message, { status: 502 });
    }
    const part = { start: span.start, end: last };
    if (part.start > part.end) {
      blob.body.cancel();
      throw rangeInvalid(size);
    }
    const reader = new OriginReader(blob, { end: part.end });
    return { size, outcome: 'PASS', reason: REASONS.range, upstream, part, reader };
  }

  #start(
    repository: Repository,
    digest: Digest,
    how: Pick<BlobRequest, 'origin'> & { readonly member: MemberRecord | undefined; readonly keep: boolean },
  ): Ingest {
    const { store, repositoryBlobs, verification, telemetry, capacity, partials, policy } = this.#options;
    if (this.#running.isStopping) throw new OciError('UNAVAILABLE', 'The server is stopping');
    let member = how.member;
    const { hops = 0 } = how.origin;
    const first = this.#running.get(digest);
    // One that is passed on to a single client, and has dropped its first bytes: all that come now follow the new one.
    const isTooLate = first?.ingest.isWhole === false;
    if (isTooLate) this.#running.setAside(digest);
    const key = first === undefined || isTooLate ? digest : behind(digest, hops);
    // Opaque: its requests share what the upstream tells one of them.
    const transfer = {};
    let upstreams: Origin | undefined;
    const ingest = new Ingest(
      {
        repository,
        digest,
        expectedSize: member?.size,
        keep: how.keep,
        passesOn: !isTooLate,
        request: how.origin.request,
        ...(how.keep && {
          splitting: { slots: this.#slots, policy: (upstream) => policy().splitOf(repository.registry, upstream) },
        }),
      },
      {
        open: async (options) => {
          upstreams = await how.origin();
          const blob = await upstreams.openBlob(repository, digest, { ...options, transfer });
          member ??= await this.#confirmed(repository, digest, blob);
          return blob;
        },
        upstreams: () => upstreams?.upstreamsOf(digest) ?? [],
        begin: () => store.begin(),
        keeping: how.keep && partials.isOn ? new Keeping(partials, digest) : undefined,
        mayPublish: () => capacity.mayPublish(),
        decided: () => capacity.decided(),
        mayContinue: () => this.#running.mayStayUnattended,
        publish: async (file, { size }) => {
          await verification.commit(file, { digest, size });
          // Purged during the transfer: a stored blob that belongs to no repository would be reached by no other purge.
          if (member !== undefined) await repositoryBlobs.restore(repository, [member]);
        },
        observer: publishIngest(telemetry, { capacity, onSettled: (settled) => this.#running.remove(key, settled) }),
      },
    );
    this.#running.add(key, { ingest, hops });
    return ingest;
  }

  /**
   * The running transfer of a blob that a request may wait for. One whose upstream has not answered yet may itself wait for the
   * mirror that sent this request, where it was started for a request that had passed fewer servers: then the two mirrors
   * would wait for each other. Such a request has a transfer of its own.
   */
  #joinable(digest: Digest, { hops = 0 }: OriginSource): Ingest | undefined {
    const first = this.#running.get(digest);
    if (first?.ingest.isWhole === false) return undefined;
    if (first === undefined || first.hops >= hops || first.ingest.isOpened) return first?.ingest;
    return this.#running.get(behind(digest, hops))?.ingest;
  }

  get #mayContinueUnattended(): boolean {
    return this.#options.policy().onRange === 'ingest' && this.#running.mayContinueUnattended;
  }
}

/** The key of a transfer that runs beside another one of the same blob. */
function behind(digest: Digest, hops: number): string {
  return `${digest} ${hops}`;
}

function isSame(a: Repository, b: Repository): boolean {
  return a.registry === b.registry && a.repository === b.repository;
}
