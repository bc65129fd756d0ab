import type { Selection } from '../../cache/index.ts';
import { compileGlob } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { HostedMove, HostedStore } from '../../store/index.ts';

/** Where a tag of a hosted repository pointed. */
export interface HostedTagHistory {
  readonly repository: Repository;
  readonly tag: string;
  /** Undefined: the tag was deleted. */
  readonly current: Digest | undefined;
  /** Newest first. `stored`: the repository still has the manifest. */
  readonly moves: readonly (HostedMove & { readonly stored: boolean })[];
}

/** The most moves that one answer lists. */
const MAX_MOVES = 1000;

/** Names asked for at a time. */
const PAGE = 500;

/** The most repositories that are looked at. */
const MAX_REPOSITORIES = 100_000;

const WILD = /[*?]/;

/**
 * Where the selected tags of hosted repositories pointed, tags that were deleted too. `omitted`: tags that were left out of a long answer.
 *
 * @param isHosted whether the home of a repository is here
 */
export async function hostedTagHistory(
  selection: Selection,
  { records, isHosted }: { readonly records: HostedStore; readonly isHosted: (repository: Repository) => boolean },
): Promise<{ readonly tags: readonly HostedTagHistory[]; readonly omitted: number }> {
  const tags: HostedTagHistory[] = [];
  const matches = compileGlob(selection.tag ?? '**');
  let [listed, omitted] = [0, 0];
  for (const repository of await selectHosted(selection, { records, isHosted })) {
    let after: string | undefined;
    for (;;) {
      const names = await records.listTagNames(repository, { after, limit: PAGE });
      for (const tag of names.filter(matches)) {
        if (listed >= MAX_MOVES) {
          omitted += 1;
          continue;
        }
        const history = await historyOf(repository, tag, records);
        listed += Math.max(1, history.moves.length);
        tags.push(history);
      }
      after = names.at(-1);
      if (names.length < PAGE) break;
    }
  }
  return { tags, omitted };
}

/** The hosted repositories that a selection matches, which were pushed to. */
export async function selectHosted(
  { repository: pattern }: Selection,
  { records, isHosted }: { readonly records: HostedStore; readonly isHosted: (repository: Repository) => boolean },
): Promise<readonly Repository[]> {
  if (pattern !== undefined && !WILD.test(pattern)) {
    const slash = pattern.indexOf('/');
    const repository = { registry: pattern.slice(0, slash), repository: pattern.slice(slash + 1) };
    return isHosted(repository) && (await records.hasRepository(repository)) ? [repository] : [];
  }
  const matches = compileGlob(pattern ?? '**');
  const selected: Repository[] = [];
  for (let after: Repository | undefined; selected.length < MAX_REPOSITORIES; ) {
    const page = await records.listRepositories({ after, limit: PAGE });
    selected.push(...page.filter((each) => matches(`${each.registry}/${each.repository}`) && isHosted(each)));
    after = page.at(-1);
    if (page.length < PAGE) break;
  }
  return selected;
}

async function historyOf(repository: Repository, tag: string, records: HostedStore): Promise<HostedTagHistory> {
  const [current, moves] = await Promise.all([records.getTag(repository, tag), records.listTagMoves(repository, tag)]);
  const known = new Map<Digest, boolean>();
  for (const { digest } of moves.slice(0, MAX_MOVES)) {
    if (digest === undefined || known.has(digest)) continue;
    known.set(digest, (await records.getManifest(repository, digest)) !== undefined);
  }
  return {
    repository,
    tag,
    current: current?.digest,
    moves: moves
      .slice(0, MAX_MOVES)
      .map((move) => ({ ...move, stored: move.digest !== undefined && known.get(move.digest) === true })),
  };
}
