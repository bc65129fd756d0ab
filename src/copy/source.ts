import type { PullThrough } from '../cache/index.ts';
import type { Hosting } from '../hosting/index.ts';
import { TaskError } from '../jobs/index.ts';
import { type BlobReader, inTurns, parseBoundedJsonInPieces } from '../lib/index.ts';
import {
  type Digest,
  isOriginFailure,
  isTag,
  type ListQuery,
  MEDIA_TYPES,
  type OriginSource,
  parseManifest,
  type Reference,
  type Repository,
} from '../oci/index.ts';
import { orAbsent } from './absent.ts';

/** A manifest with its exact bytes. */
export interface CopiedManifest {
  readonly digest: Digest;
  /** Without parameters. */
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** A blob that is read; the caller closes its reader. */
export interface OpenedBlob {
  /** Bytes; undefined where they are not known. */
  readonly size: number | undefined;
  readonly reader: BlobReader;
}

/** The repository that is copied from. Every method rejects with a failure of the upstream, an `OciError`, or the signal's reason. */
export interface CopySource {
  readonly repository: Repository;
  /** Whether its home is this server. */
  readonly isHosted: boolean;
  /** Where a tag points to; undefined: there is none. */
  find(tag: string, signal: AbortSignal): Promise<Digest | undefined>;
  manifest(reference: Reference, signal: AbortSignal): Promise<CopiedManifest>;
  blob(digest: Digest, signal: AbortSignal): Promise<OpenedBlob>;
  /** The manifests whose subject is the digest. */
  referrers(digest: Digest, signal: AbortSignal): Promise<readonly Digest[]>;
  tags(signal: AbortSignal): Promise<readonly string[]>;
}

/** Tags of one repository. */
const MAX_TAGS = 10_000;
/** Pages of one list. */
const MAX_PAGES = 200;
/** Referrers of one manifest. */
const MAX_REFERRERS = 1000;
const TAGS_AT_ONCE = 1000;

/** A mirrored repository, read through the cache as clients read it. */
export class MirroredSource implements CopySource {
  readonly repository: Repository;
  readonly isHosted = false;
  readonly #cache: Pick<PullThrough, 'manifest' | 'blob'>;
  readonly #origin: OriginSource;
  readonly #listed: readonly OriginSource[];
  readonly #isOffline: boolean;

  /**
   * @param options `isOffline`: a tag is taken as it was confirmed last; `listed`: what lists tags, each its own, where one upstream
   * has tags that another lacks; `origin` unless given
   */
  constructor(
    repository: Repository,
    options: {
      readonly cache: Pick<PullThrough, 'manifest' | 'blob'>;
      readonly origin: OriginSource;
      readonly listed?: readonly OriginSource[];
      readonly isOffline: boolean;
    },
  ) {
    this.repository = repository;
    this.#cache = options.cache;
    this.#origin = options.origin;
    this.#listed = options.listed ?? [options.origin];
    this.#isOffline = options.isOffline;
  }

  async find(tag: string, signal: AbortSignal): Promise<Digest | undefined> {
    const request = { origin: this.#origin, signal, head: true };
    return (await orAbsent(this.#cache.manifest(this.repository, { kind: 'tag', tag }, request)))?.digest;
  }

  async manifest(reference: Reference, signal: AbortSignal): Promise<CopiedManifest> {
    const answer = await this.#cache.manifest(this.repository, reference, { origin: this.#origin, signal });
    const { digest, mediaType, bytes, outcome, warning } = answer;
    if (outcome === 'STALE' && !this.#isOffline) {
      throw new TaskError(warning ?? 'the upstream does not answer', { isPassing: true });
    }
    if (bytes === undefined) throw new TypeError('Cannot copy a manifest without its bytes');
    return { digest, mediaType, bytes };
  }

  blob(digest: Digest, signal: AbortSignal): Promise<OpenedBlob> {
    return this.#cache.blob(this.repository, digest, { origin: this.#origin, signal });
  }

  async referrers(digest: Digest, signal: AbortSignal): Promise<readonly Digest[]> {
    const found: Digest[] = [];
    for await (const bytes of this.#pages({ kind: 'referrers', digest }, this.#origin, signal)) {
      const { manifests } = await inTurns(parseManifest(bytes, MEDIA_TYPES.ociIndex));
      found.push(...manifests.map((each) => each.digest));
      if (found.length > MAX_REFERRERS) throw tooMany(`${digest} has more than ${MAX_REFERRERS} referrers`);
    }
    return [...new Set(found)];
  }

  async tags(signal: AbortSignal): Promise<readonly string[]> {
    const found = new Set<string>();
    let denied: unknown;
    for (const origin of this.#listed) {
      try {
        await this.#addTags(found, origin, signal);
      } catch (error) {
        // Registries answer so for a repository that they lack, too.
        if (!isOriginFailure(error) || error.kind !== 'denied') throw error;
        denied = error;
      }
    }
    if (found.size === 0 && denied !== undefined) throw denied;
    return [...found];
  }

  async #addTags(found: Set<string>, origin: OriginSource, signal: AbortSignal): Promise<void> {
    for await (const bytes of this.#pages({ kind: 'tags', limit: TAGS_AT_ONCE }, origin, signal)) {
      const list = (await inTurns(parseBoundedJsonInPieces(bytes))) as { readonly tags?: unknown } | null;
      const tags = Array.isArray(list?.tags) ? list.tags : [];
      for (const tag of tags) if (typeof tag === 'string' && isTag(tag)) found.add(tag);
      requireFew(found.size);
    }
  }

  async *#pages(
    query: Extract<ListQuery, { readonly kind: 'referrers' | 'tags' }>,
    source: OriginSource,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    const origin = await source();
    let page: string | undefined;
    for (let count = 0; count < MAX_PAGES; count += 1) {
      const asked = page === undefined ? query : { ...query, page };
      const list = await orAbsent(origin.list(this.repository, asked, { signal }));
      if (list === undefined) return;
      yield list.bytes;
      if (list.next === undefined || list.next === page) return;
      page = list.next;
    }
    throw tooMany(
      `a list of ${this.repository.registry}/${this.repository.repository} has more than ${MAX_PAGES} pages`,
    );
  }
}

/** A repository whose home is this server. */
export class HostedSource implements CopySource {
  readonly repository: Repository;
  readonly isHosted = true;
  readonly #hosting: Pick<Hosting, 'blobs' | 'manifests' | 'lists'>;

  constructor(repository: Repository, hosting: Pick<Hosting, 'blobs' | 'manifests' | 'lists'>) {
    this.repository = repository;
    this.#hosting = hosting;
  }

  async find(tag: string): Promise<Digest | undefined> {
    const { manifests } = this.#hosting;
    const found = await orAbsent(manifests.read(this.repository, { kind: 'tag', tag }, { head: true }));
    return found?.manifest.digest;
  }

  async manifest(reference: Reference): Promise<CopiedManifest> {
    const { manifest, bytes } = await this.#hosting.manifests.read(this.repository, reference, { head: false });
    if (bytes === undefined) throw new TypeError('Cannot copy a manifest without its bytes');
    return { digest: manifest.digest, mediaType: manifest.mediaType, bytes };
  }

  blob(digest: Digest, signal: AbortSignal): Promise<OpenedBlob> {
    return this.#hosting.blobs.open(this.repository, digest, { range: undefined, signal });
  }

  async referrers(digest: Digest): Promise<readonly Digest[]> {
    const found: Digest[] = [];
    let after: Digest | undefined;
    do {
      const page = await this.#hosting.lists.referrers(this.repository, digest, { after, artifactType: undefined });
      found.push(...page.entries.map((each) => each.digest));
      if (found.length > MAX_REFERRERS) throw tooMany(`${digest} has more than ${MAX_REFERRERS} referrers`);
      after = page.next;
    } while (after !== undefined);
    return found;
  }

  async tags(): Promise<readonly string[]> {
    const { entries, next } = await this.#hosting.lists.tags(this.repository, { after: undefined, limit: MAX_TAGS });
    requireFew(next === undefined ? entries.length : MAX_TAGS + 1);
    return entries;
  }
}

function requireFew(tags: number): void {
  if (tags > MAX_TAGS) throw tooMany(`the repository has more than ${MAX_TAGS} tags; name those to copy`);
}

function tooMany(message: string): TaskError {
  return new TaskError(message, { isPassing: false });
}
