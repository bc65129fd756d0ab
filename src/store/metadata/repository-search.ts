import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Repository } from '../../oci/index.ts';
import { type FoundRepositories, MAX_WORDS, type RepositorySearch } from './metadata-store.ts';

const DEFAULT_MOST = 200_000;

/** Repositories looked at before the event loop turns: about two milliseconds. */
const PIECE = 4096;

/** Comes after every name. */
const LAST = '\u{10ffff}';

/** The statements of a search in a database that has a table of `repositories`. */
export const SEARCH_STATEMENTS = {
  endOfPiece: `SELECT registry, repository FROM repositories WHERE (registry, repository) > (?, ?)
    ORDER BY registry, repository LIMIT 1 OFFSET ?`,
  // In an empty word every name is found.
  searchRepositories: `SELECT registry, repository FROM repositories
    WHERE (registry, repository) > (?, ?) AND (registry, repository) <= (?, ?)
    ${' AND instr(registry || char(47) || repository, ?) > 0'.repeat(MAX_WORDS)}
    ORDER BY registry, repository LIMIT ?`,
} as const;

interface SearchQueries {
  readonly endOfPiece: (registry: string, repository: string, offset: number) => Repository | undefined;
  readonly search: (...values: (string | number)[]) => readonly Repository[];
}

/** Searches a table piece by piece; in between, the event loop turns. */
export async function searchTable(
  { words = [], registry, after, limit, most = DEFAULT_MOST }: RepositorySearch,
  { endOfPiece, search }: SearchQueries,
): Promise<FoundRepositories> {
  const found: Repository[] = [];
  const wanted = Array.from({ length: MAX_WORDS }, (_, at) => words[at] ?? '');
  let from = startOf(after, registry);
  for (let looked = 0; ; looked += PIECE) {
    const end = from && endOfPiece(from.registry, from.repository, PIECE - 1);
    const isLast = end === undefined || (registry !== undefined && end.registry !== registry);
    if (from === undefined) return { repositories: found, next: undefined };
    const upTo = isLast ? { registry: registry ?? LAST, repository: LAST } : end;
    const room = limit - found.length;
    found.push(...search(from.registry, from.repository, upTo.registry, upTo.repository, ...wanted, room));
    if (found.length >= limit) return { repositories: found, next: found.at(-1) };
    if (isLast) return { repositories: found, next: undefined };
    from = upTo;
    if (looked + PIECE >= most) return { repositories: found, next: upTo };
    await nextTurn();
  }
}

/** The same among repositories in memory, in any order. */
export function searchList(
  all: Iterable<Repository>,
  { words = [], registry, after, limit, most = DEFAULT_MOST }: RepositorySearch,
): FoundRepositories {
  const from = startOf(after, registry);
  const wanted = words.slice(0, MAX_WORDS);
  const following = [...all]
    .filter((each) => from !== undefined && byName(each, from) > 0)
    .filter((each) => registry === undefined || each.registry === registry)
    .sort(byName);
  const looked = following.slice(0, most);
  const found = looked
    .filter((each) => wanted.every((word) => `${each.registry}/${each.repository}`.includes(word)))
    .slice(0, limit);
  if (found.length >= limit) return { repositories: found, next: found.at(-1) };
  return { repositories: found, next: following.length > looked.length ? looked.at(-1) : undefined };
}

/** Undefined where the page begins behind the registry. */
function startOf(after: Repository | undefined, registry: string | undefined): Repository | undefined {
  if (registry === undefined) return after ?? { registry: '', repository: '' };
  if (after === undefined || after.registry < registry) return { registry, repository: '' };
  return after.registry === registry ? after : undefined;
}

function byName(a: Repository, b: Repository): number {
  if (a.registry !== b.registry) return a.registry < b.registry ? -1 : 1;
  return a.repository === b.repository ? 0 : a.repository < b.repository ? -1 : 1;
}
