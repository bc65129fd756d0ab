import { type Digest, digestAlgorithm, digestOf, MAX_MANIFEST_BYTES, type Repository } from '../../oci/index.ts';
import type { BlobStore, HoldEntry, MetadataStore, TagHold, TagMove } from '../../store/index.ts';
import { readWhole, type StoredParts, storedParts, type TagHolds } from '../metadata/index.ts';

/** Why a tag cannot be held; the message is for the operator. */
export class HoldError extends Error {
  override readonly name = 'HoldError';
}

export interface RollbackRequest {
  readonly repository: Repository;
  readonly tag: string;
  /** A digest that this server saw the tag point to. */
  readonly digest: Digest;
  /** When the hold ends by itself, milliseconds since the epoch. @default when it is released */
  readonly until?: number | undefined;
  /** Why, for operators and clients. @default '' */
  readonly reason?: string | undefined;
}

export interface RolledBack extends HoldEntry {
  /** Where the upstream's tag pointed when it was last asked; undefined where that is not known. */
  readonly current: Digest | undefined;
  readonly parts: StoredParts;
}

interface RollbackTools {
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  readonly holds: TagHolds;
  /** Sees to it that the manifest is stored and right; rejects where it can be had from nowhere. */
  readonly obtain: (repository: Repository, move: TagMove) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Holds a tag at a digest that it pointed to. Without that condition a hold could lead to any content of an upstream, which
 * its owner never gave this name.
 *
 * Rejects with a {@link HoldError}, and with the failure of the upstream.
 */
export async function rollback(request: RollbackRequest, tools: RollbackTools): Promise<RolledBack> {
  const { repository, tag, digest, until, reason = '' } = request;
  const { metadata, store, holds, obtain, now } = tools;
  const name = `${repository.registry}/${repository.repository}:${tag}`;
  const moves = await metadata.listMoves(repository, tag);
  const move = moves.find((each) => each.digest === digest);
  if (move === undefined) {
    throw new HoldError(
      `this server never saw ${name} point to ${digest}; \`entrepot history ${name}\` lists where it did`,
    );
  }
  await obtain(repository, move);
  const { mediaType, size, upstream, visibility } = move;
  const hold: TagHold = { digest, mediaType, size, upstream, visibility, heldAt: now, until, reason };
  if (!(await holds.put({ repository, tag, hold }))) {
    throw new HoldError('too many tags are held; end a hold with `entrepot unhold`, and see them in `entrepot status`');
  }
  const { digest: current } = (await metadata.getTag(repository, tag)) ?? {};
  return { repository, tag, hold, current, parts: await storedParts(move, { metadata, store }) };
}

/** Whether a manifest is stored and right, read without a running cache. A wrong one is left to the next start. */
export async function isManifestStored(store: BlobStore, digest: Digest): Promise<boolean> {
  const stored = await store.open(digest);
  if (stored === undefined) return false;
  try {
    const bytes = stored.size > MAX_MANIFEST_BYTES ? undefined : await readWhole(stored);
    return bytes !== undefined && digestOf(bytes, digestAlgorithm(digest)) === digest;
  } finally {
    await stored.close();
  }
}
