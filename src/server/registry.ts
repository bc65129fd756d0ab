import type { BlobAnswer, ListQuery, ManifestAnswer, PullThrough } from '../cache/index.ts';
import {
  type Digest,
  formatContentRange,
  OciError,
  type Reference,
  type RegistryPath,
  type RegistrySpec,
  type Repository,
} from '../oci/index.ts';
import { nextLink, type ResolvedName } from '../routing/index.ts';
import type { Exchange } from './exchange.ts';
import { type Headers, replyBytes, replyEmpty, replyStream } from './reply.ts';
import { formatWarning } from './warning.ts';

/** A request whose registry, repository and meaning are known and which has passed the gate. */
export interface RegistryRequest {
  readonly exchange: Exchange;
  readonly name: ResolvedName;
  readonly path: Exclude<RegistryPath, { kind: 'uploads' }>;
  /** The repository as its registry knows it; its name is empty for `/v2/` and the catalogue. */
  readonly repository: Repository;
}

/** Answers one request of the registry API from the cache. Failures reject; the caller answers them. */
export async function answerRegistry(request: RegistryRequest, cache: PullThrough): Promise<void> {
  const { path, exchange, repository, name } = request;
  switch (path.kind) {
    case 'base':
      // A plain 200: a challenge would send clients for a token nobody needs (protocol.md, "the /v2/ trap").
      return replyBytes(exchange, 200, { 'content-type': 'application/json' }, '{}');
    case 'manifest':
      return answerManifest(exchange, repository, path.reference, cache);
    case 'blob':
      return answerBlob(exchange, { repository, digest: path.digest, registry: name.registry }, cache);
    case 'tags':
    case 'catalog':
    case 'referrers':
      return answerList(request, path, cache);
  }
}

async function answerManifest(
  exchange: Exchange,
  repository: Repository,
  reference: Reference,
  cache: PullThrough,
): Promise<void> {
  const { accept } = exchange.request.headers;
  const answer = await cache.manifest(repository, reference, {
    head: exchange.isHead,
    accept,
    signal: exchange.signal,
  });
  exchange.cache = answer.outcome;
  exchange.upstream = answer.upstream;
  const headers = manifestHeaders(answer);
  if (isUnchanged(exchange, answer.digest)) return replyEmpty(exchange, 304, headers);
  headers['content-type'] = answer.mediaType;
  if (answer.bytes === undefined) return replyEmpty(exchange, 200, { ...headers, 'content-length': answer.size });
  replyBytes(exchange, 200, headers, answer.bytes);
}

function manifestHeaders({ digest, checkedAt, warning }: ManifestAnswer): Record<string, string | number> {
  const headers: Record<string, string | number> = { 'docker-content-digest': digest, etag: `"${digest}"` };
  if (checkedAt !== undefined) headers['age'] = Math.max(0, Math.floor((Date.now() - checkedAt) / 1000));
  if (warning !== undefined) headers['warning'] = formatWarning(299, warning);
  return headers;
}

interface BlobTarget {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly registry: RegistrySpec;
}

async function answerBlob(exchange: Exchange, target: BlobTarget, cache: PullThrough): Promise<void> {
  const { repository, digest, registry } = target;
  const { signal } = exchange;
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    // What a digest names never changes.
    'cache-control': 'max-age=31536000, immutable',
  };
  const unchanged = isUnchanged(exchange, digest);
  if (exchange.isHead || unchanged) {
    const head = await cache.headBlob(repository, digest, { signal });
    exchange.cache = head.outcome;
    exchange.upstream = head.upstream;
    // Only what would be answered 200 can be unchanged (RFC 9110 §13.2.1): not what this repository does not have.
    if (unchanged) return replyEmpty(exchange, 304, headers);
    return replyEmpty(exchange, 200, {
      ...headers,
      ...(head.size === undefined ? {} : { 'content-length': head.size }),
    });
  }
  if (registry.delivery === 'redirect') {
    const location = await cache.locate(repository, digest, signal);
    if (location !== undefined) {
      exchange.cache = 'PASS';
      exchange.upstream = location.upstream;
      return replyEmpty(exchange, 307, {
        location: location.url,
        'docker-content-digest': digest,
        'cache-control': 'no-store',
        'content-length': 0,
      });
    }
  }
  const keep = registry.delivery !== 'redirect';
  const request = { range: rangeOf(exchange, digest), keep, signal };
  const answer = await cache.blob(repository, digest, request);
  try {
    await sendBlob(exchange, headers, answer);
  } catch (error) {
    if (answer.outcome !== 'HIT' || exchange.response.headersSent || signal.aborted) throw error;
    // The disk gave it up before its first byte, and so it is not there any more: asked again, it comes from the upstream.
    await sendBlob(exchange, headers, await cache.blob(repository, digest, request));
  }
}

function sendBlob(exchange: Exchange, headers: Headers, answer: BlobAnswer): Promise<void> {
  const { part, size, reader } = answer;
  exchange.cache = answer.outcome;
  exchange.upstream = answer.upstream;
  if (part === undefined) return replyStream(exchange, 200, headers, { reader, length: size });
  const partHeaders = { ...headers, 'content-range': formatContentRange(part, size) };
  return replyStream(exchange, 206, partHeaders, { reader, length: part.end - part.start + 1 });
}

/** The `Range` header, unless `If-Range` names something else than this blob (RFC 9110 §13.1.5). */
function rangeOf(exchange: Exchange, digest: Digest): string | undefined {
  const { range } = exchange.request.headers;
  const condition = exchange.request.headers['if-range'];
  return condition === undefined || condition === `"${digest}"` ? range : undefined;
}

/** True where the client has it already, and asked (containerd takes a 304 it did not ask for as an error). */
function isUnchanged(exchange: Exchange, digest: Digest): boolean {
  const condition = exchange.request.headers['if-none-match'];
  if (condition === undefined) return false;
  return condition.split(',', 64).some((etag) => etag.trim().replace(/^W\//, '') === `"${digest}"`);
}

type ListPath = Extract<RegistryPath, { kind: 'tags' | 'catalog' | 'referrers' }>;

async function answerList(request: RegistryRequest, path: ListPath, cache: PullThrough): Promise<void> {
  const { exchange, repository, name } = request;
  const query = listQuery(path, new URLSearchParams(exchange.query));
  if (query.kind !== 'referrers' && query.limit === 0) {
    // By the specification: an empty list, and no link to a next page.
    const empty = query.kind === 'tags' ? { name: repository.repository, tags: [] } : { repositories: [] };
    return replyBytes(exchange, 200, { 'content-type': 'application/json' }, JSON.stringify(empty));
  }
  const list = await cache.list(repository, query, exchange.signal);
  exchange.cache = 'PASS';
  exchange.upstream = list.upstream;
  const headers: Record<string, string | number> = { 'content-type': list.mediaType };
  if (list.filtersApplied !== undefined) headers['oci-filters-applied'] = list.filtersApplied;
  const link =
    list.next === undefined ? undefined : nextLink(name.addressing, { tail: tailOf(name), query: list.next });
  if (link !== undefined) headers['link'] = link;
  replyBytes(exchange, 200, headers, list.bytes);
}

/** What follows the addressing in the client's own URL: its path without what named the registry. */
function tailOf({ path }: ResolvedName): string {
  return path.slice('/v2/'.length);
}

function listQuery(path: ListPath, parameters: URLSearchParams): ListQuery {
  if (path.kind === 'referrers') {
    const artifactType = parameters.get('artifactType');
    for (const ours of ['artifactType', 'ns', 'digest']) parameters.delete(ours);
    const page = parameters.toString();
    return {
      kind: 'referrers',
      digest: path.digest,
      ...(artifactType === null ? {} : { artifactType }),
      ...(page === '' ? {} : { page }),
    };
  }
  const last = parameters.get('last');
  const limit = pageSize(parameters.get('n'));
  parameters.delete('ns');
  // Some registries (Quay) lead to their next page by words of their own, which only they understand.
  const isOwn = [...parameters.keys()].some((name) => name !== 'n' && name !== 'last');
  return {
    kind: path.kind,
    ...(limit === undefined ? {} : { limit }),
    ...(last === null ? {} : { last }),
    ...(isOwn ? { page: parameters.toString() } : {}),
  };
}

/** More than this is never asked of an upstream: the number comes from anybody (CVE-2023-2253). */
const MAX_PAGE_SIZE = 10_000;

function pageSize(text: string | null): number | undefined {
  if (text === null) return undefined;
  // As many digits as the largest number that clients written in Go use for "all".
  if (!/^\d{1,19}$/.test(text)) {
    throw new OciError(
      'PAGINATION_NUMBER_INVALID',
      `n is "${text.slice(0, 20)}"; expected a number of results, 0 or more`,
    );
  }
  return Math.min(Number(text), MAX_PAGE_SIZE);
}
