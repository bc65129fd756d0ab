import {
  type Digest,
  type DigestAlgorithm,
  isOriginFailure,
  OciError,
  type OriginManifest,
  type Repository,
  type Visibility,
} from '../../oci/index.ts';
import type { BlobStore, MemberRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { Capacity } from '../capacity.ts';
import type { Verification } from '../integrity/index.ts';
import type { RepositoryBlobs } from '../metadata/index.ts';
import type { Manifests } from './manifests.ts';
import { PassingBlob } from './passing-blob.ts';
import type { Tags } from './tags.ts';

interface PushedOptions {
  readonly store: BlobStore;
  readonly repositoryBlobs: RepositoryBlobs;
  readonly verification: Verification;
  readonly telemetry: Telemetry;
  readonly capacity: Capacity;
  readonly policy: () => { readonly keep: boolean; readonly keepsManifests: boolean };
  readonly manifests: Manifests;
  readonly tags: Tags;
}

/** A blob that an upstream has taken. */
export interface PushedBlob {
  readonly digest: Digest;
  readonly visibility: Visibility;
  /** Its bytes, where they have passed this server. */
  readonly passing?: PassingBlob | undefined;
}

/**
 * What was pushed through this server to an upstream, kept as if it had been pulled: the first pull of it is a hit. A failure here
 * costs that pull, and never the push.
 */
export class Pushed {
  readonly #options: PushedOptions;
  readonly #passing = new Set<PassingBlob>();

  constructor(options: PushedOptions) {
    this.#options = options;
  }

  /** Starts to keep a blob that passes; undefined where nothing is kept now. The caller commits or drops it. */
  begin(algorithm: DigestAlgorithm | undefined): PassingBlob | undefined {
    const { store, capacity, policy, verification } = this.#options;
    if (!policy().keep || !capacity.mayKeep()) return undefined;
    const publish: ConstructorParameters<typeof PassingBlob>[0]['publish'] = async (file, content) => {
      // What is stored already was hashed too, and may have readers.
      if ((await verification.size(content.digest, content.size)) !== undefined) return;
      await verification.commit(file, content);
    };
    const blob = new PassingBlob({ store, capacity, publish, onOver: (each) => this.#passing.delete(each) }, algorithm);
    this.#passing.add(blob);
    return blob;
  }

  /** Records that a repository has a blob, by the word of its upstream, and keeps the bytes that have passed. */
  async blob(repository: Repository, { digest, visibility, passing }: PushedBlob): Promise<void> {
    const { repositoryBlobs } = this.#options;
    const size = await passing?.commit(digest);
    const member: MemberRecord = { digest, kind: 'blob', mediaType: '', size, visibility };
    const known = await repositoryBlobs.get(repository, digest);
    if (known === undefined) await repositoryBlobs.add(repository, [member]);
  }

  /**
   * Keeps a manifest that its upstream has taken, and where the tags point to from now on.
   *
   * @returns for each tag where it pointed before, as far as this server knows
   */
  async manifest(
    repository: Repository,
    manifest: OriginManifest,
    tags: readonly string[],
  ): Promise<ReadonlyMap<string, Digest | undefined>> {
    const { manifests, telemetry, policy } = this.#options;
    const before = new Map<string, Digest | undefined>();
    let isKept = false;
    try {
      await manifests.pushed(repository, manifest, tags.length > 0);
      isKept = policy().keepsManifests;
    } catch (error) {
      // What cannot be parsed cannot be served from here.
      if (!(error instanceof OciError) && !isOriginFailure(error)) throw error;
      telemetry.publish('warning', { message: `Cannot keep the pushed manifest ${manifest.digest}`, error });
    }
    for (const tag of tags)
      before.set(tag, await this.#options.tags.pushed(repository, tag, isKept ? manifest : undefined));
    return before;
  }

  /** Gives up every blob that passes. */
  async close(): Promise<void> {
    await Promise.all([...this.#passing].map((each) => each.drop()));
  }
}
