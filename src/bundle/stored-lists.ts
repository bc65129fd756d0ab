import { inTurns } from '../lib/index.ts';
import { type Digest, type ListQuery, MEDIA_TYPES, type Repository, readManifest } from '../oci/index.ts';
import type { BlobSource, MetadataStore } from '../store/index.ts';
import { Contents } from './contents.ts';

/** A list as a registry answers it. */
export interface StoredList {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** The query of the next page. */
  readonly next: string | undefined;
  readonly filtersApplied: string | undefined;
}

interface StoredListsOptions {
  readonly metadata: MetadataStore;
  /** The blobs of the cache. */
  readonly blobs: BlobSource;
  /** Milliseconds since 1970. @default the clock */
  readonly now?: () => number;
}

/** An entry of a list of referrers (distribution-spec, "Listing Referrers"). */
interface ReferrerDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly artifactType: string | undefined;
  readonly annotations?: object;
}

const PAGE = 1000;
/** Milliseconds for which it is remembered what refers to what: finding it reads every manifest of a repository. */
const REMEMBERED_FOR = 30_000;

/** Tags and referrers of mirrored repositories, as far as they are stored: where no upstream is asked, nothing else can say. */
export class StoredLists {
  readonly #options: StoredListsOptions;
  readonly #now: () => number;
  readonly #contents: Contents;
  #forgetAt = 0;

  constructor(options: StoredListsOptions) {
    const { now = Date.now } = options;
    this.#options = options;
    this.#now = now;
    this.#contents = new Contents({ ...options, isHosted: () => false, now });
  }

  /** Undefined where nothing is known of the repository, and for lists that are not made. */
  async list(repository: Repository, query: ListQuery): Promise<StoredList | undefined> {
    const { metadata } = this.#options;
    if (query.kind === 'catalog' || (await metadata.listMembers(repository, { limit: 1 })).length === 0)
      return undefined;
    return query.kind === 'tags' ? await this.#tags(repository, query) : await this.#referrers(repository, query);
  }

  async #tags(
    repository: Repository,
    { limit = PAGE, last }: ListQuery & { readonly kind: 'tags' },
  ): Promise<StoredList> {
    const count = Math.min(limit, PAGE);
    const after = last === undefined ? undefined : { repository, tag: last };
    const entries = await this.#options.metadata.listTags({ repository, after, limit: count });
    const tags = entries.map(({ tag }) => tag);
    const isFull = tags.length === count;
    return {
      bytes: Buffer.from(JSON.stringify({ name: repository.repository, tags })),
      mediaType: 'application/json',
      next: isFull ? new URLSearchParams({ n: String(count), last: tags.at(-1) ?? '' }).toString() : undefined,
      filtersApplied: undefined,
    };
  }

  async #referrers(
    repository: Repository,
    { digest, artifactType }: ListQuery & { readonly kind: 'referrers' },
  ): Promise<StoredList> {
    if (this.#now() >= this.#forgetAt) {
      this.#contents.forget();
      this.#forgetAt = this.#now() + REMEMBERED_FOR;
    }
    const found = new Map<Digest, ReferrerDescriptor>();
    for (const { digest: each, mediaType, tag } of await this.#contents.attachedTo(repository, digest)) {
      // What a tag leads to need not refer to it: cosign's signatures do not, and an index only lists what does.
      const described = tag === undefined ? await this.#describe(repository, { digest: each, mediaType }) : undefined;
      if (described !== undefined) found.set(each, described);
    }
    const all = [...found.values()];
    const manifests = artifactType === undefined ? all : all.filter((each) => each.artifactType === artifactType);
    return {
      bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests })),
      mediaType: MEDIA_TYPES.ociIndex,
      next: undefined,
      filtersApplied: artifactType === undefined ? undefined : 'artifactType',
    };
  }

  /** Undefined where it cannot be read. */
  async #describe(
    repository: Repository,
    { digest, mediaType }: { readonly digest: Digest; readonly mediaType: string },
  ): Promise<ReferrerDescriptor | undefined> {
    const bytes = await this.#contents.manifest(repository, digest);
    if (bytes === undefined) return undefined;
    const { json, blobs, kind } = await inTurns(readManifest(bytes, mediaType));
    const own = json['artifactType'];
    const artifactType =
      typeof own === 'string' && own !== '' ? own : kind === 'image' ? blobs[0]?.mediaType : undefined;
    const annotations = json['annotations'];
    return {
      mediaType,
      digest,
      size: bytes.length,
      artifactType,
      ...(typeof annotations === 'object' && annotations !== null ? { annotations } : {}),
    };
  }
}
