import type { Digest, Repository, Visibility } from '../oci/index.ts';

/**
 * Which digest a tag pointed to, and which digests belong to a repository. Asynchronous, so that it may live in another
 * process later.
 */
export interface NameStore {
  getTag(repository: Repository, tag: string): Promise<TagRecord | undefined>;
  /** Adds or replaces. */
  putTag(repository: Repository, tag: string, record: TagRecord): Promise<void>;
  deleteTag(repository: Repository, tag: string): Promise<boolean>;

  /**
   * The record by which a digest belongs to a repository; undefined: it is not known to.
   *
   * Knowing a digest is not a right to read it: membership is what a blob is served by.
   */
  getMember(repository: Repository, digest: Digest): Promise<MemberRecord | undefined>;
  /** Adds or replaces all of them, or none. */
  putMembers(repository: Repository, members: readonly MemberRecord[]): Promise<void>;
  /** Removes a digest from one repository. */
  deleteMember(repository: Repository, digest: Digest): Promise<boolean>;

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
  /** At most `limit` mirrored blobs, those not read for the longest time first; a blob never read counts from `storedAt`. */
  leastRecentlyUsed(limit: number): Promise<readonly BlobRecord[]>;
  /** What is stored, in all. */
  totals(): Promise<{ readonly blobs: number; readonly bytes: number }>;

  close(): Promise<void>;
}

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

export interface ListBlobsOptions {
  /** The last digest of the page before. @default from the first */
  readonly after?: Digest | undefined;
  readonly limit: number;
}
