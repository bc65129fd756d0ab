import { compileGlob, keyOf } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import {
  type BlobStore,
  type HoldEntry,
  isFullDisk,
  MAX_URLS_PER_BLOB,
  type MetadataStore,
  type TagEntry,
  type UrlName,
} from '../../store/index.ts';
import { removeBlob } from '../integrity/index.ts';
import {
  addTree,
  isOver,
  PAGE,
  pages,
  type Selection,
  selectRepositories,
  selectTags,
  selectUrls,
  type UrlSelection,
} from '../metadata/index.ts';

export interface PurgeOptions {
  /** True: nothing is deleted. @default false */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  /** Milliseconds since the epoch. @default the clock's */
  readonly now?: number;
}

interface PurgeTools extends PurgeOptions {
  readonly store: BlobStore;
  /** Removes what was kept of a blob that had come in part, and gives its bytes. @default nothing is kept */
  readonly partials?: {
    remove(digest: Digest, options: { readonly dryRun: boolean }): Promise<number>;
  };
  readonly metadata: MetadataStore;
  /** Called with the digests to drop from memory, after their records are deleted and before their bytes are. */
  readonly onForget?: (digests: Iterable<Digest>) => void;
  /** Ends the pin of a tag; false where it is not pinned. @default only in the database */
  readonly unpin?: ((repository: Repository, tag: string) => Promise<boolean>) | undefined;
  /** Evicts something else, where a full disk leaves no room for the changes of rows. @default nothing is evicted */
  readonly makeRoom?: (() => Promise<void>) | undefined;
}

/** What a purge removed, or would remove. */
export interface Purged {
  readonly dryRun: boolean;
  /** The tags, at most {@link MAX_LISTED} of them. */
  readonly tags: readonly { readonly repository: Repository; readonly tag: string; readonly digest: Digest }[];
  readonly tagCount: number;
  /** Held tags that were selected, wholly or in part. What they hold was not removed, and their records stay. */
  readonly held: readonly HoldEntry[];
  /** Tags whose pins ended with them. */
  readonly pins: number;
  /** Digests that no longer belong to a repository they belonged to. */
  readonly members: number;
  /** Records of mirrored sites that were deleted. */
  readonly urls: number;
  /** Blobs and manifests that belong to no other repository or URL, and were removed from the disk. */
  readonly blobs: number;
  /** Their bytes, and those of what had come of others in part. */
  readonly freed: number;
}

const MAX_LISTED = 10_000;

/** Owners of a blob that a dry run looks at. */
const MAX_OWNERS = 10_000;

/** The most digests of purged and of retained trees that are held in memory. */
const MAX_TREE = 1_000_000;

/** The running counts of a purge. */
interface Tally {
  readonly tags: TagEntry[];
  /**
   * In a dry run, the keys of what would be deleted: later selections must not count it again, nor count it as an owner of a
   * blob.
   */
  readonly asIfForgotten: Set<string>;
  /** Held tags that were selected, by their key. */
  readonly held: Map<string, HoldEntry>;
  tagCount: number;
  pins: number;
  members: number;
  urls: number;
  blobs: number;
  freed: number;
}

/**
 * Deletes the records of images, tags, digests or URLs, and removes the blobs that then belong to no other.
 *
 * Records are deleted before bytes: a request that comes meanwhile finds either all of it or nothing, and then asks the
 * upstream. Readers with an open file and running transfers are not disturbed. Held tags and what they hold stay. A pinned tag
 * goes, and its pin with it: a pin keeps an image from eviction, and not from the operator.
 *
 * On a disk without a free byte no row can be deleted. There files of what is purged go first, as their room is what the deletions
 * need: see {@link changeRows}. Rejects with the error of the full disk where even that makes too little room.
 */
export async function purge(selections: readonly (Selection | UrlSelection)[], tools: PurgeTools): Promise<Purged> {
  const counts = { tagCount: 0, pins: 0, members: 0, urls: 0, blobs: 0, freed: 0 };
  const tally: Tally = { tags: [], asIfForgotten: new Set(), held: new Map(), ...counts };
  const holds = await heldTrees(tools);
  for (const selection of selections) {
    if ('route' in selection) {
      for await (const page of selectUrls(selection, tools.metadata)) {
        tools.signal?.throwIfAborted();
        await forgetUrls(page, { ...tools, tally, holds });
        await removeUnclaimed([...new Set(page.map(({ record }) => record.digest))], { ...tools, tally, holds });
      }
      continue;
    }
    for (const repository of await selectRepositories(selection, tools.metadata)) {
      tools.signal?.throwIfAborted();
      await purgeFrom(repository, selection, { ...tools, tally, holds });
    }
    // A blob that belongs to no repository is reached by its digest alone.
    const { digest, repository } = selection;
    if (digest === undefined) continue;
    if (repository === undefined) {
      await forgetUrls(await tools.metadata.urlsOf(digest, MAX_URLS_PER_BLOB), { ...tools, tally, holds });
    }
    await removeUnclaimed([digest], { ...tools, tally, holds });
  }
  return {
    dryRun: tools.dryRun ?? false,
    tags: tally.tags.map(({ repository, tag, record }) => ({ repository, tag, digest: record.digest })),
    tagCount: tally.tagCount,
    held: [...tally.held.values()],
    pins: tally.pins,
    members: tally.members,
    urls: tally.urls,
    blobs: tally.blobs,
    freed: tally.freed,
  };
}

interface Work extends PurgeTools {
  readonly tally: Tally;
  readonly holds: readonly HeldTree[];
}

/** A held tag, and everything that its digest leads to. */
interface HeldTree extends HoldEntry {
  readonly digests: ReadonlySet<Digest>;
}

async function heldTrees({ metadata, store, now = Date.now() }: PurgeTools): Promise<readonly HeldTree[]> {
  const trees: HeldTree[] = [];
  for (const entry of await metadata.listHolds()) {
    if (isOver(entry.hold, now)) continue;
    const digests = new Set<Digest>();
    await addTree(entry.hold, { store, into: digests, limit: MAX_TREE });
    trees.push({ ...entry, digests });
  }
  return trees;
}

/** Notes which held tags of a repository are selected, and returns their names. */
function noteHeld(
  repository: Repository,
  { tag, digest }: Selection,
  { holds, tally }: Pick<Work, 'holds' | 'tally'>,
): ReadonlySet<string> {
  const matches = compileGlob(tag ?? '**');
  const names = new Set<string>();
  for (const entry of holds) {
    if (!isOf(repository, entry) || !matches(entry.tag)) continue;
    names.add(entry.tag);
    if (digest === undefined || entry.digests.has(digest)) {
      const { digests: _, ...hold } = entry;
      tally.held.set(tagKey(repository, entry.tag), hold);
    }
  }
  return names;
}

function isOf({ registry, repository }: Repository, entry: HeldTree): boolean {
  return entry.repository.registry === registry && entry.repository.repository === repository;
}

async function purgeFrom(repository: Repository, selection: Selection, work: Work): Promise<void> {
  const { metadata, dryRun = false, tally } = work;
  const { unpin = (of, tag) => metadata.deletePin(of, tag) } = work;
  const held = noteHeld(repository, selection, work);
  const tags = (await selectTags(repository, selection, metadata)).filter(
    ({ tag }) => !held.has(tag) && !tally.asIfForgotten.has(tagKey(repository, tag)),
  );
  const isWhole = selection.tag === undefined && selection.digest === undefined;
  const purged = isWhole ? undefined : await orphans(repository, { ...selection, tags }, work);
  const change = <T>(run: () => Promise<T>): Promise<T> =>
    changeRows(run, { goes: purged ?? membersOf(repository, work), owner: repository, urls: [], work });
  for (const tag of await selectPins(repository, { ...selection, tags, held }, work)) {
    tally.pins += 1;
    if (dryRun) tally.asIfForgotten.add(pinKey(repository, tag));
    else await change(() => unpin(repository, tag));
  }
  for (const entry of tags) {
    if (dryRun) tally.asIfForgotten.add(tagKey(repository, entry.tag));
    else await change(() => metadata.deleteTag(repository, entry.tag));
    if (tally.tags.length < MAX_LISTED) tally.tags.push(entry);
  }
  tally.tagCount += tags.length;
  if (purged !== undefined) {
    await forgetMembers(repository, [...purged], work);
    return;
  }
  for await (const page of memberPages(repository, work)) await forgetMembers(repository, page, work);
}

async function* memberPages(
  repository: Repository,
  { metadata }: Pick<Work, 'metadata'>,
): AsyncGenerator<readonly Digest[], void> {
  const list = (after: { readonly digest: Digest } | undefined) =>
    metadata.listMembers(repository, { after: after?.digest, limit: PAGE });
  for await (const page of pages(list)) yield page.map(({ digest }) => digest);
}

async function* membersOf(repository: Repository, work: Pick<Work, 'metadata'>): AsyncGenerator<Digest, void> {
  for await (const page of memberPages(repository, work)) yield* page;
}

/** What a change of rows is part of. */
interface RowChange {
  /** The digests that are purged. */
  readonly goes: Iterable<Digest> | AsyncIterable<Digest>;
  /** The repository and the URLs from which they are purged: what else names a digest keeps its file. */
  readonly owner: Repository | undefined;
  readonly urls: readonly UrlName[];
  readonly work: Work;
}

/**
 * Changes rows. Where the disk has no room for the change, files of what is purged are removed until it has. A crash then leaves rows
 * without files, which are misses for readers, and which a reconciliation forgets.
 */
async function changeRows<T>(run: () => Promise<T>, { goes, owner, urls, work }: RowChange): Promise<T> {
  let refusal: unknown;
  const attempt = async (): Promise<{ readonly result: T } | undefined> => {
    try {
      return { result: await run() };
    } catch (error) {
      if (!isFullDisk(error)) throw error;
      refusal = error;
      return undefined;
    }
  };
  const first = await attempt();
  if (first !== undefined) return first.result;
  const { store, onForget } = work;
  for await (const digest of goes) {
    if (!(await isOnlyOf(digest, { owner, urls, work }))) continue;
    onForget?.([digest]);
    await store.delete(digest);
    const done = await attempt();
    if (done !== undefined) return done.result;
  }
  await work.makeRoom?.();
  const last = await attempt();
  if (last !== undefined) return last.result;
  throw refusal;
}

/** Whether a stored file is named by what is purged alone, and no hold keeps it. */
async function isOnlyOf(
  digest: Digest,
  { owner, urls, work: { store, metadata, holds } }: Omit<RowChange, 'goes'>,
): Promise<boolean> {
  if (holds.some((entry) => entry.digests.has(digest))) return false;
  const blob = await metadata.getBlob(digest);
  if (blob === undefined || blob.kind === 'hosted') return false;
  for (const each of await metadata.repositoriesOf(digest, 2)) {
    if (each.registry !== owner?.registry || each.repository !== owner.repository) return false;
  }
  const own = new Set(urls.map(urlKey));
  for (const each of await metadata.urlsOf(digest, MAX_URLS_PER_BLOB)) if (!own.has(urlKey(each))) return false;
  return (await store.stat(digest)) !== undefined;
}

/** The pinned tags of a repository that are selected, also those without a record. Held ones stay, as their tags do. */
async function selectPins(
  { registry, repository }: Repository,
  { tag, digest, tags, held }: Selection & { readonly tags: readonly TagEntry[]; readonly held: ReadonlySet<string> },
  { metadata, tally }: Pick<Work, 'metadata' | 'tally'>,
): Promise<readonly string[]> {
  const matches = compileGlob(tag ?? '**');
  const names = new Set(tags.map((each) => each.tag));
  return (await metadata.listPins())
    .filter((pin) => pin.repository.registry === registry && pin.repository.repository === repository)
    .map((pin) => pin.tag)
    .filter((name) => names.has(name) || (digest === undefined && matches(name) && !held.has(name)))
    .filter((name) => !tally.asIfForgotten.has(pinKey({ registry, repository }, name)));
}

/** The digests that the selected tags and digests lead to, and no other tag of the repository does. */
async function orphans(
  repository: Repository,
  { digest, tags }: Selection & { readonly tags: readonly TagEntry[] },
  { store, metadata, tally }: Work,
): Promise<ReadonlySet<Digest>> {
  const purged = new Set<Digest>();
  for (const { record } of tags) await addTree(record, { store, into: purged, limit: MAX_TREE });
  const member = digest === undefined ? undefined : await metadata.getMember(repository, digest);
  if (member !== undefined) await addTree(member, { store, into: purged, limit: MAX_TREE });
  const retained = new Set<Digest>();
  const selected = new Set(tags.map(({ tag }) => tag));
  const list = (after: TagEntry | undefined) => metadata.listTags({ repository, after, limit: PAGE });
  for await (const page of pages(list)) {
    for (const { tag, record } of page) {
      if (selected.has(tag) || tally.asIfForgotten.has(tagKey(repository, tag))) continue;
      await addTree(record, { store, into: retained, limit: MAX_TREE });
    }
  }
  // A digest that was selected itself is purged even if another tag leads to it.
  if (digest !== undefined) retained.delete(digest);
  return purged.difference(retained);
}

async function forgetMembers(repository: Repository, digests: readonly Digest[], work: Work): Promise<void> {
  const { metadata, dryRun = false, onForget, tally, holds } = work;
  const held = holds.filter((entry) => isOf(repository, entry));
  const known: Digest[] = [];
  for (const digest of digests) {
    if (held.some((entry) => entry.digests.has(digest))) continue;
    if (tally.asIfForgotten.has(memberKey(repository, digest))) continue;
    if ((await metadata.getMember(repository, digest)) !== undefined) known.push(digest);
  }
  tally.members += known.length;
  if (dryRun) {
    for (const digest of known) tally.asIfForgotten.add(memberKey(repository, digest));
  } else {
    const change = { goes: known, owner: repository, urls: [], work };
    await changeRows(() => metadata.deleteMembers(repository, known), change);
    onForget?.(known);
  }
  await removeUnclaimed(known, work);
}

async function forgetUrls(urls: readonly UrlName[], work: Work): Promise<void> {
  const { metadata, dryRun = false, tally } = work;
  for (const { route, url } of urls) {
    if (tally.asIfForgotten.has(urlKey({ route, url }))) continue;
    if (dryRun) tally.asIfForgotten.add(urlKey({ route, url }));
    else {
      const change = { goes: digestsOf(urls, work), owner: undefined, urls, work };
      await changeRows(() => metadata.deleteUrl({ route, url }), change);
    }
    tally.urls += 1;
  }
}

async function* digestsOf(urls: readonly UrlName[], { metadata }: Work): AsyncGenerator<Digest, void> {
  for (const name of urls) {
    const record = await metadata.getUrl(name);
    if (record !== undefined) yield record.digest;
  }
}

/** Removes the blobs that belong to no repository and no URL. */
async function removeUnclaimed(digests: readonly Digest[], work: Work): Promise<void> {
  const { metadata, store, partials, dryRun = false, tally, holds } = work;
  for (const digest of digests) {
    if (holds.some((entry) => entry.digests.has(digest))) continue;
    if (tally.asIfForgotten.has(blobKey(digest))) continue;
    const owners = await metadata.repositoriesOf(digest, dryRun ? MAX_OWNERS : 1);
    if (!owners.every((owner) => tally.asIfForgotten.has(memberKey(owner, digest)))) continue;
    const urls = await metadata.urlsOf(digest, dryRun ? MAX_URLS_PER_BLOB : 1);
    if (!urls.every((name) => tally.asIfForgotten.has(urlKey(name)))) continue;
    if (!tally.asIfForgotten.has(partialKey(digest))) {
      tally.freed += (await partials?.remove(digest, { dryRun })) ?? 0;
      if (dryRun) tally.asIfForgotten.add(partialKey(digest));
    }
    const blob = await metadata.getBlob(digest);
    if (blob === undefined || blob.kind === 'hosted') continue;
    if (dryRun) tally.asIfForgotten.add(blobKey(digest));
    else await removeBlob(digest, { store, metadata });
    tally.blobs += 1;
    tally.freed += blob.size;
  }
}

function partialKey(digest: Digest): string {
  return keyOf('partial', digest);
}

function tagKey({ registry, repository }: Repository, tag: string): string {
  return keyOf('tag', registry, repository, tag);
}

function pinKey({ registry, repository }: Repository, tag: string): string {
  return keyOf('pin', registry, repository, tag);
}

function memberKey({ registry, repository }: Repository, digest: Digest): string {
  return keyOf('member', registry, repository, digest);
}

function urlKey({ route, url }: UrlName): string {
  return keyOf('url', route, url);
}

function blobKey(digest: Digest): string {
  return keyOf('blob', digest);
}
