import type { Selection } from '../../cache/index.ts';
import { compileGlob } from '../../lib/index.ts';
import type { Repository } from '../../oci/index.ts';
import type { HostedStore } from '../../store/index.ts';

/** Repositories asked for at a time. */
const PAGE = 500;

/** The most repositories that are looked at. */
const MAX_REPOSITORIES = 100_000;

const WILD = /[*?]/;

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
