import { z } from 'zod';
import { HoldError } from '../cache/index.ts';
import { type Hosting, HostingRules } from '../hosting/index.ts';
import type { Digest, Repository } from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';

/** What operations that reach hosted content act on. */
export interface HostedContext {
  readonly hosted: {
    /** Undefined where nothing is hosted. */
    readonly current: Pick<Hosting, 'collect' | 'history' | 'manifests' | 'records' | 'scrub' | 'select'> | undefined;
  };
}

/** Who changes a tag by a command: users have no such name. */
const OPERATOR = { by: 'entrepot rollback', client: 'control socket' };

/** Repositories that a message or an answer names. */
const MAX_NAMED = 5;

export const hostedHistory = z
  .array(
    z.object({
      image: z.string(),
      moves: z
        .array(
          z.object({
            at: z.number().describe('Milliseconds since 1970.'),
            digest: z.string().optional().describe('Absent: the tag was deleted.'),
            by: z.string().describe('The principal who moved it.'),
            current: z.boolean(),
            stored: z.boolean().describe('The repository still has the manifest.'),
          }),
        )
        .readonly()
        .describe('Newest first.'),
    }),
  )
  .readonly();
export type HostedHistory = z.infer<typeof hostedHistory>;

/** Whether the home of a repository is this server. */
export function isHostedIn(catalogue: Catalogue, repository: Repository): boolean {
  return new HostingRules(catalogue.list()).homeOf(repository) === 'here';
}

/** Where the selected tags of hosted repositories pointed. */
export async function historyOfHosted(
  selection: Parameters<Hosting['history']>[0],
  { current }: HostedContext['hosted'],
): Promise<{ readonly tags: HostedHistory; readonly omitted: number }> {
  if (current === undefined) return { tags: [], omitted: 0 };
  const { tags, omitted } = await current.history(selection);
  return {
    omitted,
    tags: tags.map(({ repository, tag, current: points, moves }) => ({
      image: `${textOf(repository)}:${tag}`,
      moves: moves.map(({ at, digest, by, stored }, index) => ({
        at,
        ...(digest === undefined ? {} : { digest }),
        by,
        // A tag may have pointed there before too.
        current: index === 0 && digest !== undefined && digest === points,
        stored,
      })),
    })),
  };
}

/** Moves a tag of a hosted repository back. @throws {HoldError} where that cannot be, with the remedy */
export async function rollBackHosted(
  { repository, tag, digest }: { readonly repository: Repository; readonly tag: string; readonly digest: Digest },
  { current, until, reason }: HostedContext['hosted'] & { readonly until: number | undefined; readonly reason: string },
): Promise<{ readonly image: string; readonly digest: string; readonly from?: string }> {
  const image = `${textOf(repository)}:${tag}`;
  if (until !== undefined) {
    throw new HoldError(`${image} is hosted here, so it is moved and not held; leave out --until`);
  }
  if (reason !== '') {
    throw new HoldError(
      `${image} is hosted here, and its history has who moved it and when, but no reason; leave out --reason`,
    );
  }
  if (current === undefined) throw new HoldError(`${image} does not exist: nothing was pushed to this server`);
  const from = await current.manifests.rollBack(repository, { tag, digest }, OPERATOR);
  return { image, digest, ...(from === undefined ? {} : { from }) };
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

export function textOf({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}
