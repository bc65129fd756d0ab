import { setImmediate as nextTurn } from 'node:timers/promises';
import type { PullThrough } from '../cache/index.ts';
import { inTurns, PIECE, parseBoundedJsonInPieces } from '../lib/index.ts';
import { type ListQuery, OciError, type OriginList } from '../oci/index.ts';
import type { PassedGate } from '../server/index.ts';
import { answerList, listQuery, passList } from './lists.ts';
import type { PathOf, RegistryRequest } from './request.ts';

/** Pages of an upstream that are read for one page of a client that may see few of the repositories. */
const MAX_PAGES = 20;

/** `GET` of the catalogue: passed through, or with the repositories alone that the client may see. */
export async function answerCatalog(
  request: RegistryRequest<PathOf<'catalog'>>,
  cache: PullThrough,
  gate: PassedGate,
): Promise<void> {
  const { context, name, path } = request;
  const first = listQuery(path, context.query);
  if (!gate.isFiltered || (first.kind !== 'referrers' && first.limit === 0)) return answerList(request);
  const isShown = shownBy(request, cache, gate);
  passList(context, name, await filteredCatalog(request, { first, isShown }));
}

/** Whether the client may see a repository of the upstream in a list. */
export function shownBy(
  { repository: { registry }, anonymous }: RegistryRequest<PathOf<'catalog'>>,
  cache: PullThrough,
  { principal, authorize }: PassedGate,
): (name: string) => Promise<boolean> {
  return async (name) => {
    const repository = { registry, repository: name };
    const decision = authorize({ principal, action: 'catalog', repository });
    if (!decision.allowed || decision.onlyPublic !== true) return decision.allowed;
    // A question for each name of a page would be too many: a repository appears once it has been pulled.
    return cache.visibilities.isKnownPublic(repository, anonymous);
  };
}

/** A page of the upstream's catalogue with the repositories alone that are shown. */
export async function filteredCatalog(
  { context, path, repository, origin }: RegistryRequest<PathOf<'catalog'>>,
  { first, isShown }: { readonly first: ListQuery; readonly isShown: (name: string) => Promise<boolean> },
): Promise<OriginList> {
  const source = await origin();
  const repositories: string[] = [];
  let query = first;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const list = await source.list(repository, query, { signal: context.signal });
    for (const [at, name] of (await namesIn(list)).entries()) {
      // Each look-up ends within this turn, and a page may have a hundred thousand names.
      if (at % PIECE === PIECE - 1) await nextTurn();
      if (await isShown(name)) repositories.push(name);
    }
    if (list.next === undefined || (await isHarmless(list.next, isShown))) {
      return { ...list, bytes: Buffer.from(JSON.stringify({ repositories })) };
    }
    // The link would name a repository that the client may not see: its page goes on to the next name that it may.
    query = listQuery(path, list.next);
  }
  throw new OciError('UNSUPPORTED', 'too few of the repositories are yours to list; ask for larger pages with n', {
    status: 403,
  });
}

/** Whether a link names a repository that is shown anyway. A token of the upstream may hold any name. */
async function isHarmless(next: string, isShown: (repository: string) => Promise<boolean>): Promise<boolean> {
  const parameters = new URLSearchParams(next);
  const last = parameters.get('last');
  return last !== null && (await isShown(last));
}

async function namesIn({ bytes }: OriginList): Promise<readonly string[]> {
  let list: unknown;
  try {
    list = await inTurns(parseBoundedJsonInPieces(bytes));
  } catch (cause) {
    throw new OciError('UNAVAILABLE', 'the catalogue of the upstream is not JSON, or too long to be filtered', {
      status: 502,
      cause,
    });
  }
  const names = typeof list === 'object' && list !== null && 'repositories' in list ? list.repositories : undefined;
  if (!Array.isArray(names)) {
    throw new OciError('UNAVAILABLE', 'the catalogue of the upstream has no list of repositories', { status: 502 });
  }
  return names.filter((name) => typeof name === 'string');
}
