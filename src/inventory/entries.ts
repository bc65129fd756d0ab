import type { Repository } from '../oci/index.ts';

// What an inventory answers, and to whom.

/** Where the content of a repository is at home. */
export type Home = 'mirrored' | 'hosted';

/** Who asks, as far as an answer depends on it. */
export interface InventoryCaller {
  /** True: it sees every repository, and `sees` is not asked. */
  readonly seesAll: boolean;
  readonly sees: (repository: Repository) => boolean | Promise<boolean>;
}

/** The last pull of a repository or a tag. */
export interface LastPull {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The user, or the address of the client. */
  readonly by: string;
}

/** What knows when something was pulled last. */
export interface LastPulls {
  /** One answer for each repository, in their order; undefined where none is known. */
  ofEach(repositories: readonly Repository[]): Promise<readonly (LastPull | undefined)[]>;
  /** Of the tags of a repository. */
  ofTags(repository: Repository): Promise<ReadonlyMap<string, LastPull>>;
}

/** When something was pulled last, where that is known. */
export interface Pulled {
  readonly pulledAt?: number;
  readonly pulledBy?: string;
}

/** A repository that is here. */
export interface RepositoryEntry extends Repository, Pulled {
  readonly home: Home;
  readonly tags: number;
}

/** A tag, or a manifest without one. */
export interface TagEntry extends Pulled {
  /** Empty for a manifest without a tag. */
  readonly tag: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes?: number;
  readonly storedBytes: number;
  readonly complete: boolean;
  readonly platforms: readonly string[];
  readonly storedPlatforms: readonly string[];
  readonly checkedAt?: number;
  readonly freshUntil?: number;
  readonly held?: true;
  readonly pinned?: 'configuration' | 'operator';
}

/** A manifest below an image, or one that refers to it. */
export interface Node {
  readonly digest: string;
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly platform?: string;
  readonly stored: boolean;
  readonly complete: boolean;
  readonly bytes?: number;
  readonly storedBytes: number;
}

/** One image with its parts. */
export interface ImageParts extends Repository {
  readonly image: string;
  readonly home: Home;
  readonly entry: TagEntry;
  readonly children: readonly Node[];
  readonly layers: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly bytes?: number;
    readonly stored: boolean;
  }[];
  readonly referrers: readonly Node[];
  readonly created?: string;
  readonly hold?: {
    readonly digest: string;
    readonly since: number;
    readonly until?: number;
    readonly reason: string;
  };
}
