import { filterQuery } from '../lib/index.ts';
import { type ListQuery, OciError, type OriginList } from '../oci/index.ts';
import { nextLink, type ResolvedName } from '../routing/index.ts';
import { isInert, type RequestContext, replyBytes, SANDBOX } from '../server/index.ts';
import type { PathOf, RegistryRequest } from './request.ts';

type ListPath = PathOf<'tags' | 'catalog' | 'referrers'>;

/** `GET` of a list: tags, the catalogue, referrers. Lists pass straight through: none is cached. */
export async function answerList({
  context,
  repository,
  name,
  path,
  origin,
}: RegistryRequest<ListPath>): Promise<void> {
  const query = listQuery(path, context.query);
  if (query.kind !== 'referrers' && query.limit === 0) {
    // The specification wants an empty list without a link to a next page.
    const empty = query.kind === 'tags' ? { name: repository.repository, tags: [] } : { repositories: [] };
    return replyBytes(context, 200, { 'content-type': 'application/json' }, JSON.stringify(empty));
  }
  const list = await (await origin()).list(repository, query, { signal: context.signal });
  passList(context, name, list);
}

/** Sends a list of an upstream. */
export function passList(context: RequestContext, name: ResolvedName, list: OriginList): void {
  context.cache = 'PASS';
  context.upstream = list.upstream;
  sendList(context, name, list);
}

/** Sends a list, with the link to its next page in the form of the client's own request. */
export function sendList(
  context: RequestContext,
  name: ResolvedName,
  list: Pick<OriginList, 'bytes' | 'mediaType' | 'next' | 'filtersApplied'>,
): void {
  const headers: Record<string, string | number> = { 'content-type': list.mediaType };
  if (!isInert(list.mediaType)) headers['content-security-policy'] = SANDBOX;
  if (list.filtersApplied !== undefined) headers['oci-filters-applied'] = list.filtersApplied;
  const link =
    list.next === undefined ? undefined : nextLink(name.addressing, { tail: tailOf(name), query: list.next });
  if (link !== undefined) headers['link'] = link;
  replyBytes(context, 200, headers, list.bytes);
}

/** The part of the client's path behind the addressing: its path without the part that names the registry. */
function tailOf({ path }: ResolvedName): string {
  return path.slice('/v2/'.length);
}

/** Parameters that no upstream knows are passed on as they came: some registries (Quay) page by parameters of their own. */
export function listQuery(path: ListPath, query: string): ListQuery {
  const parameters = new URLSearchParams(query);
  if (path.kind === 'referrers') {
    const artifactType = parameters.get('artifactType');
    const ours = ['artifactType', 'ns', 'digest'];
    const page = filterQuery(query, (name) => !ours.includes(name));
    return {
      kind: 'referrers',
      digest: path.digest,
      ...(artifactType === null ? {} : { artifactType }),
      ...(page === '' ? {} : { page }),
    };
  }
  const last = parameters.get('last');
  const limit = pageSize(parameters.get('n'));
  // The query as it was written: a `last` may be a token in no encoding.
  const page = filterQuery(query, (name) => name !== 'ns');
  return {
    kind: path.kind,
    ...(limit === undefined ? {} : { limit }),
    ...(last === null ? {} : { last }),
    ...(page === '' ? {} : { page }),
  };
}

/** The largest page that is requested from an upstream: any client may choose the number (CVE-2023-2253). */
const MAX_PAGE_SIZE = 10_000;

function pageSize(text: string | null): number | undefined {
  if (text === null) return undefined;
  // 19 digits: clients written in Go ask for all by the largest int64.
  if (!/^\d{1,19}$/.test(text)) {
    throw new OciError(
      'PAGINATION_NUMBER_INVALID',
      `n is "${text.slice(0, 20)}"; expected a number of results, 0 or more`,
    );
  }
  return Math.min(Number(text), MAX_PAGE_SIZE);
}
