import { setImmediate as nextTurn } from 'node:timers/promises';
import { compileGlob, PIECE } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { BlobStore, HoldEntry, MetadataStore, TagHold, TagMove, TagRecord } from '../../store/index.ts';
import { addTree } from './manifest-tree.ts';
import { MAX_SELECTED, type Selection, selectRepositories, selectTags } from './selection.ts';
import { isOver } from './tag-holds.ts';

/** How much of an image is stored. */
export interface StoredParts {
  /** True where the manifest itself is stored. */
  readonly manifest: boolean;
  /** Stored manifests and blobs that the manifest leads to, as far as the stored manifests name them. */
  readonly stored: number;
  /** All of them. An index names every platform, also those that no client has pulled. */
  readonly named: number;
}

/** A place where a tag pointed. */
interface PastMove extends TagMove {
  /** True where it points there now. */
  readonly isCurrent: boolean;
  readonly parts: StoredParts;
}

/** Where a tag pointed. */
export interface TagHistory {
  readonly repository: Repository;
  readonly tag: string;
  readonly hold: TagHold | undefined;
  /** Newest first. */
  readonly moves: readonly PastMove[];
}

interface HistoryOptions {
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The most moves that one answer lists: some manifests are read for each. */
const MAX_MOVES = 1000;

/** The most digests of one image that are counted. */
const MAX_NAMED = 10_000;

/** Where the selected tags pointed. `omitted`: tags that were left out of a long answer. */
export async function tagHistory(
  selection: Selection,
  { metadata, store, now }: HistoryOptions,
): Promise<{ readonly tags: readonly TagHistory[]; readonly omitted: number }> {
  const holds = (await metadata.listHolds()).filter(({ hold }) => !isOver(hold, now));
  const tags: TagHistory[] = [];
  let [listed, omitted] = [0, 0];
  for (const repository of await selectedRepositories(selection, { metadata, holds })) {
    const held = new Map(
      holds.filter((each) => isSame(each.repository, repository)).map((each) => [each.tag, each.hold]),
    );
    const records = new Map(
      (await selectTags(repository, selection, metadata)).map(({ tag, record }) => [tag, record]),
    );
    const matches = compileGlob(selection.tag ?? '**');
    // A hold outlives the record of its tag.
    const names = new Set([...records.keys(), ...[...held.keys()].filter(matches)]);
    for (const tag of names) {
      if (listed >= MAX_MOVES) {
        omitted += 1;
        continue;
      }
      const moves = await pastMoves(repository, tag, { metadata, store, record: records.get(tag) });
      listed += Math.max(1, moves.length);
      tags.push({ repository, tag, hold: held.get(tag), moves });
    }
  }
  return { tags, omitted };
}

async function pastMoves(
  repository: Repository,
  tag: string,
  { metadata, store, record }: Pick<HistoryOptions, 'metadata' | 'store'> & { readonly record: TagRecord | undefined },
): Promise<readonly PastMove[]> {
  const moves: PastMove[] = [];
  for (const [index, move] of (await metadata.listMoves(repository, tag)).entries()) {
    const isCurrent = index === 0 && move.digest === record?.digest;
    moves.push({ ...move, isCurrent, parts: await storedParts(move, { metadata, store }) });
  }
  return moves;
}

/** Counts what is stored of an image. */
export async function storedParts(
  root: { readonly digest: Digest; readonly mediaType: string },
  { metadata, store }: Pick<HistoryOptions, 'metadata' | 'store'>,
): Promise<StoredParts> {
  const named = new Set<Digest>();
  await addTree(root, { store, into: named, limit: MAX_NAMED });
  named.delete(root.digest);
  let stored = 0;
  let looked = 0;
  for (const digest of named) {
    if ((await metadata.getBlob(digest)) !== undefined) stored += 1;
    looked += 1;
    // Each look-up holds the event loop.
    if (looked % PIECE === 0) await nextTurn();
  }
  return { manifest: (await metadata.getBlob(root.digest)) !== undefined, stored, named: named.size };
}

async function selectedRepositories(
  selection: Selection,
  { metadata, holds }: Pick<HistoryOptions, 'metadata'> & { readonly holds: readonly HoldEntry[] },
): Promise<readonly Repository[]> {
  const selected = await selectRepositories(selection, metadata);
  const matches = compileGlob(selection.repository ?? '**');
  const missing = holds
    .map(({ repository }) => repository)
    .filter((each) => matches(`${each.registry}/${each.repository}`) && !selected.some((one) => isSame(one, each)));
  const names = new Map([...selected, ...missing].map((each) => [`${each.registry}/${each.repository}`, each]));
  return [...names.values()].slice(0, MAX_SELECTED);
}

function isSame(a: Repository, b: Repository): boolean {
  return a.registry === b.registry && a.repository === b.repository;
}
