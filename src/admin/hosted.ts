import { HoldError } from '../cache/index.ts';
import { type Hosting, HostingRules } from '../hosting/index.ts';
import type { Digest, Repository } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';

/** What operations that reach hosted content act on. */
export interface HostedContext {
  readonly hosted: {
    /** Undefined where nothing is hosted. */
    readonly current: Pick<Hosting, 'collect' | 'history' | 'records' | 'scrub' | 'select'> | undefined;
  };
}

/** Repositories that a message or an answer names. */
const MAX_NAMED = 5;

/** Whether the home of a repository is this server. */
export function isHostedIn(catalogue: Catalogue, repository: Repository): boolean {
  return new HostingRules(catalogue.list()).homeOf(repository) === 'here';
}

/** @throws {HoldError} for a repository whose home is here: its tags follow no upstream */
export function refuseHold(catalogue: Catalogue, repository: Repository, tag: string): void {
  if (!isHostedIn(catalogue, repository)) return;
  throw new HoldError(
    `${textOf(repository)}:${tag} is hosted here: it follows no upstream, so nothing holds it. To move it, push it or use \`entrepot rollback\``,
  );
}

/** The first few hosted repositories that selections reach, and how many there are. */
export async function hostedAmong(
  selections: readonly Parameters<Hosting['select']>[0][],
  { current }: HostedContext['hosted'],
): Promise<{ readonly count: number; readonly names: readonly string[] }> {
  const found = new Set<string>();
  for (const selection of selections) {
    const { digest } = selection;
    for (const repository of (await current?.select(selection)) ?? []) {
      const has = async (each: Digest): Promise<boolean> =>
        (await current?.records.getManifest(repository, each)) !== undefined ||
        (await current?.records.getBlob(repository, each)) !== undefined;
      if (digest === undefined || (await has(digest))) found.add(textOf(repository));
    }
  }
  return { count: found.size, names: [...found].slice(0, MAX_NAMED) };
}

/** The first few repositories that have a hosted digest. */
export async function ownersOf(digest: Digest, { current }: HostedContext['hosted']): Promise<readonly string[]> {
  return ((await current?.records.repositoriesOf(digest, MAX_NAMED)) ?? []).map(textOf);
}

function textOf({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}
