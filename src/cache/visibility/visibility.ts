import { abortable, inTurns, keyOf, Lru, parseBoundedJsonInPieces } from '../../lib/index.ts';
import {
  type AnonymousSources,
  type Digest,
  type FailureKind,
  formatReference,
  isManifestType,
  isOriginFailure,
  type Origin,
  type OriginList,
  type OriginManifestHead,
  type OriginSource,
  type Reference,
  type Repository,
} from '../../oci/index.ts';
import type { MetadataStore, PublicRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';
import { type Asked, type Freshness, isFresh, Revalidation } from '../revalidation/index.ts';

interface VisibilitiesOptions {
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  readonly policy: () => { readonly freshness: Freshness };
  /** Grows whenever something is stored that was fetched with a credential. */
  readonly privateAdds: () => number;
  readonly now?: (() => number) | undefined;
}

/** What a request wants of a repository. */
export interface VisibilityQuestion {
  /** Undefined: nothing is public, since an upstream answers only to our certificate. */
  readonly anonymous: AnonymousSources | undefined;
  /** The upstreams as this server asks them. */
  readonly origin: OriginSource;
  /** What the request is for: it is asked for first, and then the tags of the repository. */
  readonly wanted: { readonly manifest: Reference } | { readonly blob: Digest } | 'list';
  readonly signal?: AbortSignal | undefined;
}

type WantedContent = Exclude<VisibilityQuestion['wanted'], 'list'>;

interface Found extends PublicRecord {
  readonly isPublic: boolean;
  /** Whether the database knows it: only what is public, and has been pulled. */
  isStored: boolean;
}

const CANNOT_NOTE = 'Cannot note whether a repository is public';
/** Repositories remembered. */
const REMEMBERED = 10_000;
/** Milliseconds that a repository is public without another check, where its tags are fresh for longer. */
const LONGEST_FRESH = 600_000;
/** Milliseconds that a repository is refused without another check: it may be created or opened at any time. */
const REFUSED_FOR = 60_000;

/**
 * Decides which repositories are public: those that each upstream shows without a credential of ours. That this server fetched
 * something with a credential says nothing, and a probe that fails makes nothing public.
 *
 * A repository that was public stays so while an upstream does not answer, and for as long as its tags are fresh. Once an
 * upstream refuses it, it is private.
 */
export class RepositoryVisibilities {
  readonly #options: VisibilitiesOptions;
  readonly #now: () => number;
  readonly #known = new Lru<Found>({ maxWeight: REMEMBERED });
  /** What was in doubt, and what the upstream has in a public repository. */
  readonly #own = new Lru<true>({ maxWeight: REMEMBERED });
  /** What was not in doubt, with the state of the database at that time. */
  readonly #sure = new Lru<string>({ maxWeight: REMEMBERED });
  #closed = 0;
  readonly #revalidation: Revalidation<Found>;

  constructor(options: VisibilitiesOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#revalidation = new Revalidation({ now: this.#now });
  }

  /**
   * Whether every client may see a repository, and what is wanted of it.
   *
   * Rejects with an {@link OriginFailure} where that is not known and an upstream cannot say it now, or where the repository is public and
   * does not have what is wanted, and with the signal's reason.
   */
  async isPublic(repository: Repository, question: VisibilityQuestion): Promise<boolean> {
    return (await this.#isRepositoryPublic(repository, question)) && (await this.#isOwn(repository, question));
  }

  async #isRepositoryPublic(
    repository: Repository,
    { anonymous, wanted, signal }: VisibilityQuestion,
  ): Promise<boolean> {
    const [first] = anonymous?.sources ?? [];
    if (anonymous === undefined || first === undefined) return anonymous !== undefined;
    const known = await this.#lastFound(repository, anonymous);
    if (known !== undefined && isFresh(known.checkedAt, this.#freshFor(repository, known), this.#now())) {
      if (known.isPublic && !known.isStored) await this.#store(repository, known);
      return known.isPublic;
    }
    const { registry } = repository;
    // Where tags are not listed, that says nothing to who waits for a manifest.
    const kind = wanted === 'list' ? 'list' : 'content';
    const key = { id: keyOf(registry, repository.repository, kind), hops: first.hops, registry, upstream: registry };
    return abortable(
      this.#revalidation.get(key, {
        ask: () => this.#ask(repository, { anonymous, wanted }),
        stale: known?.isPublic === true ? async () => true : undefined,
        answer: async (found) => found.isPublic,
        signal,
      }),
      signal,
    );
  }

  /** Whether a repository is known to be public, without asking an upstream. */
  async isKnownPublic(repository: Repository, anonymous: AnonymousSources | undefined): Promise<boolean> {
    if (anonymous === undefined) return false;
    return anonymous.sources.length === 0 || (await this.#lastFound(repository, anonymous))?.isPublic === true;
  }

  /** Drops the memory, after something was deleted from the database, or the upstreams were replaced. */
  forget(): void {
    this.#known.clear();
    this.#own.clear();
    this.#sure.clear();
    this.#revalidation.clearFailures();
  }

  /**
   * What is stored may be private although its repository is public now. A manifest can name what its repository does not have,
   * since registries take some layers without a look; and a credential may have been removed since it was used. The upstream
   * then has to say that the repository has it.
   */
  async #isOwn(repository: Repository, question: VisibilityQuestion): Promise<boolean> {
    const { origin, wanted, signal } = question;
    if (wanted === 'list') return true;
    const { registry, repository: path } = repository;
    const key = keyOf(registry, path, nameOf(wanted));
    const state = `${this.#options.privateAdds()} ${this.#closed}`;
    if (this.#sure.get(key) === state || this.#own.get(key) === true) return true;
    const doubtful = await this.#doubtfulIn(repository, { ...question, wanted });
    if (doubtful === undefined) {
      this.#sure.set(key, state);
      return true;
    }
    const { content, isElsewhere } = doubtful;
    const ownKey = keyOf(registry, path, nameOf(content));
    if (this.#own.get(ownKey) === true) return true;
    const here = await origin();
    const asked: Promise<unknown> =
      'manifest' in content ? here.headManifest(repository, content.manifest) : here.headBlob(repository, content.blob);
    let isHere =
      (await abortable(
        decided(asked, () => true),
        signal,
      )) === 'shown';
    if (!isHere && isElsewhere) {
      await abortable(requireShown(repository, { origin: here, content }), signal);
      isHere = true;
    }
    // A tag may lead elsewhere the next time.
    if (isHere && digestIn(content) !== undefined) this.#own.set(ownKey, true);
    return isHere;
  }

  /** What the upstream has to show first, and whether that is because another repository has it; undefined where nothing is in doubt. */
  async #doubtfulIn(
    repository: Repository,
    { anonymous, wanted }: Pick<VisibilityQuestion, 'anonymous'> & { readonly wanted: WantedContent },
  ): Promise<{ readonly content: WantedContent; readonly isElsewhere: boolean } | undefined> {
    const { metadata, telemetry } = this.#options;
    const digest = digestIn(wanted);
    const doubtful = await attempt(
      async () => {
        // With a credential, the repository itself was asked about.
        if (anonymous?.sources.length === 0) {
          const tag = 'manifest' in wanted && wanted.manifest.kind === 'tag' ? wanted.manifest.tag : '';
          const stored =
            digest === undefined
              ? await metadata.getTag(repository, tag)
              : await metadata.getMember(repository, digest);
          if (stored?.visibility === 'private' && (await metadata.getPublic(repository)) === undefined) {
            const isServed =
              'checkedAt' in stored &&
              isFresh(stored.checkedAt, this.#options.policy().freshness(repository, tag), this.#now());
            // The upstream may be another one now, with another manifest under the same tag.
            const served = { manifest: { kind: 'digest', digest: stored.digest } as const };
            return { content: isServed ? served : wanted, isElsewhere: false };
          }
        }
        const isElsewhere = digest !== undefined && (await metadata.isPrivateElsewhere(repository, digest));
        return isElsewhere ? { content: wanted, isElsewhere } : 'none';
      },
      { telemetry, message: 'Cannot read which repositories have a digest' },
    );
    if (doubtful === 'none') return undefined;
    return doubtful ?? { content: wanted, isElsewhere: true };
  }

  async #lastFound(repository: Repository, { upstreams }: AnonymousSources): Promise<Found | undefined> {
    const { metadata, telemetry } = this.#options;
    const key = keyOf(repository.registry, repository.repository);
    const known = this.#known.get(key);
    if (known?.upstreams === upstreams) return known;
    const stored = await attempt(() => metadata.getPublic(repository), {
      telemetry,
      message: 'Cannot read whether a repository is public',
    });
    if (stored?.upstreams !== upstreams) return undefined;
    const found = { ...stored, isPublic: true, isStored: true };
    this.#known.set(key, found);
    return found;
  }

  #freshFor(repository: Repository, { isPublic }: Found): number {
    const freshFor = Math.min(this.#options.policy().freshness(repository, ''), LONGEST_FRESH);
    return isPublic ? freshFor : Math.min(freshFor, REFUSED_FOR);
  }

  async #ask(
    repository: Repository,
    { anonymous, wanted }: Pick<VisibilityQuestion, 'wanted'> & { readonly anonymous: AnonymousSources },
  ): Promise<Asked<Found>> {
    try {
      let shown: Shown = 'shown';
      for (const origin of anonymous.sources) {
        if (shown === 'shown') shown = await this.#askOne(repository, { origin: await origin(), wanted });
      }
      const found = {
        isPublic: shown === 'shown',
        checkedAt: this.#now(),
        upstreams: anonymous.upstreams,
        isStored: false,
      };
      // Where tags are not listed, that says nothing about manifests.
      if (shown !== 'absent' || wanted !== 'list') await this.#note(repository, found);
      return { answer: found };
    } catch (error) {
      return { failure: { error: error instanceof Error ? error : new Error(String(error)), isRefusal: false } };
    }
  }

  /** What the request wants may be missing from a public repository: then the tags decide. */
  async #askOne(repository: Repository, { origin, wanted }: Probe): Promise<Shown> {
    if (wanted !== 'list') {
      const shown =
        'manifest' in wanted
          ? await decided(origin.headManifest(repository, wanted.manifest), isManifest)
          : await this.#askBlob(repository, wanted.blob, origin);
      if (shown !== 'absent') return shown;
    }
    const listed = await decided(origin.list(repository, { kind: 'tags', limit: 1 }), hasTags);
    if (listed === 'shown') return listed;
    // Some registries list no tags to clients without a credential: a client that asks for a missing tag must not close a
    // repository that others pull from.
    const { metadata, telemetry } = this.#options;
    const stored = await attempt(() => metadata.listTags({ repository, limit: 1 }), {
      telemetry,
      message: 'Cannot read the tags of a repository',
    });
    const digest = stored?.[0]?.record.digest;
    if (digest === undefined) return listed;
    return decided(origin.headManifest(repository, { kind: 'digest', digest }), isManifest);
  }

  /** A blob is known by its size alone, which a manifest says. */
  async #askBlob(repository: Repository, digest: Digest, origin: Origin): Promise<Shown> {
    const { metadata, telemetry } = this.#options;
    const member = await attempt(() => metadata.getMember(repository, digest), {
      telemetry,
      message: 'Cannot read the size of a blob',
    });
    const expected = member?.size;
    if (expected === undefined) return 'absent';
    return decided(origin.headBlob(repository, digest), ({ size }) => size === expected);
  }

  async #note(repository: Repository, found: Found): Promise<void> {
    const { metadata, telemetry } = this.#options;
    const key = keyOf(repository.registry, repository.repository);
    const wasPublic = this.#known.get(key)?.isPublic;
    this.#known.set(key, found);
    if (wasPublic !== undefined && wasPublic !== found.isPublic) {
      telemetry.publish('visibility.changed', { ...repository, isPublic: found.isPublic });
    }
    if (found.isPublic) return this.#store(repository, found);
    this.#closed += 1;
    await attempt(() => metadata.deletePublic(repository), { telemetry, message: CANNOT_NOTE });
  }

  /** Writes down that a repository is public; where nothing of it was pulled yet, the next request tries again. */
  async #store(repository: Repository, found: Found): Promise<void> {
    const { metadata, telemetry } = this.#options;
    const { checkedAt, upstreams } = found;
    const stored = attempt(() => metadata.putPublic(repository, { checkedAt, upstreams }), {
      telemetry,
      message: CANNOT_NOTE,
    });
    found.isStored = (await stored) ?? false;
  }
}

/**
 * Rejects with what a client hears of a digest that no repository has, in the same words: a refusal, or other words, would say that a
 * private repository has this one.
 */
async function requireShown(
  repository: Repository,
  { origin, content }: { readonly origin: Origin; readonly content: WantedContent },
): Promise<void> {
  if ('manifest' in content) await origin.getManifest(repository, content.manifest);
  else (await origin.openBlob(repository, content.blob)).body.cancel();
}

interface Probe {
  readonly origin: Origin;
  readonly wanted: VisibilityQuestion['wanted'];
}

function isManifest({ mediaType }: OriginManifestHead): boolean {
  return isManifestType(mediaType);
}

/** What an upstream says to a client without a credential. An upstream may hide what it refuses as absent. */
type Shown = 'shown' | 'denied' | 'absent';

function nameOf(wanted: WantedContent): string {
  return 'blob' in wanted ? wanted.blob : formatReference(wanted.manifest);
}

function digestIn(wanted: WantedContent): Digest | undefined {
  if ('blob' in wanted) return wanted.blob;
  return wanted.manifest.kind === 'digest' ? wanted.manifest.digest : undefined;
}

/**
 * Rejects where the upstream did not decide. A gateway may send a page to log in with status 200, in any form: what came has to
 * be what was asked for.
 */
async function decided<T>(asked: Promise<T>, isIt: (answer: T) => boolean | Promise<boolean>): Promise<Shown> {
  try {
    return (await isIt(await asked)) ? 'shown' : 'absent';
  } catch (error) {
    const shown = isOriginFailure(error) ? DECIDED[error.kind] : undefined;
    if (shown === undefined) throw error;
    return shown;
  }
}

/** An empty list shows nothing: some registries send one for each name. */
async function hasTags({ bytes }: Pick<OriginList, 'bytes'>): Promise<boolean> {
  const list = await inTurns(parseBoundedJsonInPieces(bytes)).catch(() => undefined);
  const tags = typeof list === 'object' && list !== null && 'tags' in list ? list.tags : undefined;
  return Array.isArray(tags) && tags.some((tag) => typeof tag === 'string');
}

/** The failures that are an answer. What is no manifest and no list is one too: a page to log in, mostly. */
const DECIDED: Readonly<Partial<Record<FailureKind, Shown>>> = {
  denied: 'denied',
  'not-found': 'absent',
  invalid: 'absent',
};
