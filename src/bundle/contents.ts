import { setImmediate as nextTurn } from 'node:timers/promises';
import { inTurns } from '../lib/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  isIndexType,
  MAX_MANIFEST_BYTES,
  type Reference,
  type Repository,
  readManifest,
  type Visibility,
} from '../oci/index.ts';
import type { BlobSource, HostedStore, MetadataStore } from '../store/index.ts';

/** A manifest that a repository has. */
export interface Root {
  readonly digest: Digest;
  readonly mediaType: string;
  /** When an upstream last confirmed it, or when it was pushed; milliseconds since 1970. */
  readonly confirmedAt?: number | undefined;
  readonly visibility: Visibility;
}

/** A manifest that belongs to an image. */
export interface Attached extends Root {
  /** Undefined where its subject alone leads to it. */
  readonly tag?: string | undefined;
}

export interface ContentsOptions {
  readonly metadata: MetadataStore;
  /** The blobs of the cache. */
  readonly blobs: BlobSource;
  /** What was pushed here; undefined where nothing is hosted. */
  readonly hosted?: { readonly records: HostedStore; readonly blobs: BlobSource } | undefined;
  readonly isHosted: (repository: Repository) => boolean;
  readonly now: () => number;
}

/** Members of a repository that are looked at for those that refer to an image, and manifests that are read for it. */
const MAX_MEMBERS = 20_000;
const MAX_CANDIDATES = 2000;
const PAGE = 500;
/** Manifests that belong to one image. */
const MAX_ATTACHED = 200;

/** What is stored here, in the cache or hosted. It asks no upstream. */
export class Contents {
  readonly #options: ContentsOptions;
  /** The subjects in a mirrored repository, found once. */
  readonly #subjects = new Map<string, ReadonlyMap<Digest, readonly Attached[]>>();

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  /** Looks again at what refers to what: something may have been fetched since. */
  forget(): void {
    this.#subjects.clear();
  }

  isHosted(repository: Repository): boolean {
    return this.#options.isHosted(repository);
  }

  /** The manifest that clients get by a reference; undefined where nothing is known of it. */
  async resolve(repository: Repository, reference: Reference): Promise<Root | undefined> {
    const { metadata, hosted, now } = this.#options;
    if (this.isHosted(repository)) {
      const tag = reference.kind === 'tag' ? await hosted?.records.getTag(repository, reference.tag) : undefined;
      const digest = reference.kind === 'digest' ? reference.digest : tag?.digest;
      const found = digest && (await hosted?.records.getManifest(repository, digest));
      if (found === undefined) return undefined;
      const confirmedAt = tag?.movedAt ?? found.pushedAt;
      return { digest: found.digest, mediaType: found.mediaType, confirmedAt, visibility: 'private' };
    }
    if (reference.kind === 'tag') {
      const holds = await metadata.listHolds();
      const held = holds.find(
        ({ tag, repository: of, hold: { until } }) =>
          tag === reference.tag &&
          of.registry === repository.registry &&
          of.repository === repository.repository &&
          (until === undefined || until > now()),
      )?.hold;
      const record = await metadata.getTag(repository, reference.tag);
      const found = held ?? record;
      if (found === undefined) return undefined;
      const { digest, mediaType, visibility } = found;
      return { digest, mediaType, visibility, confirmedAt: record?.checkedAt ?? held?.heldAt };
    }
    const member = await metadata.getMember(repository, reference.digest);
    if (member === undefined || member.kind !== 'manifest' || member.mediaType === '') return undefined;
    return { digest: member.digest, mediaType: member.mediaType, visibility: member.visibility };
  }

  /** The verified bytes of a stored manifest; undefined where it is not stored, or corrupt. */
  async manifest(repository: Repository, digest: Digest): Promise<Buffer | undefined> {
    const stored = await this.#source(repository)?.open(digest);
    if (stored === undefined) return undefined;
    try {
      if (stored.size > MAX_MANIFEST_BYTES) return undefined;
      const bytes = Buffer.allocUnsafeSlow(stored.size);
      for (let filled = 0; filled < bytes.length; ) {
        const count = await stored.read(bytes.subarray(filled), filled);
        if (count === 0) return undefined;
        filled += count;
      }
      return digestOf(bytes, digestAlgorithm(digest)) === digest ? bytes : undefined;
    } finally {
      await stored.close();
    }
  }

  /** Bytes of a stored blob; undefined where it is not stored. */
  async size(repository: Repository, digest: Digest): Promise<number | undefined> {
    return await this.#source(repository)?.stat(digest);
  }

  /**
   * What belongs to a manifest, as far as it is here: what refers to it as its subject, natively or by the tags of registries without
   * referrers (distribution-spec, "Referrers Tag Schema"), and what cosign tags (`sha256-….sig`, `.att`, `.sbom`).
   */
  async attachedTo(repository: Repository, subject: Digest): Promise<readonly Attached[]> {
    const found = new Map<string, Attached>();
    const add = (each: Attached): void => {
      if (found.size < MAX_ATTACHED) found.set(each.tag ?? each.digest, each);
    };
    const base = subject.replace(':', '-');
    for (const tag of [base, `${base}.sig`, `${base}.att`, `${base}.sbom`]) {
      const root = await this.resolve(repository, { kind: 'tag', tag });
      if (root !== undefined) add({ ...root, tag });
    }
    const native = this.isHosted(repository)
      ? await this.#hostedReferrers(repository, subject)
      : ((await this.#subjectsOf(repository)).get(subject) ?? []);
    for (const each of native) add(each);
    return [...found.values()];
  }

  #source(repository: Repository): BlobSource | undefined {
    return this.isHosted(repository) ? this.#options.hosted?.blobs : this.#options.blobs;
  }

  async #hostedReferrers(repository: Repository, subject: Digest): Promise<readonly Attached[]> {
    const found = await this.#options.hosted?.records.listReferrers(repository, subject, { limit: MAX_ATTACHED });
    return (found ?? []).map(({ digest, mediaType, pushedAt }) => ({
      digest,
      mediaType,
      confirmedAt: pushedAt,
      visibility: 'private',
    }));
  }

  async #subjectsOf(repository: Repository): Promise<ReadonlyMap<Digest, readonly Attached[]>> {
    const key = `${repository.registry}/${repository.repository}`;
    const known = this.#subjects.get(key);
    if (known !== undefined) return known;
    const subjects = new Map<Digest, Attached[]>();
    this.#subjects.set(key, subjects);
    let after: Digest | undefined;
    let candidates = 0;
    for (let looked = 0; looked < MAX_MEMBERS && candidates < MAX_CANDIDATES; looked += PAGE) {
      if (looked > 0) await nextTurn();
      const page = await this.#options.metadata.listMembers(repository, { after, limit: PAGE });
      for (const { kind, digest, mediaType, visibility } of page) {
        if (kind !== 'manifest' || mediaType === '' || isIndexType(mediaType)) continue;
        const bytes = await this.manifest(repository, digest);
        if (bytes === undefined) continue;
        candidates += 1;
        const subject = await subjectOf(bytes, mediaType);
        if (subject === undefined) continue;
        subjects.set(subject, [...(subjects.get(subject) ?? []), { digest, mediaType, visibility }]);
      }
      if (page.length < PAGE) break;
      after = page.at(-1)?.digest;
    }
    return subjects;
  }
}

async function subjectOf(bytes: Buffer, mediaType: string): Promise<Digest | undefined> {
  try {
    return (await inTurns(readManifest(bytes, mediaType))).subject?.digest;
  } catch {
    // What cannot be read refers to nothing.
    return undefined;
  }
}
