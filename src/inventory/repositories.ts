import { setImmediate as nextTurn } from 'node:timers/promises';
import { PIECE } from '../lib/index.ts';
import type { Repository } from '../oci/index.ts';
import type { FoundRepositories, RepositorySearch } from '../store/index.ts';
import type { Home, InventoryCaller } from './entries.ts';

/** A repository that is here, and where its content is at home. */
export interface ListedRepository {
  readonly repository: Repository;
  readonly home: Home;
}

interface ListRepositoriesOptions {
  readonly sources: readonly {
    readonly home: Home;
    readonly search: (search: RepositorySearch) => Promise<FoundRepositories>;
  }[];
  /** False: what was mirrored under a name that is hosted now, or hosted and is not any more. */
  readonly isShown: (entry: ListedRepository) => boolean;
  readonly caller: InventoryCaller;
  readonly words: readonly string[];
  readonly registry: string | undefined;
  readonly after: Repository | undefined;
  readonly limit: number;
}

/** One page, and where the next begins: a place that the caller may not be told as it is. Undefined at the end. */
export interface RepositoryPage {
  readonly repositories: readonly ListedRepository[];
  readonly next: Repository | undefined;
}

/** Names that one page may look at for those that its caller sees. */
const MAX_ASKED = 5000;

/** Searches of each source for one page. */
const MAX_SEARCHES = 50;

/** The next repositories of all sources, in one order, that are shown and that the caller sees. */
export async function listRepositories(options: ListRepositoriesOptions): Promise<RepositoryPage> {
  const { sources, isShown, caller, words, registry, limit } = options;
  const found: ListedRepository[] = [];
  let after = options.after;
  let asked = 0;
  for (let searches = 0; searches < MAX_SEARCHES; searches += 1) {
    const search = { words, registry, after, limit: Math.max(PIECE, limit + 1) };
    const results = await Promise.all(sources.map(async ({ home, search: run }) => ({ home, ...(await run(search)) })));
    // Beyond the place where one source stopped looking, the order of all is not known yet.
    const end = results
      .flatMap(({ next }) => (next === undefined ? [] : [next]))
      .reduce<Repository | undefined>((first, each) => (first && byName(first, each) <= 0 ? first : each), undefined);
    const known = results
      .flatMap(({ home, repositories }) => repositories.map((repository) => ({ home, repository })))
      .filter(({ repository }) => end === undefined || byName(repository, end) <= 0)
      .sort((a, b) => byName(a.repository, b.repository));
    for (const entry of known) {
      if (!isShown(entry)) continue;
      if (!caller.seesAll) {
        if (asked >= MAX_ASKED) return { repositories: found, next: after };
        asked += 1;
        if (asked % PIECE === 0) await nextTurn();
        if (!(await caller.sees(entry.repository))) {
          after = entry.repository;
          continue;
        }
      }
      // One more than the page shows that there is another page.
      if (found.length === limit) return { repositories: found, next: found.at(-1)?.repository };
      found.push(entry);
      after = entry.repository;
    }
    if (end === undefined) return { repositories: found, next: undefined };
    after = end;
    // A search that stopped before it found enough has looked at as much as one answer may.
    const isLong = results.some(({ next, repositories }) => next !== undefined && repositories.length < search.limit);
    if (isLong) return { repositories: found, next: after };
    await nextTurn();
  }
  return { repositories: found, next: after };
}

/** By registry, then by name. */
function byName(a: Repository, b: Repository): number {
  if (a.registry !== b.registry) return a.registry < b.registry ? -1 : 1;
  return a.repository === b.repository ? 0 : a.repository < b.repository ? -1 : 1;
}
