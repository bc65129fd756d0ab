import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest, Repository } from '../../oci/index.ts';
import type { MetadataStore, NotedMember, TagEntry } from '../../store/index.ts';
import { PAGE, pages } from '../metadata/index.ts';

/** What rows of tags and members may take at least: some thousand images. */
const LEAST_BUDGET = 2 * 1024 ** 2;

/** Share of the cache's size that they may take. */
const SHARE = 0.01;

/** Share of the budget that remains after a trim, so that the next row does not start another. */
const REMAINDER = 0.9;

/** Milliseconds since a row was noted: the rows of what is being pulled go last. */
const AGES = [3600_000, 300_000, 0];

/** Rows deleted at a time: a few milliseconds, after which the event loop turns. */
const PIECE = 128;

/** The bytes that rows of tags and members may take. @param size what the cache or, without a limit, the disk holds at most */
export function rowBudget(size: number | undefined): number {
  return size === undefined ? Number.POSITIVE_INFINITY : Math.max(LEAST_BUDGET, size * SHARE);
}

interface TrimOptions {
  readonly metadata: MetadataStore;
  /** Bytes that the rows may take. */
  readonly budget: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Deletes rows of tags and members whose blobs are not stored, the oldest first, until the others take nine tenths of the budget
 * or none is left. A deleted row costs the next pull a question to the upstream: a HEAD, or the manifest.
 *
 * @returns the number of rows deleted
 */
export async function trimRows({ metadata, budget, now }: TrimOptions): Promise<number> {
  let deleted = 0;
  const isEnough = async (): Promise<boolean> => (await metadata.footprint()).rowBytes <= budget * REMAINDER;
  for (const age of AGES) {
    for await (const page of pages((after: NotedMember | undefined) => metadata.listNoted({ after, limit: PAGE }))) {
      const gone = page.filter(({ isStored, notedAt }) => !isStored && (age === 0 || notedAt <= now - age));
      for (const [repository, digests] of byRepository(gone)) {
        for (let first = 0; first < digests.length; first += PIECE) {
          await metadata.deleteMembers(repository, digests.slice(first, first + PIECE));
          await nextTurn();
        }
      }
      deleted += gone.length;
      if (gone.length > 0 && (await isEnough())) return deleted;
    }
    for await (const page of pages((after: TagEntry | undefined) => metadata.listTags({ after, limit: PAGE }))) {
      for (const tag of page) {
        const { digest, checkedAt } = tag.record;
        if ((age > 0 && checkedAt > now - age) || (await metadata.getBlob(digest)) !== undefined) continue;
        if (await metadata.deleteTag(tag.repository, tag.tag)) deleted += 1;
      }
      if (await isEnough()) return deleted;
    }
  }
  return deleted;
}

/** Neighbours of one repository together: they are listed in that order. */
function byRepository(members: readonly NotedMember[]): (readonly [Repository, Digest[]])[] {
  const groups: (readonly [Repository, Digest[]])[] = [];
  for (const { repository, digest } of members) {
    const [last, digests] = groups.at(-1) ?? [];
    if (last?.registry === repository.registry && last.repository === repository.repository) digests?.push(digest);
    else groups.push([repository, [digest]]);
  }
  return groups;
}
