import type { BlobAnswer, BlobRequest, ManifestAnswer, PullThrough } from '../cache/index.ts';
import {
  type Digest,
  formatContentRange,
  isOriginFailure,
  parseRanges,
  type RangePart,
  type Repository,
  rangeInvalid,
} from '../oci/index.ts';
import {
  formatWarning,
  type Headers,
  PartsReader,
  type PassedGate,
  type RequestContext,
  replyBytes,
  replyEmpty,
  replyStream,
} from '../server/index.ts';
import { isOpenToAll } from './is-public.ts';
import type { PathOf, RegistryRequest } from './request.ts';

/** `GET /v2/`: a plain 200. A challenge would send clients for a token that is not needed (protocol.md, "the /v2/ trap"). */
export function answerBase({ context }: RegistryRequest<PathOf<'base'>>): void {
  replyBytes(context, 200, { 'content-type': 'application/json' }, '{}');
}

/** `GET` and `HEAD` of a manifest, by tag or by digest. */
export async function answerManifest(
  { context, repository, path: { reference }, origin }: RegistryRequest<PathOf<'manifest'>>,
  cache: PullThrough,
): Promise<void> {
  const { accept } = context.request.headers;
  const answer = await cache.manifest(repository, reference, {
    origin,
    head: context.isHead,
    accept,
    signal: context.signal,
  });
  context.cache = answer.outcome;
  context.upstream = answer.upstream;
  const headers = manifestHeaders(answer);
  if (isUnchanged(context, answer.digest)) return replyEmpty(context, 304, headers);
  headers['content-type'] = answer.mediaType;
  if (answer.bytes === undefined) return replyEmpty(context, 200, { ...headers, 'content-length': answer.size });
  replyBytes(context, 200, headers, answer.bytes);
}

function manifestHeaders({ digest, checkedAt, warning, cooling }: ManifestAnswer): Record<string, string | number> {
  const headers: Record<string, string | number> = { 'docker-content-digest': digest, etag: `"${digest}"` };
  if (checkedAt !== undefined) headers['age'] = Math.max(0, Math.floor((Date.now() - checkedAt) / 1000));
  if (warning !== undefined) headers['warning'] = formatWarning(299, warning);
  if (cooling !== undefined) {
    headers['x-entrepot-cooldown'] = `${cooling.digest}; until=${new Date(cooling.until).toISOString()}`;
  }
  return headers;
}

/** A digest says nothing of the type. */
const BLOB_TYPE = 'application/octet-stream';

/** `GET` and `HEAD` of a blob: whole, a Range of it, or a 307 to the upstream that has it. */
export async function answerBlob(
  asked: RegistryRequest<PathOf<'blob'>>,
  cache: PullThrough,
  gate: PassedGate,
): Promise<void> {
  const {
    context,
    repository,
    path: { digest },
    name: { registry },
    origin,
  } = asked;
  const { signal } = context;
  const headers = {
    'content-type': BLOB_TYPE,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    // The content of a digest never changes.
    'cache-control': 'max-age=31536000, immutable',
  };
  const unchanged = isUnchanged(context, digest);
  if (context.isHead || unchanged) {
    const head = await cache.headBlob(repository, digest, { origin, signal });
    context.cache = head.outcome;
    context.upstream = head.upstream;
    // 304 stands only for a 200 (RFC 9110 §13.2.1): headBlob has thrown where the repository does not have the blob.
    if (unchanged) return replyEmpty(context, 304, headers);
    return replyEmpty(context, 200, {
      ...headers,
      ...(head.size === undefined ? {} : { 'content-length': head.size }),
    });
  }
  if (registry.delivery === 'redirect' && (await isOpenToAll(asked, cache, gate))) {
    const location = await (await origin()).locateBlob(repository, digest, { signal });
    if (location !== undefined) {
      context.cache = 'PASS';
      context.upstream = location.upstream;
      return replyEmpty(context, 307, {
        location: location.url,
        'docker-content-digest': digest,
        'cache-control': 'no-store',
        'content-length': 0,
      });
    }
  }
  const keep = registry.delivery !== 'redirect';
  const request = { origin, range: rangeOf(context, digest), keep, signal };
  if (request.range?.includes(',') === true) {
    const isAnswered = await sendParts(context, headers, { digest, repository, request, cache });
    if (isAnswered) return;
  }
  const answer = await cache.blob(repository, digest, request);
  try {
    await sendBlob(context, headers, answer);
  } catch (error) {
    // Before the first byte: the disk failed, and the cache has dropped the blob, or an upstream gave it wrongly. The second
    // try asks the upstream, or another one.
    const mayRetry = answer.outcome === 'HIT' || (isOriginFailure(error) && error.another === true);
    if (!mayRetry || context.response.headersSent || signal.aborted) throw error;
    await sendBlob(context, headers, await cache.blob(repository, digest, request));
  }
}

interface SeveralRanges {
  readonly digest: Digest;
  readonly repository: Repository;
  readonly request: BlobRequest;
  readonly cache: PullThrough;
}

function sendBlob(context: RequestContext, headers: Headers, answer: BlobAnswer): Promise<void> {
  const { part, size, reader } = answer;
  context.cache = answer.outcome;
  context.upstream = answer.upstream;
  if (part === undefined) return replyStream(context, 200, headers, { reader, length: size });
  const partHeaders = { ...headers, 'content-range': formatContentRange(part, size) };
  return replyStream(context, 206, partHeaders, { reader, length: part.end - part.start + 1 });
}

/** Answers several ranges; false where they are to be ignored, or the size is not known: then the whole is the answer. */
async function sendParts(
  context: RequestContext,
  headers: Headers,
  { digest, repository, request, cache }: SeveralRanges,
): Promise<boolean> {
  const size = await cache.blobSize(repository, digest, request);
  const parts = size === undefined ? undefined : parseRanges(request.range, size);
  if (size === undefined || parts === undefined) return false;
  if (parts.length === 0) {
    // The upstream may not have the blob at all, which is 404.
    await cache.headBlob(repository, digest, request);
    throw rangeInvalid(size);
  }
  const open = ({ start, end }: RangePart) =>
    cache.blob(repository, digest, { ...request, range: `bytes=${start}-${end}` });
  const [only] = parts;
  if (only !== undefined && parts.length === 1) {
    await sendBlob(context, headers, await open(only));
    return true;
  }
  const { reader, first } = await PartsReader.open({ parts, size, contentType: BLOB_TYPE, open });
  context.cache = first.outcome;
  context.upstream = first.upstream;
  const { contentType, length } = reader;
  await replyStream(context, 206, { ...headers, 'content-type': contentType }, { reader, length });
  return true;
}

/** The `Range` header, unless `If-Range` names another entity than this blob (RFC 9110 §13.1.5). */
function rangeOf(context: RequestContext, digest: Digest): string | undefined {
  const { range } = context.request.headers;
  const condition = context.request.headers['if-range'];
  return condition === undefined || condition === `"${digest}"` ? range : undefined;
}

/** True where the client has it already and sent a condition: containerd takes an unrequested 304 for an error. */
function isUnchanged(context: RequestContext, digest: Digest): boolean {
  const condition = context.request.headers['if-none-match'];
  if (condition === undefined) return false;
  return condition.split(',', 64).some((etag) => etag.trim().replace(/^W\//, '') === `"${digest}"`);
}
