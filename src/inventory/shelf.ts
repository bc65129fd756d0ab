import type { Digest, Repository } from '../oci/index.ts';
import type { TagHold } from '../store/index.ts';

/** A manifest that a repository has or knows of. */
export interface Root {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes of the manifest; undefined where they are not known. */
  readonly size: number | undefined;
}

/** A tag, and the manifest that clients get by it. */
export interface ShelfTag extends Root {
  readonly tag: string;
  /** When an upstream last confirmed it, or when it was pushed: milliseconds since the epoch. */
  readonly checkedAt?: number;
  /** Until then no upstream is asked: milliseconds since the epoch. */
  readonly freshUntil?: number;
  readonly hold?: TagHold;
}

/** One page of a list of names or digests. */
export interface Page<T> {
  readonly after?: T | undefined;
  readonly limit: number;
}

/** Where the content of repositories lies: in the cache, or among what is hosted. It never asks an upstream. */
export interface Shelf {
  readonly home: 'mirrored' | 'hosted';
  /** Whether anything is known of a repository. */
  has(repository: Repository): Promise<boolean>;
  tag(repository: Repository, tag: string): Promise<ShelfTag | undefined>;
  /** Byte by byte. A tag that is held and has no record is not among them: see {@link held}. */
  tags(repository: Repository, page: Page<string>): Promise<readonly ShelfTag[]>;
  /** Held tags of a repository that have no record any more. */
  held(repository: Repository): Promise<readonly ShelfTag[]>;
  /** A manifest that belongs to a repository, stored or not. */
  manifest(repository: Repository, digest: Digest): Promise<Root | undefined>;
  /**
   * The stored manifests of a repository after a digest, about `limit` of them. `next`: where the look ended; undefined at the
   * end of the list.
   */
  manifests(
    repository: Repository,
    page: Page<Digest>,
  ): Promise<{ readonly found: readonly Root[]; readonly next: Digest | undefined }>;
  /** Bytes of a stored blob or manifest; undefined where it is not stored. */
  storedSize(repository: Repository, digest: Digest): Promise<number | undefined>;
  /** The bytes of a stored manifest, or of the config of an image; undefined where they cannot be read. */
  read(repository: Repository, digest: Digest, kind: 'manifest' | 'blob'): Promise<Buffer | undefined>;
  /** Manifests whose subject is a digest; undefined where the shelf keeps no list of them. */
  referrers(
    repository: Repository,
    subject: Digest,
    limit: number,
  ): Promise<readonly (Root & { readonly artifactType: string | undefined })[] | undefined>;
}
