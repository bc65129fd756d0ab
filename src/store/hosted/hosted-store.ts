import type { Digest, Repository } from '../../oci/index.ts';
import type { FoundRepositories, Page, RepositorySearch } from '../metadata/index.ts';

/**
 * The records of hosted repositories: which blobs and manifests each has, where its tags point and pointed. Nothing else knows them, so
 * each change is a whole, and is on the disk when its promise resolves; when it rejects, nothing has changed.
 *
 * The bytes are files of the blob store of hosted content. The caller commits a file before its record, and deletes it only where
 * {@link HostedStore.isReferenced} says no: never the other way round.
 *
 * All times are milliseconds since 1970.
 */
export interface HostedStore {
  /** Whether anything was ever pushed to a repository: then its empty lists are lists, and not 404. */
  hasRepository(repository: Repository): Promise<boolean>;
  /** At most `limit` repositories after `after`, in the order of registry and then name, byte by byte; emptied ones too. */
  listRepositories(page: Page<Repository>): Promise<readonly Repository[]>;
  /** At most `limit` repositories whose names hold words; emptied ones too. The event loop turns in between. */
  searchRepositories(search: RepositorySearch): Promise<FoundRepositories>;
  /** The number of tags of each repository, in their order, counted up to `most`. The event loop turns in between. */
  countTags(repositories: readonly Repository[], most: number): Promise<readonly number[]>;
  /** Content of a repository, by what its manifests and blobs say: each digest once. */
  usage(repository: Repository): Promise<HostedUsage>;
  /** Each digest once, whatever the number of its repositories. */
  totals(): Promise<HostedUsage & { readonly repositories: number }>;

  /**
   * Adds a blob to a repository, or confirms it: it counts as used at `at`. Its file is committed.
   *
   * @param quota the most bytes that the repository may have afterwards. @default no limit
   */
  putBlob(
    repository: Repository,
    blob: HostedBlob,
    how: { readonly at: number; readonly quota?: number | undefined },
  ): Promise<'stored' | 'over quota'>;
  /** A blob of a repository; undefined where it has none. It does not count as a use. */
  getBlob(repository: Repository, digest: Digest): Promise<HostedBlob | undefined>;
  /**
   * The same, and it counts as used at `at`: a client that was told that a blob exists does not send it again, so the collection must
   * leave it alone for a while. Costs a write at most once an hour for each blob.
   */
  useBlob(repository: Repository, digest: Digest, at: number): Promise<HostedBlob | undefined>;
  /**
   * Adds a blob of another repository to this one, in one step with the look whether it is there.
   *
   * @param from undefined: any of the repositories that `mayRead` allows
   */
  mountBlob(
    repository: Repository,
    digest: Digest,
    how: {
      readonly from: Repository | ((candidate: Repository) => boolean);
      readonly at: number;
      readonly quota?: number | undefined;
    },
  ): Promise<HostedBlob | 'over quota' | undefined>;
  /** Removes a blob from a repository. `in use`: a manifest of the repository names it, and nothing has changed. */
  deleteBlob(repository: Repository, digest: Digest): Promise<'deleted' | 'in use' | undefined>;

  /**
   * Stores a manifest, with all that follows from it, or nothing of it: it is there, its references are, and its tags have moved.
   * The file of its bytes is committed. The same manifest again is no error, and moves the tags; it keeps the time of its first push, and
   * with another media type it is what it was pushed as last.
   *
   * What is refused for several reasons is refused for the first of `missing`, `over quota`, `immutable`, `conflict`, over all tags.
   */
  putManifest(repository: Repository, manifest: NewManifest, how: PutManifestOptions): Promise<PutManifestOutcome>;
  getManifest(repository: Repository, digest: Digest): Promise<HostedManifest | undefined>;
  /** The same, and it counts as used at `at`, as {@link useBlob}. */
  useManifest(repository: Repository, digest: Digest, at: number): Promise<HostedManifest | undefined>;
  /**
   * Deletes a manifest with the tags that point to it; their moves stay, and the deletion is one. Nothing has changed where it is `needed`,
   * as an index of the repository names it, or `immutable`, as one of the tags is.
   */
  deleteManifest(
    repository: Repository,
    digest: Digest,
    how: ChangeOptions & { readonly immutable: (tag: string) => boolean },
  ): Promise<DeletedManifest | undefined>;
  /** Manifests whose subject is `subject`, in the order of their digests, whether the subject is there or not. */
  listReferrers(
    repository: Repository,
    subject: Digest,
    page: Page<Digest> & { readonly artifactType?: string | undefined },
  ): Promise<readonly HostedManifest[]>;

  getTag(repository: Repository, tag: string): Promise<HostedTag | undefined>;
  /** At most `limit` tags after `after`, byte by byte. */
  listTags(repository: Repository, page: Page<string>): Promise<readonly HostedTag[]>;
  /** Points a tag to a manifest of the repository (a rollback). */
  moveTag(repository: Repository, move: TagChange, how: ChangeOptions): Promise<PutManifestOutcome>;
  /** Deletes a tag and not its manifest; its moves stay, and the deletion is one. */
  deleteTag(
    repository: Repository,
    tag: string,
    how: ChangeOptions & { readonly expected?: Digest | undefined },
  ): Promise<HostedTag | 'conflict' | undefined>;
  /** Where a tag pointed, newest first, at most {@link MAX_HOSTED_MOVES}; empty where it was never there. */
  listTagMoves(repository: Repository, tag: string): Promise<readonly HostedMove[]>;
  /** At most `limit` names after `after` of tags that are there or were. */
  listTagNames(repository: Repository, page: Page<string>): Promise<readonly string[]>;

  /** Whether any repository has the digest, as a blob or as a manifest: then its file stays. */
  isReferenced(digest: Digest): Promise<boolean>;
  /** The repositories that have a digest, at most `limit`. */
  repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]>;
  /** At most `limit` blobs of a repository after `after`, in the order of their digests. It does not count as a use. */
  listBlobs(repository: Repository, page: Page<Digest>): Promise<readonly HostedBlob[]>;
  /** The same of its manifests, with and without tags. */
  listManifests(repository: Repository, page: Page<Digest>): Promise<readonly HostedManifest[]>;
  /**
   * Removes what nothing names, in one step with the look: blobs that no manifest of their repository names, used before
   * `unusedSince`; and, where `untaggedSince` says so for a repository, manifests without a tag, that no index names, whose subject is not
   * there, used before that. A manifest counts as used when a tag leaves it. At most `limit` records, so that a caller can pause in
   * between.
   */
  collect(options: CollectHostedOptions): Promise<CollectedRecords>;
  /** At most `limit` digests after `after` that any repository has, with their sizes, in order. */
  listDigests(page: Page<Digest>): Promise<readonly HostedBlob[]>;

  /** Writes a consistent copy of the records to a new file while changes go on. */
  backUp(file: string): Promise<void>;
  close(): Promise<void>;
}

/** The most moves that are kept of a tag. */
export const MAX_HOSTED_MOVES = 1000;

export interface HostedUsage {
  /** Blobs and manifests. */
  readonly digests: number;
  readonly bytes: number;
}

export interface HostedBlob {
  readonly digest: Digest;
  readonly size: number;
}

export interface HostedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly pushedAt: number;
  readonly subject: Digest | undefined;
  /** As the referrers list gives it: `artifactType`, or the media type of the config; undefined where there is neither. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** A manifest that is pushed, and what it names. */
export interface NewManifest extends Omit<HostedManifest, 'pushedAt'> {
  /** Each digest once. */
  readonly references: readonly { readonly digest: Digest; readonly kind: 'blob' | 'manifest' }[];
}

/** Where a tag is to point; `expected` is where it has to point before, `null`: it must not exist. */
export interface TagChange {
  readonly tag: string;
  readonly digest: Digest;
  /** @default wherever it points */
  readonly expected?: Digest | null | undefined;
  /** True: it may be created, and never moved. @default false */
  readonly immutable?: boolean;
}

/** Who changed it, and when. */
export interface ChangeOptions {
  readonly at: number;
  /** The name of the principal. */
  readonly by: string;
}

export interface PutManifestOptions extends ChangeOptions {
  readonly tags: readonly Omit<TagChange, 'digest'>[];
  /** Which kinds of references may be missing. The subject may always be. @default none */
  readonly sparse?: readonly ('blob' | 'manifest')[] | undefined;
  readonly quota?: number | undefined;
}

export type PutManifestOutcome =
  | { readonly outcome: 'stored'; readonly isNew: boolean; readonly moved: readonly MovedTag[] }
  | { readonly outcome: 'missing'; readonly references: readonly Digest[] }
  | { readonly outcome: 'conflict'; readonly tag: string; readonly digest: Digest | undefined }
  | { readonly outcome: 'immutable'; readonly tag: string; readonly digest: Digest }
  | { readonly outcome: 'over quota' };

/** A tag that points elsewhere than before. */
export interface MovedTag {
  readonly tag: string;
  /** Undefined where it is new. */
  readonly from: Digest | undefined;
}

export type DeletedManifest =
  | { readonly outcome: 'deleted'; readonly manifest: HostedManifest; readonly tags: readonly string[] }
  | { readonly outcome: 'needed'; readonly by: Digest }
  | { readonly outcome: 'immutable'; readonly tag: string };

export interface HostedTag {
  readonly tag: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly movedAt: number;
}

export interface HostedMove {
  /** Undefined: the tag was deleted. */
  readonly digest: Digest | undefined;
  readonly at: number;
  readonly by: string;
}

export interface CollectHostedOptions {
  readonly unusedSince: number;
  /** Undefined for a repository whose untagged manifests stay. @default all of them stay */
  readonly untaggedSince?: ((repository: Repository) => number | undefined) | undefined;
  readonly limit: number;
}

export interface CollectedRecords {
  /** Records that were removed; fewer than the limit: there are no more. */
  readonly removed: readonly { readonly repository: Repository; readonly digest: Digest; readonly size: number }[];
  /** The digests among them that no repository has any more: their files may go, once {@link HostedStore.isReferenced} agrees. */
  readonly unreferenced: readonly Digest[];
}
