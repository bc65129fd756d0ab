import { filterQuery } from '../../lib/index.ts';
import type { HttpReply } from '../../net/index.ts';
import type { ListQuery, OriginList } from '../../oci/index.ts';
import { parseJsonObject } from '../json.ts';
import type { Upstream } from '../upstream.ts';
import { CATALOG_SCOPE, pullScope, type UpstreamRequest, type UpstreamResponse } from '../upstream-request.ts';
import { listQueryString, nextPage } from './list-page.ts';
import { bareMediaType, beginsAsJson } from './manifest-answer.ts';

/** The catalogue has no repository. */
export interface ListAsked<Q extends ListQuery = ListQuery> extends Pick<UpstreamRequest, 'via' | 'signal'> {
  readonly repository: string;
  readonly query: Q;
}

/** Bytes of one page. Ten thousand tags of the longest kind have 1.3 MB. */
export const MAX_LIST_BYTES = 8 * 1024 * 1024;

/** One page of a repository's tags or of the catalogue. */
export async function listNames(upstream: Upstream, asked: ListAsked): Promise<OriginList> {
  const { repositoryPrefix: prefix } = upstream.spec;
  const query = prefix === undefined ? asked.query : behindPrefix(asked.query, prefix);
  const request = listQuestion({ ...asked, query });
  const answer = await upstream.fetch(request, MAX_LIST_BYTES);
  if (answer.reply.status !== 200) throw await upstream.failure(request, answer);
  const list = readList(upstream, request, answer);
  return prefix === undefined ? list : { ...list, bytes: withoutPrefix(list.bytes, prefix) };
}

/** A client that counts by itself names the last repository as it got it; a followed link has its name at the upstream. */
function behindPrefix(query: ListQuery, prefix: string): ListQuery {
  if (query.kind !== 'catalog' || query.last === undefined || query.last.startsWith(`${prefix}/`)) return query;
  const rest = filterQuery(query.page ?? '', (name) => name !== 'last');
  const last = `${prefix}/${query.last}`;
  return { ...query, last, page: [rest, `last=${encodeURIComponent(last)}`].filter((each) => each !== '').join('&') };
}

/** The list with the names of the registry: those under the prefix, without it. */
export function withoutPrefix(bytes: Buffer, prefix: string): Buffer {
  const json = parseJsonObject(bytes);
  if (json === undefined) return bytes;
  const front = `${prefix}/`;
  const isBehind = (name: unknown): name is string => typeof name === 'string' && name.startsWith(front);
  const { name, repositories } = json;
  const own = {
    ...json,
    ...(isBehind(name) ? { name: name.slice(front.length) } : {}),
    ...(Array.isArray(repositories)
      ? { repositories: repositories.filter(isBehind).map((each) => each.slice(front.length)) }
      : {}),
  };
  return Buffer.from(JSON.stringify(own));
}

export function readList(
  upstream: Upstream,
  request: UpstreamRequest,
  answer: UpstreamResponse<HttpReply>,
): OriginList {
  const { headers, body: bytes } = answer.reply;
  // Login pages and captive portals answer 200 as well. What came encoded is no JSON either; a wrong label is ignored.
  if (!beginsAsJson(bytes)) throw upstream.invalid(request, 'the answer is not a JSON object');
  return {
    bytes,
    mediaType: bareMediaType(headers['content-type']) || 'application/json',
    next: nextPage(headers['link']),
    filtersApplied: headers['oci-filters-applied'],
    upstream: upstream.name,
    visibility: answer.visibility,
  };
}

export function listQuestion(asked: ListAsked): UpstreamRequest {
  const { query, repository } = asked;
  return {
    method: 'GET',
    path: `${listPath(repository, query)}${listQueryString(query)}`,
    scope: query.kind === 'catalog' ? CATALOG_SCOPE : pullScope(repository),
    headers: { accept: 'application/json, application/vnd.oci.image.index.v1+json, */*;q=0.1' },
    kind: 'list',
    via: asked.via,
    signal: asked.signal,
  };
}

function listPath(repository: string, query: ListQuery): string {
  if (query.kind === 'catalog') return '/v2/_catalog';
  if (query.kind === 'tags') return `/v2/${repository}/tags/list`;
  return `/v2/${repository}/referrers/${query.digest}`;
}
