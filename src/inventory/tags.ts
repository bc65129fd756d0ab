import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Digest, Repository } from '../oci/index.ts';
import type { Measure } from './measure.ts';
import { type Budget, mayBeIndex } from './parts.ts';
import type { Root, Shelf, ShelfTag } from './shelf.ts';
import { FirstTags } from './version-order.ts';

/** Tags read at a time. */
const PAGE = 500;

/** The next tags of a repository in version order. Memory holds two pages of them, however many there are. */
export async function nextTags(
  shelf: Shelf,
  repository: Repository,
  {
    after,
    limit,
    words,
  }: { readonly after: string | undefined; readonly limit: number; readonly words: readonly string[] },
): Promise<readonly ShelfTag[]> {
  const first = new FirstTags<ShelfTag>({ limit, after });
  const offer = (tag: ShelfTag): void => {
    const name = tag.tag.toLowerCase();
    if (words.every((word) => name.includes(word))) first.add(tag);
  };
  for (const tag of await shelf.held(repository)) offer(tag);
  for await (const page of tagPages(shelf, repository)) for (const tag of page) offer(tag);
  return first.list();
}

async function* tagPages(shelf: Shelf, repository: Repository): AsyncGenerator<readonly ShelfTag[], void> {
  for (let after: string | undefined; ; ) {
    const page = await shelf.tags(repository, { after, limit: PAGE });
    yield page;
    after = page.at(-1)?.tag;
    if (page.length < PAGE) return;
    await nextTurn();
  }
}

/** Files that are read to tell which manifests belong to tagged indexes. */
const MAX_INDEXES = 1000;

/** Looks for manifests of one page. */
const MAX_LOOKS = 10;

/**
 * The next stored manifests that no tag points to, and that belong to no index that a tag points to, by digest. Of a
 * repository with more than a thousand tagged indexes, parts of the others may be among them.
 *
 * @returns `next`: where the look ended; undefined at the end
 */
export async function nextUntagged(
  shelf: Shelf,
  repository: Repository,
  {
    after,
    limit,
    measureWith,
  }: {
    readonly after: Digest | undefined;
    readonly limit: number;
    /** Measures with a budget of its own. */
    readonly measureWith: (budget: Budget) => Measure;
  },
): Promise<{ readonly found: readonly Root[]; readonly next: Digest | undefined }> {
  const measure = measureWith({ left: MAX_INDEXES, isSpent: false });
  const found: Root[] = [];
  let next = after;
  for (let look = 0; look < MAX_LOOKS && found.length < limit; look += 1) {
    const page = await shelf.manifests(repository, { after: next, limit: Math.max(PAGE, limit) });
    const candidates = new Map(page.found.map((root) => [root.digest, root]));
    await removeTagged(candidates, { shelf, repository, measure });
    for (const root of candidates.values()) {
      found.push(root);
      // The page ends here, and the next begins after it.
      if (found.length === limit) {
        const isLast = page.next === undefined && root === [...candidates.values()].at(-1);
        return { found, next: isLast ? undefined : root.digest };
      }
    }
    next = page.next;
    if (next === undefined) break;
  }
  return { found, next };
}

async function removeTagged(
  candidates: Map<Digest, Root>,
  { shelf, repository, measure }: { readonly shelf: Shelf; readonly repository: Repository; readonly measure: Measure },
): Promise<void> {
  const remove = async ({ digest, mediaType }: Root): Promise<void> => {
    candidates.delete(digest);
    if (!mayBeIndex(mediaType)) return;
    for (const child of (await measure.parts({ digest, mediaType }))?.children ?? []) candidates.delete(child.digest);
  };
  for (const tag of await shelf.held(repository)) await remove(tag);
  for await (const page of tagPages(shelf, repository)) {
    for (const tag of page) {
      if (candidates.size === 0) return;
      await remove(tag);
    }
  }
}
