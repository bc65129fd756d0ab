import type { Digest, Repository, Visibility } from '../../oci/index.ts';

/**
 * The metadata of the cache: the digest of each tag, the digests of each repository, the stored blobs and the URL records.
 * Asynchronous, so that it may move to another process later.
 */
export interface MetadataStore {
  getTag(repository: Repository, tag: string): Promise<TagRecord | undefined>;
  /**
   * Adds or replaces. Where the digest is another than the last one, the move is recorded with it: both, or neither. Beyond
   * {@link MAX_TAG_MOVES} moves of a tag, the oldest is deleted.
   */
  putTag(repository: Repository, tag: string, record: TagRecord): Promise<void>;
  /** Deletes its moves too, and no hold. */
  deleteTag(repository: Repository, tag: string): Promise<boolean>;
  /** At most `limit` tags after `after`, in a stable order. */
  listTags(options: ListTagsOptions): Promise<readonly TagEntry[]>;

  /** Where a tag pointed, newest first: the first one is where it points now. Empty for a tag without a record. */
  listMoves(repository: Repository, tag: string): Promise<readonly TagMove[]>;

  /** Adds or replaces; false where {@link MAX_HOLDS} other tags are held, and nothing was recorded. */
  putHold(repository: Repository, tag: string, hold: TagHold): Promise<boolean>;
  deleteHold(repository: Repository, tag: string): Promise<boolean>;
  /** Every hold, in a stable order; also those whose end has passed. */
  listHolds(): Promise<readonly HoldEntry[]>;

  /** Adds or replaces; false where {@link MAX_PINS} other tags are pinned, and nothing was recorded. */
  putPin(repository: Repository, tag: string, pin: TagPin): Promise<boolean>;
  deletePin(repository: Repository, tag: string): Promise<boolean>;
  /** Every pin, in a stable order; also those of tags without a record. */
  listPins(): Promise<readonly PinEntry[]>;

  /**
   * The record that a digest belongs to a repository; undefined where there is none.
   *
   * A client that knows a digest may not read it for that reason: a blob is served only through a repository it belongs to.
   */
  getMember(repository: Repository, digest: Digest): Promise<MemberRecord | undefined>;
  /**
   * Adds or replaces. Many are added in pieces, between which the event loop turns: a crash may leave only the first of them.
   * A transient record does not make a kept one transient.
   */
  putMembers(repository: Repository, members: readonly MemberRecord[]): Promise<void>;
  /** Removes a digest from one repository. */
  deleteMember(repository: Repository, digest: Digest): Promise<boolean>;
  /** Removes digests from one repository: all of them, or none. */
  deleteMembers(repository: Repository, digests: readonly Digest[]): Promise<void>;
  /** At most `limit` members of a repository after `after`, in the order of their digests. */
  listMembers(repository: Repository, page: Page<Digest>): Promise<readonly MemberRecord[]>;
  /** At most `limit` repositories with members after `after`, in a stable order. */
  listRepositories(page: Page<Repository>): Promise<readonly Repository[]>;
  /** At most `limit` repositories with members whose names hold words. The event loop turns in between. */
  searchRepositories(search: RepositorySearch): Promise<FoundRepositories>;
  /** The number of tags of each repository, in their order, counted up to `most`. The event loop turns in between. */
  countTags(repositories: readonly Repository[], most: number): Promise<readonly number[]>;
  /** At most `limit` repositories that a digest belongs to. */
  repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]>;

  /** The record that a repository is public; undefined where that is not known. */
  getPublic(repository: Repository): Promise<PublicRecord | undefined>;
  /**
   * Records that a repository is public; false where it has no members yet, and nothing was recorded. The record is deleted
   * with the last of them, if not before: a client that asks for many repositories and pulls none adds no rows.
   */
  putPublic(repository: Repository, record: PublicRecord): Promise<boolean>;
  deletePublic(repository: Repository): Promise<boolean>;
  /** Whether a digest is private in another repository, which is not known to be public. */
  isPrivateElsewhere(repository: Repository, digest: Digest): Promise<boolean>;

  /** The record of a cached response by URL; undefined where there is none. */
  getUrl(key: UrlName): Promise<UrlRecord | undefined>;
  /**
   * Adds or replaces. The caller puts its blob first, by {@link putBlob}; deleting the blob deletes the record. Beyond
   * {@link MAX_URLS_PER_BLOB} records of one blob, those checked longest ago are deleted.
   */
  putUrl(key: UrlName, record: UrlRecord): Promise<void>;
  deleteUrl(key: UrlName): Promise<boolean>;
  /** At most `limit` records after `after`, in a stable order. */
  listUrls(options: ListUrlsOptions): Promise<readonly UrlEntry[]>;
  /** At most `limit` URLs whose responses have a blob as their body. */
  urlsOf(digest: Digest, limit: number): Promise<readonly UrlName[]>;

  /**
   * The last step of publishing, after the blob was committed. Adds or replaces, except that a hosted blob stays hosted when a
   * mirrored copy of it arrives.
   */
  putBlob(record: BlobRecord): Promise<void>;
  /** The record of a stored blob; undefined where there is none. */
  getBlob(digest: Digest): Promise<BlobRecord | undefined>;
  /** At most `limit` blobs after `after`, in the order of their digests. */
  listBlobs(page: Page<Digest>): Promise<readonly BlobRecord[]>;
  /** Records when a blob's content was last verified. Does nothing for a blob without a record. */
  noteVerified(digest: Digest, at: number): Promise<void>;
  /** Deletes a blob's record, when its file is missing, corrupt or evicted. */
  deleteBlob(digest: Digest): Promise<void>;
  /** Records when blobs were last read. The caller batches: a read must not cost a write. */
  touchBlobs(reads: readonly { readonly digest: Digest; readonly at: number }[]): Promise<void>;
  /**
   * At most `limit` mirrored blobs after `after`, least recently read first; a blob never read counts as read at `storedAt`.
   */
  leastRecentlyUsed(limit: number, after?: LastRead): Promise<readonly ReadBlobRecord[]>;
  /** At most `limit` members of all repositories after `after`, in a stable order. */
  listNoted(page: Page<NotedMember>): Promise<readonly NotedMember[]>;
  /** What the disk holds besides the bytes of the blobs. */
  footprint(): Promise<Footprint>;
  /**
   * From now on, adds no row of a tag, a move, a member or a URL while such rows take so many bytes; rows that exist are still
   * replaced. The record is then lost, and costs a question to the upstream. @default no limit
   */
  limitRows(bytes: number): Promise<void>;
  /** Gives the space of deleted rows back to the disk, in pieces between which the event loop turns. */
  giveBack(): Promise<void>;
  /** Number and size of all blobs. */
  totals(): Promise<{ readonly blobs: number; readonly bytes: number }>;

  close(): Promise<void>;
}

/** A member as far as it decides whether its row is worth its place. */
export interface NotedMember {
  readonly repository: Repository;
  readonly digest: Digest;
  /** When it was last put, to the second; milliseconds since the epoch. */
  readonly notedAt: number;
  /** True where the blob has a record. */
  readonly isStored: boolean;
}

/** Bytes of the disk. */
export interface Footprint {
  /** The rest of the last block of each blob's file; the files of the database, of its log, its backup and the observed requests. */
  readonly overhead: number;
  /** About what the rows of tags, their moves, members and URLs take. */
  readonly rowBytes: number;
}

/** One page of a long list. */
export interface Page<T> {
  /** The last entry of the page before. @default the first page */
  readonly after?: T | undefined;
  readonly limit: number;
}

/** A search among repositories by what their names hold. */
export interface RepositorySearch extends Page<Repository> {
  /** Each must be in `registry/repository`, byte by byte; those beyond the first {@link MAX_WORDS} are ignored. @default [] */
  readonly words?: readonly string[] | undefined;
  /** Only of this registry. */
  readonly registry?: string | undefined;
  /** Repositories that are looked at, about. @default 200_000 */
  readonly most?: number | undefined;
}

/** One page of a search. */
export interface FoundRepositories {
  /** By registry, then by name, byte by byte. */
  readonly repositories: readonly Repository[];
  /**
   * The last repository that was looked at, found or not: the next page begins after it. Undefined where no repository
   * follows that could match.
   */
  readonly next: Repository | undefined;
}

/** Words of one search. */
export const MAX_WORDS = 8;

export interface ListTagsOptions extends Page<TagName> {
  /** Only the tags of one repository. */
  readonly repository?: Repository | undefined;
}

interface TagName {
  readonly repository: Repository;
  readonly tag: string;
}

/** A tag with its record. */
export interface TagEntry extends TagName {
  readonly record: TagRecord;
}

/** The key of a cached response of a mirrored site. */
export interface UrlName {
  /** Name of the route. */
  readonly route: string;
  /** The site's URL, with its query. */
  readonly url: string;
}

export interface ListUrlsOptions extends Page<UrlName> {
  /** Only the records of one route. */
  readonly route?: string | undefined;
}

/** A URL with its record. */
export interface UrlEntry extends UrlName {
  readonly record: UrlRecord;
}

/** A cached response without its body. The caller bounds its size. */
export interface UrlRecord {
  /** Of the body; computed here. */
  readonly digest: Digest;
  readonly size: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** When the upstream last confirmed it; milliseconds since the epoch, as every time here. */
  readonly checkedAt: number;
  /** Until then it is served without revalidation; 0: it is revalidated each time. */
  readonly freshUntil: number;
}

/** That upstreams showed a repository to a client without a credential. */
export interface PublicRecord {
  /** When they did; milliseconds since the epoch. */
  readonly checkedAt: number;
  /** Their URLs: what they said holds for no others. */
  readonly upstreams: string;
}

/** The most URLs of one blob: any number of URLs may lead to an empty file. */
export const MAX_URLS_PER_BLOB = 1000;

/** The manifest a tag pointed to when an upstream last reported it. */
export interface TagRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Of the manifest, in bytes. */
  readonly size: number;
  /** When an upstream last reported it; milliseconds since the epoch. */
  readonly checkedAt: number;
  readonly upstream: string;
  readonly visibility: Visibility;
}

/** One place where a tag pointed. */
export interface TagMove extends Omit<TagRecord, 'checkedAt'> {
  /** When this server first saw the tag point there; milliseconds since the epoch. */
  readonly seenAt: number;
}

/** A tag that is kept at a digest, whatever its upstream says. */
export interface TagHold extends Omit<TagRecord, 'checkedAt'> {
  /** When it was held; milliseconds since the epoch. */
  readonly heldAt: number;
  /** When it ends by itself, milliseconds since the epoch; undefined: when it is released. */
  readonly until: number | undefined;
  /** Why; may be empty. */
  readonly reason: string;
}

/** A held tag. */
export interface HoldEntry extends TagName {
  readonly hold: TagHold;
}

/** A tag whose image an operator wants kept: it is not evicted. */
export interface TagPin {
  /** Milliseconds since the epoch. */
  readonly pinnedAt: number;
}

/** A pinned tag. */
export interface PinEntry extends TagName {
  readonly pin: TagPin;
}

/** The most moves that are kept of a tag: of one that moves each night, those of three months. */
export const MAX_TAG_MOVES = 100;

/** The most tags held at once: every one is looked up in memory, by each request for a tag. */
export const MAX_HOLDS = 1000;

/** The most tags that operators pin: each is a tree of manifests that every eviction walks. More are a pattern of `cache.pin`. */
export const MAX_PINS = 1000;

export interface MemberRecord {
  readonly digest: Digest;
  readonly kind: 'manifest' | 'blob';
  /** A manifest's from its upstream, a blob's from its manifest; may be empty. */
  readonly mediaType: string;
  /** From the manifest that lists it; undefined where only an upstream confirmed the digest. */
  readonly size: number | undefined;
  readonly visibility: Visibility;
  /** True where it is served but not kept, since its platform is not among those to keep. @default false */
  readonly transient?: boolean;
}

export interface BlobRecord {
  readonly digest: Digest;
  readonly size: number;
  /** `mirrored` may be evicted, `hosted` never. */
  readonly kind: 'mirrored' | 'hosted';
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  /** When its content was last verified; undefined: not since it was stored. Milliseconds since the epoch. */
  readonly verifiedAt?: number | undefined;
}

/** When a blob was last read; milliseconds since the epoch. */
export interface LastRead {
  readonly digest: Digest;
  readonly readAt: number;
}

export interface ReadBlobRecord extends BlobRecord, LastRead {}
