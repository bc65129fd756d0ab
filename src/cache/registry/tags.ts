import { abortable, keyOf, SingleFlight } from '../../lib/index.ts';
import {
  type Digest,
  type FailureKind,
  isOriginFailure,
  type OriginManifest,
  type OriginManifestHead,
  type Repository,
} from '../../oci/index.ts';
import type { TagRecord } from '../../store/index.ts';
import type { CacheOutcome, Telemetry } from '../../telemetry/index.ts';
import type { RepositoryBlobs, TagRecords } from '../metadata/index.ts';
import { type Freshness, isFresh } from '../metadata/index.ts';
import type { BackOff, Failure, NegativeCache, UnresponsiveRegistries } from '../revalidation/index.ts';
import { fromOrigin, type ManifestAnswer, type ManifestRequest, type Manifests, memberOf } from './manifests.ts';

export interface TagsOptions {
  readonly manifests: Manifests;
  readonly membership: RepositoryBlobs;
  readonly pointers: TagRecords;
  readonly notFound: NegativeCache;
  readonly backOff: BackOff;
  readonly silence: UnresponsiveRegistries;
  readonly telemetry: Telemetry;
  readonly freshness: Freshness;
  /** False: every tag is asked for each time, and nothing is kept. */
  readonly keep: boolean;
  /** Milliseconds after which what is here is served while its upstream thinks. @default 2000 */
  readonly staleAfter?: number | undefined;
  /** True: what is here is served although its upstream has it no more. @default false */
  readonly staleOnNotFound?: boolean | undefined;
  readonly now?: (() => number) | undefined;
}

const DEFAULT_STALE_AFTER = 2000;

/** Node fires a longer one at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** What became of a tag that had to be asked for. */
interface Resolution {
  readonly record: TagRecord;
  readonly outcome: CacheOutcome;
  readonly upstream: string | undefined;
  readonly warning: string | undefined;
}

/** What an upstream is asked about a tag. */
interface Question extends Pick<ManifestRequest, 'origin'> {
  /** What is believed now. */
  readonly record: TagRecord | undefined;
  /** True where nobody wants the bytes. */
  readonly headOnly: boolean;
}

/** A question under way. */
interface Flight {
  readonly resolution: Promise<Resolution>;
  /** Resolves when it has been under way for as long as anybody is made to wait. */
  readonly late: Promise<void>;
}

/** Where a tag pointed before it was asked for again, and where it points now. */
export interface RefreshedTag {
  readonly before: Digest | undefined;
  readonly after: Digest;
}

/**
 * Manifests by tag, which hold while they are fresh. After that the upstream is asked, once for all who wait; where it
 * fails, or takes its time, what is here is served and called stale.
 */
export class Tags {
  readonly #options: TagsOptions;
  readonly #now: () => number;
  readonly #flights = new Map<string, Flight>();
  readonly #getting = new SingleFlight<OriginManifest>();
  readonly #heading = new SingleFlight<OriginManifestHead>();

  constructor(options: TagsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async get(repository: Repository, tag: string, request: ManifestRequest): Promise<ManifestAnswer> {
    const { origin } = request;
    const { pointers, freshness, notFound, backOff, silence, keep } = this.#options;
    if (!keep) return this.#through(repository, tag, request);
    const record = await pointers.get(repository, tag);
    if (record !== undefined && isFresh(record.checkedAt, freshness(repository, tag), this.#now())) {
      try {
        const hit = { record, outcome: 'HIT', upstream: undefined, warning: undefined } as const;
        return await this.#answer(repository, hit, request);
      } catch (error) {
        // Its bytes are neither here nor there any more: the tag has moved since, and is asked for before its time.
        if (!isOriginFailure(error) || error.kind !== 'not-found') throw error;
      }
    }
    const key = keyOf(repository.registry, repository.repository, tag);
    notFound.assertNotMissing(key);
    const trouble = backOff.get(key);
    const headOnly = request.head === true;
    const isBackingOff = trouble !== undefined && backOff.isBackingOff(trouble);
    if (record !== undefined && (isBackingOff || (silence.has(repository.registry) && trouble?.isRefusal !== true))) {
      const reason = trouble?.error.message ?? `${record.upstream} has not answered lately`;
      const stale = await this.#stale(repository, tag, { record, reason });
      if (stale !== undefined) {
        if (!isBackingOff) this.#fly(repository, tag, { origin, record, headOnly });
        return this.#answer(repository, stale, request);
      }
    }
    // Who only wants the head shares the question of who wants the bytes, and the other way round: one at a time.
    const joined = this.#flights.has(key);
    const flight = this.#fly(repository, tag, { origin, record, headOnly });
    const resolution = await abortable(this.#await(repository, tag, { flight, record, trouble }), request.signal);
    // That it is stale matters more than that others asked too.
    const outcome = joined && resolution.outcome !== 'STALE' ? 'JOIN' : resolution.outcome;
    return this.#answer(repository, { ...resolution, outcome }, request);
  }

  /**
   * Asks where a tag points to now, whatever is believed, and fetches the manifest where it is not here.
   *
   * Rejects with what the upstream says where it does not tell.
   */
  async refresh(
    repository: Repository,
    tag: string,
    { origin }: Pick<ManifestRequest, 'origin'>,
  ): Promise<RefreshedTag> {
    const { pointers, manifests, notFound, backOff } = this.#options;
    const key = keyOf(repository.registry, repository.repository, tag);
    const record = await pointers.get(repository, tag);
    notFound.forget(key);
    const flight = this.#fly(repository, tag, { origin, record, headOnly: false });
    const { record: found, outcome } = await flight.resolution;
    if (outcome === 'STALE') throw backOff.get(key)?.error ?? new Error('the upstream did not answer');
    if ((await manifests.local(found.digest)) === undefined)
      await manifests.fetch(repository, found.digest, { origin, isTagged: true });
    return { before: record?.digest, after: found.digest };
  }

  /** The question about a tag that is under way, or a new one. */
  #fly(repository: Repository, tag: string, question: Question): Flight {
    const key = keyOf(repository.registry, repository.repository, tag);
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const { silence, staleAfter = DEFAULT_STALE_AFTER } = this.#options;
    const late = Promise.withResolvers<void>();
    const tell = (): void => {
      silence.begun(repository.registry);
      late.resolve();
    };
    const timer = setTimeout(tell, Math.min(staleAfter, LONGEST_TIMER));
    const resolution = this.#resolve(repository, tag, question).finally(() => {
      this.#flights.delete(key);
      clearTimeout(timer);
    });
    // Whoever asked may have gone with something older when it fails.
    resolution.catch(() => {});
    const flight = { resolution, late: late.promise };
    this.#flights.set(key, flight);
    return flight;
  }

  /** The answer of the upstream; what is here, where that takes too long. */
  async #await(
    repository: Repository,
    tag: string,
    {
      flight,
      record,
      trouble,
    }: { readonly flight: Flight; readonly record: TagRecord | undefined; readonly trouble: Failure | undefined },
  ): Promise<Resolution> {
    // What an upstream has refused is not served again on the chance that it has changed its mind.
    if (record === undefined || trouble?.isRefusal === true) return flight.resolution;
    const first = await Promise.race([flight.resolution, flight.late]);
    if (first !== undefined) return first;
    const { staleAfter = DEFAULT_STALE_AFTER } = this.#options;
    const reason = `${record.upstream} has not answered within ${staleAfter / 1000} s`;
    return (await this.#stale(repository, tag, { record, reason })) ?? flight.resolution;
  }

  /** What is here, as a stale answer; undefined where its bytes are not. */
  async #stale(
    repository: Repository,
    tag: string,
    { record, reason }: { readonly record: TagRecord; readonly reason: string },
  ): Promise<Resolution | undefined> {
    if ((await this.#options.manifests.local(record.digest)) === undefined) return undefined;
    const warning = `${reason}; serving what ${record.upstream} said before`;
    this.#decide(repository, tag, 'STALE', warning);
    return { record, outcome: 'STALE', upstream: undefined, warning };
  }

  /** Asks the upstreams where a tag points to now. */
  async #resolve(repository: Repository, tag: string, question: Question): Promise<Resolution> {
    const { record: known, headOnly } = question;
    const { pointers, manifests, membership, notFound, backOff, silence } = this.#options;
    const key = keyOf(repository.registry, repository.repository, tag);
    const reference = { kind: 'tag', tag } as const;
    let hasMoved = false;
    try {
      const upstreams = await question.origin();
      let head: OriginManifestHead;
      if (known === undefined && !headOnly) {
        const manifest = await upstreams.getManifest(repository, reference);
        await manifests.keep(repository, manifest, true);
        head = manifest;
      } else {
        // A HEAD is free where a GET counts as a pull.
        head = await upstreams.headManifest(repository, reference);
        hasMoved = known !== undefined && head.digest !== known.digest;
        if (hasMoved) {
          // The new bytes come before the new pointer, also for who only wants the head: while they cannot be had, the
          // old image still can, and HEAD and GET agree on it.
          head = await this.#bring(repository, tag, { head, origin: question.origin });
          hasMoved = head.digest !== known?.digest;
        } else {
          await membership.add(repository, [memberOf(head)]);
        }
      }
      const { digest, mediaType, size, upstream, visibility } = head;
      const record = { digest, mediaType, size, upstream, visibility, checkedAt: this.#now() };
      await pointers.put(repository, tag, record);
      backOff.answered(key);
      silence.broken(repository.registry);
      notFound.forget(key);
      const outcome = known !== undefined && !hasMoved ? 'REVALIDATED' : 'MISS';
      const reason = outcome === 'MISS' ? 'the tag is new or has moved' : 'the tag has not moved';
      this.#decide(repository, tag, outcome, reason);
      return { record, outcome, upstream, warning: undefined };
    } catch (error) {
      return this.#failed(repository, tag, { known, hasMoved, error });
    }
  }

  /**
   * Sees to it that what a tag points to is here. Where there is nothing by the digest that its HEAD named, its GET decides:
   * some registries name another one, and the tag may have moved on meanwhile and left nothing behind.
   */
  async #bring(
    repository: Repository,
    tag: string,
    { head, origin }: Pick<ManifestRequest, 'origin'> & { readonly head: OriginManifestHead },
  ): Promise<OriginManifestHead> {
    const { manifests } = this.#options;
    const bytes = await manifests.local(head.digest);
    if (bytes !== undefined) {
      await manifests.note(repository, { ...head, bytes });
      return head;
    }
    try {
      await manifests.fetch(repository, head.digest, { origin, isTagged: true });
      return head;
    } catch (error) {
      if (!isOriginFailure(error) || (error.kind !== 'not-found' && error.kind !== 'invalid')) throw error;
      const manifest = await (await origin()).getManifest(repository, { kind: 'tag', tag });
      await manifests.keep(repository, manifest, true);
      return manifest;
    }
  }

  /** What is here instead of an answer; throws where there is nothing, or it must not be served. */
  async #failed(
    repository: Repository,
    tag: string,
    failure: {
      readonly known: TagRecord | undefined;
      readonly hasMoved: boolean;
      readonly error: unknown;
    },
  ): Promise<Resolution> {
    const { notFound, backOff, silence, staleOnNotFound = false } = this.#options;
    const { known, hasMoved } = failure;
    const error = failure.error instanceof Error ? failure.error : new Error(String(failure.error));
    const kind = isOriginFailure(error) ? error.kind : undefined;
    const key = keyOf(repository.registry, repository.repository, tag);
    if (kind !== undefined && kind !== 'unavailable') silence.broken(repository.registry);
    const isRefusal = !mayBeStale(kind, { hasMoved, staleOnNotFound });
    if (known !== undefined) backOff.failed(key, error, { isRefusal });
    if (kind === 'not-found' && isRefusal) notFound.note(key, error);
    if (known === undefined || isRefusal) throw error;
    const stale = await this.#stale(repository, tag, { record: known, reason: error.message });
    if (stale === undefined) throw error;
    return stale;
  }

  /** What a resolved tag is answered with. */
  async #answer(repository: Repository, resolution: Resolution, request: ManifestRequest): Promise<ManifestAnswer> {
    const { manifests } = this.#options;
    const { record, outcome, upstream, warning } = resolution;
    const { digest, mediaType, size, checkedAt } = record;
    if (request.head === true) {
      return { digest, mediaType, size, bytes: undefined, outcome, upstream, checkedAt, warning };
    }
    const bytes = await manifests.local(digest);
    if (bytes !== undefined) {
      await manifests.noteKept(repository, record, bytes);
      return { digest, mediaType, size, bytes, outcome, upstream, checkedAt, warning };
    }
    const fetching = manifests.fetch(repository, digest, { origin: request.origin, isTagged: true });
    const manifest = await abortable(fetching, request.signal);
    return { ...fromOrigin(manifest, manifest.bytes), checkedAt, warning };
  }

  /** Straight from the upstream, shared by whoever asks at the same time. */
  async #through(repository: Repository, tag: string, request: ManifestRequest): Promise<ManifestAnswer> {
    const { origin } = request;
    const { manifests } = this.#options;
    const reference = { kind: 'tag', tag } as const;
    const key = keyOf(repository.registry, repository.repository, tag);
    if (request.head === true && !this.#getting.has(key)) {
      const heading = this.#heading.run(key, async () => (await origin()).headManifest(repository, reference));
      return { ...fromOrigin(await abortable(heading, request.signal), undefined, this.#now()), outcome: 'PASS' };
    }
    const getting = this.#getting.run(key, async () => {
      const manifest = await (await origin()).getManifest(repository, reference);
      await manifests.note(repository, manifest);
      return manifest;
    });
    const manifest = await abortable(getting, request.signal);
    return { ...fromOrigin(manifest, manifest.bytes, this.#now()), outcome: 'PASS' };
  }

  #decide(repository: Repository, reference: string, outcome: CacheOutcome, reason: string): void {
    const { telemetry } = this.#options;
    if (telemetry.hears('cache.decision')) {
      telemetry.publish('cache.decision', { ...repository, reference, outcome, reason });
    }
  }
}

/**
 * True where an older answer is better than none: for what may be over soon, and for a new
 * manifest that cannot be had although the tag points to it. Whoever is refused has no claim to the old one either.
 */
function mayBeStale(
  kind: FailureKind | undefined,
  { hasMoved, staleOnNotFound }: { readonly hasMoved: boolean; readonly staleOnNotFound: boolean },
): boolean {
  if (kind === 'denied') return false;
  if (hasMoved || kind === 'unavailable' || kind === 'throttled') return true;
  return kind === 'not-found' && staleOnNotFound;
}
