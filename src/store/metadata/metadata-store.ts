import type { Digest, Repository, Visibility } from '../../oci/index.ts';

/**
 * Which digest a tag pointed to, and which digests belong to a repository. Asynchronous, so that it may live in another
 * process later.
 */
export interface MetadataStore {
  getTag(repository: Repository, tag: string): Promise<TagRecord | undefined>;
  /** Adds or replaces. */
  putTag(repository: Repository, tag: string, record: TagRecord): Promise<void>;
  deleteTag(repository: Repository, tag: string): Promise<boolean>;
  /** At most `limit` tags, in one order that lasts, from behind `after` on. */
  listTags(options: ListTagsOptions): Promise<readonly TagEntry[]>;

  /**
   * The record by which a digest belongs to a repository; undefined: it is not known to.
   *
   * Knowing a digest is not a right to read it: membership is what a blob is served by.
   */
  getMember(repository: Repository, digest: Digest): Promise<MemberRecord | undefined>;
  /** Adds or replaces all of them, or none. A member that is to be kept stays so where a transient one of it is put. */
  putMembers(repository: Repository, members: readonly MemberRecord[]): Promise<void>;
  /** Removes a digest from one repository. */
  deleteMember(repository: Repository, digest: Digest): Promise<boolean>;
  /** Removes digests from one repository: all of them, or none. */
  deleteMembers(repository: Repository, digests: readonly Digest[]): Promise<void>;
  /** At most `limit` members of a repository, in the order of their digests, from behind `after` on. */
  listMembers(repository: Repository, page: Page<Digest>): Promise<readonly MemberRecord[]>;
  /** At most `limit` repositories that have members, in one order that lasts, from behind `after` on. */
  listRepositories(page: Page<Repository>): Promise<readonly Repository[]>;
  /** At most `limit` repositories that a digest belongs to. */
  repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]>;

  /** What was kept of an answer by URL; undefined: nothing. */
  getUrl(key: UrlName): Promise<UrlRecord | undefined>;
  /**
   * Adds or replaces. Its blob goes first, by {@link putBlob}, and takes the record with it when it is deleted; of more than
   * {@link MAX_URLS_PER_BLOB} for one blob, those checked longest ago are forgotten.
   */
  putUrl(key: UrlName, record: UrlRecord): Promise<void>;
  deleteUrl(key: UrlName): Promise<boolean>;
  /** At most `limit` records, in one order that lasts, from behind `after` on. */
  listUrls(options: ListUrlsOptions): Promise<readonly UrlEntry[]>;
  /** At most `limit` names whose answers have the bytes of a blob. */
  urlsOf(digest: Digest, limit: number): Promise<readonly UrlName[]>;

  /**
   * Called after a blob was committed: the last step of publishing. Adds or replaces, except that a hosted blob stays
   * hosted where a mirrored copy of it arrives.
   */
  putBlob(record: BlobRecord): Promise<void>;
  /** What is known of a stored blob; undefined where it is not known to be stored. */
  getBlob(digest: Digest): Promise<BlobRecord | undefined>;
  /** At most `limit` blobs whose digests come after `after`, in the order of their digests. */
  listBlobs(options: ListBlobsOptions): Promise<readonly BlobRecord[]>;
  /** Notes when a blob's content was found right. Says nothing of a blob that is not known. */
  noteVerified(digest: Digest, at: number): Promise<void>;
  /** Called where a blob's file turned out to be missing, wrong or evicted. */
  deleteBlob(digest: Digest): Promise<void>;
  /** Notes when blobs were last read. The caller batches: a read must not cost a write. */
  touchBlobs(reads: readonly { readonly digest: Digest; readonly at: number }[]): Promise<void>;
  /**
   * At most `limit` mirrored blobs, those not read for the longest time first, from behind `after` on; a blob never read
   * counts from `storedAt`.
   */
  leastRecentlyUsed(limit: number, after?: LastRead): Promise<readonly ReadBlobRecord[]>;
  /** What is stored, in all. */
  totals(): Promise<{ readonly blobs: number; readonly bytes: number }>;

  close(): Promise<void>;
}

/** A part of a long list. */
export interface Page<T> {
  /** The last of the page before. @default from the first */
  readonly after?: T | undefined;
  readonly limit: number;
}

export interface ListTagsOptions extends Page<TagName> {
  /** Only those of one repository. */
  readonly repository?: Repository | undefined;
}

/** A tag by its whole name. */
export interface TagName {
  readonly repository: Repository;
  readonly tag: string;
}

/** A tag with what it pointed to. */
export interface TagEntry extends TagName {
  readonly record: TagRecord;
}

/** What an answer of a mirrored site is kept under. */
export interface UrlName {
  /** Name of the route. */
  readonly route: string;
  /** The site's URL, with its query. */
  readonly url: string;
}

export interface ListUrlsOptions extends Page<UrlName> {
  /** Only those of one route. */
  readonly route?: string | undefined;
}

/** A name with what was kept of its answer. */
export interface UrlEntry extends UrlName {
  readonly record: UrlRecord;
}

/** What was kept of an answer beside its bytes. Its size in the store is for the caller to bound. */
export interface UrlRecord {
  /** Of the bytes, by us. */
  readonly digest: Digest;
  readonly size: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** When the upstream last vouched for it; milliseconds since the epoch, as every time here. */
  readonly checkedAt: number;
  /** Until then it need not be asked; 0: it is asked each time. */
  readonly freshUntil: number;
}

/** The most names one blob answers to: an empty file may have any number of them. */
export const MAX_URLS_PER_BLOB = 1000;

/** What a tag pointed to when its upstream was last asked. */
export interface TagRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Of the manifest, in bytes. */
  readonly size: number;
  /** When an upstream last said so; milliseconds since the epoch. */
  readonly checkedAt: number;
  readonly upstream: string;
  readonly visibility: Visibility;
}

export interface MemberRecord {
  readonly digest: Digest;
  readonly kind: 'manifest' | 'blob';
  /** For a manifest what the upstream called it, for a blob what its manifest calls it; may be empty. */
  readonly mediaType: string;
  /** As the manifest that names it says; undefined where only an upstream confirmed it. */
  readonly size: number | undefined;
  readonly visibility: Visibility;
  /** True where it is served and not kept: it is of a platform nobody asked to keep. @default false */
  readonly transient?: boolean;
}

export interface BlobRecord {
  readonly digest: Digest;
  readonly size: number;
  /** `mirrored` may be evicted, `hosted` never. */
  readonly kind: 'mirrored' | 'hosted';
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  /** When its content was last found right; undefined: not since it was stored. Milliseconds since the epoch. */
  readonly verifiedAt?: number | undefined;
}

/** When a blob was last read; milliseconds since the epoch. */
export interface LastRead {
  readonly digest: Digest;
  readonly readAt: number;
}

export interface ReadBlobRecord extends BlobRecord, LastRead {}

export type ListBlobsOptions = Page<Digest>;
