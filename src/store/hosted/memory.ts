import { writeFile } from 'node:fs/promises';
import { keyOf } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import { type FoundRepositories, type Page, type RepositorySearch, searchList } from '../metadata/index.ts';
import {
  type ChangeOptions,
  type CollectedRecords,
  type CollectHostedOptions,
  type DeletedManifest,
  type HostedBlob,
  type HostedManifest,
  type HostedMove,
  type HostedStore,
  type HostedTag,
  type HostedUsage,
  MAX_HOSTED_MOVES,
  type MovedTag,
  type NewManifest,
  type PutManifestOptions,
  type PutManifestOutcome,
  type TagChange,
} from './hosted-store.ts';
import { decideTags } from './tag-changes.ts';
import { isUseNoted } from './uses.ts';

interface BlobEntry {
  readonly size: number;
  readonly usedAt: number;
}

interface ManifestEntry {
  readonly manifest: HostedManifest;
  readonly references: readonly Digest[];
  readonly usedAt: number;
}

interface TagPointer {
  readonly digest: Digest;
  readonly movedAt: number;
}

interface Content {
  readonly repository: Repository;
  readonly blobs: Map<Digest, BlobEntry>;
  readonly manifests: Map<Digest, ManifestEntry>;
  readonly tags: Map<string, TagPointer>;
  /** Newest first. */
  readonly moves: Map<string, readonly HostedMove[]>;
}

/** A {@link HostedStore} in memory, for tests. It holds few records well: a look may walk all of them. */
export class MemoryHostedStore implements HostedStore {
  readonly #contents = new Map<string, Content>();

  async hasRepository(repository: Repository): Promise<boolean> {
    return this.#find(repository) !== undefined;
  }

  async listRepositories({ after, limit }: Page<Repository>): Promise<readonly Repository[]> {
    return [...this.#contents.values()]
      .map(({ repository }) => repository)
      .filter((each) => after === undefined || compareRepositories(each, after) > 0)
      .sort(compareRepositories)
      .slice(0, limit);
  }

  async searchRepositories(search: RepositorySearch): Promise<FoundRepositories> {
    return searchList(
      [...this.#contents.values()].map(({ repository }) => repository),
      search,
    );
  }

  async countTags(repositories: readonly Repository[], most: number): Promise<readonly number[]> {
    return repositories.map((each) => Math.min(most, this.#find(each)?.tags.size ?? 0));
  }

  async usage(repository: Repository): Promise<HostedUsage> {
    return usageOf(sizesOf(this.#find(repository)));
  }

  async totals(): Promise<HostedUsage & { readonly repositories: number }> {
    return { ...usageOf(this.#allSizes()), repositories: this.#contents.size };
  }

  async putBlob(
    repository: Repository,
    blob: HostedBlob,
    how: { readonly at: number; readonly quota?: number | undefined },
  ): Promise<'stored' | 'over quota'> {
    return this.#putBlob(repository, blob, how);
  }

  async getBlob(repository: Repository, digest: Digest): Promise<HostedBlob | undefined> {
    const blob = this.#find(repository)?.blobs.get(digest);
    return blob && { digest, size: blob.size };
  }

  async useBlob(repository: Repository, digest: Digest, at: number): Promise<HostedBlob | undefined> {
    noteUse(this.#find(repository)?.blobs, digest, at);
    return this.getBlob(repository, digest);
  }

  async mountBlob(
    repository: Repository,
    digest: Digest,
    how: {
      readonly from: Repository | ((candidate: Repository) => boolean);
      readonly at: number;
      readonly quota?: number | undefined;
    },
  ): Promise<HostedBlob | 'over quota' | undefined> {
    const { from } = how;
    const source =
      typeof from === 'function'
        ? [...this.#contents.values()].find((each) => each.blobs.has(digest) && from(each.repository))
        : this.#find(from);
    const found = source?.blobs.get(digest);
    if (found === undefined) return undefined;
    const blob: HostedBlob = { digest, size: found.size };
    return this.#putBlob(repository, blob, how) === 'stored' ? blob : 'over quota';
  }

  async deleteBlob(repository: Repository, digest: Digest): Promise<'deleted' | 'in use' | undefined> {
    const content = this.#find(repository);
    if (content === undefined || !content.blobs.has(digest)) return undefined;
    if (namedBy(content, digest) !== undefined) return 'in use';
    content.blobs.delete(digest);
    return 'deleted';
  }

  async putManifest(
    repository: Repository,
    { references, ...pushed }: NewManifest,
    { at, by, tags, sparse = [], quota }: PutManifestOptions,
  ): Promise<PutManifestOutcome> {
    const { digest } = pushed;
    const content = this.#find(repository);
    const missing = references.filter(({ kind, digest: named }) => {
      const known = kind === 'blob' ? content?.blobs : content?.manifests;
      return !sparse.includes(kind) && known?.has(named) !== true;
    });
    if (missing.length > 0) return { outcome: 'missing', references: missing.map((each) => each.digest) };
    if (this.#isOver(content, pushed, quota)) return { outcome: 'over quota' };
    const { refusal, moved } = decideTags(tags, digest, (tag) => content?.tags.get(tag)?.digest);
    if (refusal !== undefined) return refusal;

    const target = this.#findOrAdd(repository);
    const before = target.manifests.get(digest);
    // What is read from the bytes depends on their media type alone.
    const isSame = before?.manifest.mediaType === pushed.mediaType;
    target.manifests.set(digest, {
      manifest: isSame ? before.manifest : { ...structuredClone(pushed), pushedAt: before?.manifest.pushedAt ?? at },
      references: isSame ? before.references : [...new Set(references.map((each) => each.digest))],
      usedAt: Math.max(before?.usedAt ?? at, at),
    });
    move(target, moved, { digest, at, by });
    return { outcome: 'stored', isNew: before === undefined, moved };
  }

  async getManifest(repository: Repository, digest: Digest): Promise<HostedManifest | undefined> {
    return this.#find(repository)?.manifests.get(digest)?.manifest;
  }

  async useManifest(repository: Repository, digest: Digest, at: number): Promise<HostedManifest | undefined> {
    noteUse(this.#find(repository)?.manifests, digest, at);
    return this.getManifest(repository, digest);
  }

  async deleteManifest(
    repository: Repository,
    digest: Digest,
    { at, by, immutable }: ChangeOptions & { readonly immutable: (tag: string) => boolean },
  ): Promise<DeletedManifest | undefined> {
    const content = this.#find(repository);
    const found = content?.manifests.get(digest);
    if (content === undefined || found === undefined) return undefined;
    const needing = namedBy(content, digest);
    if (needing !== undefined) return { outcome: 'needed', by: needing };
    const tags = [...content.tags].filter(([, each]) => each.digest === digest).map(([tag]) => tag);
    tags.sort(compareBytes);
    const kept = tags.find(immutable);
    if (kept !== undefined) return { outcome: 'immutable', tag: kept };
    move(
      content,
      tags.map((tag) => ({ tag, from: digest })),
      { digest: undefined, at, by },
    );
    content.manifests.delete(digest);
    return { outcome: 'deleted', manifest: found.manifest, tags };
  }

  async listReferrers(
    repository: Repository,
    subject: Digest,
    { after, limit, artifactType }: Page<Digest> & { readonly artifactType?: string | undefined },
  ): Promise<readonly HostedManifest[]> {
    return [...(this.#find(repository)?.manifests.values() ?? [])]
      .map(({ manifest }) => manifest)
      .filter((each) => each.subject === subject && (after === undefined || each.digest > after))
      .filter((each) => artifactType === undefined || each.artifactType === artifactType)
      .sort((a, b) => compareBytes(a.digest, b.digest))
      .slice(0, limit);
  }

  async getTag(repository: Repository, tag: string): Promise<HostedTag | undefined> {
    const content = this.#find(repository);
    return content && tagOf(content, tag);
  }

  async listTags(repository: Repository, page: Page<string>): Promise<readonly HostedTag[]> {
    const content = this.#find(repository);
    if (content === undefined) return [];
    return pageOf(content.tags.keys(), page).flatMap((tag) => tagOf(content, tag) ?? []);
  }

  async moveTag(repository: Repository, change: TagChange, { at, by }: ChangeOptions): Promise<PutManifestOutcome> {
    const { digest } = change;
    const content = this.#find(repository);
    if (content === undefined || !content.manifests.has(digest)) return { outcome: 'missing', references: [digest] };
    const { refusal, moved } = decideTags([change], digest, (tag) => content.tags.get(tag)?.digest);
    if (refusal !== undefined) return refusal;
    move(content, moved, { digest, at, by });
    return { outcome: 'stored', isNew: false, moved };
  }

  async deleteTag(
    repository: Repository,
    tag: string,
    { at, by, expected }: ChangeOptions & { readonly expected?: Digest | undefined },
  ): Promise<HostedTag | 'conflict' | undefined> {
    const content = this.#find(repository);
    const found = content && tagOf(content, tag);
    if (found === undefined) return undefined;
    if (expected !== undefined && expected !== found.digest) return 'conflict';
    move(content as Content, [{ tag, from: found.digest }], { digest: undefined, at, by });
    return found;
  }

  async listTagMoves(repository: Repository, tag: string): Promise<readonly HostedMove[]> {
    return this.#find(repository)?.moves.get(tag) ?? [];
  }

  async listTagNames(repository: Repository, page: Page<string>): Promise<readonly string[]> {
    return pageOf(this.#find(repository)?.moves.keys() ?? [], page);
  }

  async isReferenced(digest: Digest): Promise<boolean> {
    return (await this.repositoriesOf(digest, 1)).length > 0;
  }

  async repositoriesOf(digest: Digest, limit: number): Promise<readonly Repository[]> {
    return [...this.#contents.values()]
      .filter(({ blobs, manifests }) => blobs.has(digest) || manifests.has(digest))
      .map(({ repository }) => repository)
      .slice(0, limit);
  }

  async listBlobs(repository: Repository, page: Page<Digest>): Promise<readonly HostedBlob[]> {
    const blobs = this.#find(repository)?.blobs;
    return pageOf(blobs?.keys() ?? [], page).map((digest) => ({ digest, size: blobs?.get(digest)?.size ?? 0 }));
  }

  async listManifests(repository: Repository, page: Page<Digest>): Promise<readonly HostedManifest[]> {
    const manifests = this.#find(repository)?.manifests;
    return pageOf(manifests?.keys() ?? [], page).flatMap((digest) => manifests?.get(digest)?.manifest ?? []);
  }

  async collect({ unusedSince, untaggedSince, limit }: CollectHostedOptions): Promise<CollectedRecords> {
    const removed: { repository: Repository; digest: Digest; size: number }[] = [];
    for (const content of this.#contents.values()) {
      const { repository, blobs, manifests } = content;
      const since = untaggedSince?.(repository) ?? Number.NEGATIVE_INFINITY;
      // One that is removed may have been what kept another.
      let found: Digest | undefined;
      while (removed.length < limit && (found = unneededIn(content, since)) !== undefined) {
        removed.push({ repository, digest: found, size: manifests.get(found)?.manifest.size ?? 0 });
        manifests.delete(found);
      }
      for (const [digest, { size, usedAt }] of blobs) {
        if (removed.length >= limit) break;
        if (usedAt >= unusedSince || namedBy(content, digest) !== undefined) continue;
        removed.push({ repository, digest, size });
        blobs.delete(digest);
      }
    }
    const left = this.#allSizes();
    const unreferenced = [...new Set(removed.map(({ digest }) => digest))].filter((digest) => !left.has(digest));
    return { removed, unreferenced };
  }

  async listDigests({ after, limit }: Page<Digest>): Promise<readonly HostedBlob[]> {
    const sizes = this.#allSizes();
    return pageOf(sizes.keys(), { after, limit }).map((digest) => ({ digest, size: sizes.get(digest) ?? 0 }));
  }

  async backUp(file: string): Promise<void> {
    const contents = [...this.#contents.values()].map(({ repository, blobs, manifests, tags, moves }) => ({
      repository,
      blobs: [...blobs],
      manifests: [...manifests],
      tags: [...tags],
      moves: [...moves],
    }));
    await writeFile(file, JSON.stringify(contents), { flag: 'wx', mode: 0o600, flush: true });
  }

  async close(): Promise<void> {}

  #putBlob(
    repository: Repository,
    { digest, size }: HostedBlob,
    { at, quota }: { readonly at: number; readonly quota?: number | undefined },
  ): 'stored' | 'over quota' {
    if (this.#isOver(this.#find(repository), { digest, size }, quota)) return 'over quota';
    const { blobs } = this.#findOrAdd(repository);
    if (blobs.has(digest)) use(blobs, digest, at);
    else blobs.set(digest, { size, usedAt: at });
    return 'stored';
  }

  #isOver(content: Content | undefined, { digest, size }: HostedBlob, quota: number | undefined): boolean {
    if (quota === undefined) return false;
    const sizes = sizesOf(content);
    return !sizes.has(digest) && usageOf(sizes).bytes + size > quota;
  }

  #find({ registry, repository }: Repository): Content | undefined {
    return this.#contents.get(keyOf(registry, repository));
  }

  #findOrAdd({ registry, repository }: Repository): Content {
    const key = keyOf(registry, repository);
    const found = this.#contents.get(key);
    if (found !== undefined) return found;
    const content: Content = {
      repository: { registry, repository },
      blobs: new Map(),
      manifests: new Map(),
      tags: new Map(),
      moves: new Map(),
    };
    this.#contents.set(key, content);
    return content;
  }

  #allSizes(): ReadonlyMap<Digest, number> {
    return new Map([...this.#contents.values()].flatMap((content) => [...sizesOf(content)]));
  }
}

function sizesOf(content: Content | undefined): ReadonlyMap<Digest, number> {
  const sizes = new Map<Digest, number>();
  for (const [digest, { size }] of content?.blobs ?? []) sizes.set(digest, size);
  for (const [digest, { manifest }] of content?.manifests ?? []) sizes.set(digest, manifest.size);
  return sizes;
}

function usageOf(sizes: ReadonlyMap<Digest, number>): HostedUsage {
  return { digests: sizes.size, bytes: sizes.values().reduce((sum, size) => sum + size, 0) };
}

function use<T extends { readonly usedAt: number }>(
  entries: Map<Digest, T> | undefined,
  digest: Digest,
  at: number,
): void {
  const entry = entries?.get(digest);
  // An earlier time, of a clock that was set back, would shorten the protection.
  if (entry !== undefined && at > entry.usedAt) entries?.set(digest, { ...entry, usedAt: at });
}

/** As the file notes it: at most once an hour. */
function noteUse<T extends { readonly usedAt: number }>(
  entries: Map<Digest, T> | undefined,
  digest: Digest,
  at: number,
): void {
  const entry = entries?.get(digest);
  if (entry !== undefined && isUseNoted(entry.usedAt, at)) use(entries, digest, at);
}

/** The first manifest of the repository, in the order of the digests, that names a digest. */
function namedBy({ manifests }: Content, digest: Digest): Digest | undefined {
  const naming = [...manifests].filter(([, { references }]) => references.includes(digest)).map(([by]) => by);
  return naming.sort(compareBytes)[0];
}

/** A manifest that nothing keeps, and that was used before `since`. */
function unneededIn(content: Content, since: number): Digest | undefined {
  const tagged = new Set([...content.tags.values()].map(({ digest }) => digest));
  for (const [digest, { manifest, usedAt }] of content.manifests) {
    if (usedAt >= since || tagged.has(digest)) continue;
    if (manifest.subject !== undefined && content.manifests.has(manifest.subject)) continue;
    if (namedBy(content, digest) === undefined) return digest;
  }
  return undefined;
}

/** Notes where tags point from now on. A manifest counts as used when a tag leaves it: `keep_untagged` begins then. */
function move({ tags, moves, manifests }: Content, moved: readonly MovedTag[], to: HostedMove): void {
  for (const { tag, from } of moved) {
    if (to.digest === undefined) tags.delete(tag);
    else tags.set(tag, { digest: to.digest, movedAt: to.at });
    moves.set(tag, [{ ...to }, ...(moves.get(tag) ?? [])].slice(0, MAX_HOSTED_MOVES));
    if (from !== undefined) use(manifests, from, to.at);
  }
}

function tagOf({ tags, manifests }: Content, tag: string): HostedTag | undefined {
  const pointer = tags.get(tag);
  const manifest = pointer && manifests.get(pointer.digest)?.manifest;
  if (manifest === undefined) return undefined;
  return { tag, mediaType: manifest.mediaType, size: manifest.size, ...pointer } as HostedTag;
}

function pageOf<T extends string>(keys: Iterable<T>, { after, limit }: Page<T>): readonly T[] {
  return [...keys]
    .filter((each) => after === undefined || compareBytes(each, after) > 0)
    .sort(compareBytes)
    .slice(0, limit);
}

/** As the database compares: UTF-16 would sort some characters otherwise. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compareRepositories(a: Repository, b: Repository): number {
  return compareBytes(a.registry, b.registry) || compareBytes(a.repository, b.repository);
}
