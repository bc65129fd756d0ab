import type { BlobAnswer, ManifestAnswer, PullThrough } from '../cache/index.ts';
import { isOriginFailure } from '../oci/index.ts';
import { formatWarning, isInert, type PassedGate, replyBytes, replyEmpty, SANDBOX } from '../server/index.ts';
import { sendBlob } from './blob.ts';
import { isUnchanged } from './conditions.ts';
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
  context.reason = answer.reason;
  context.upstream = answer.upstream;
  const headers = manifestHeaders(answer);
  if (isUnchanged(context, answer.digest)) return replyEmpty(context, 304, headers);
  headers['content-type'] = answer.mediaType;
  if (!isInert(answer.mediaType)) headers['content-security-policy'] = SANDBOX;
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

/** `GET` and `HEAD` of a blob: whole, a Range of it, or a 307 to the upstream that has it. */
export function answerBlob(
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
  const isRedirected = registry.delivery === 'redirect';
  const request = { origin, keep: !isRedirected, signal };
  const redirect = async (): Promise<boolean> => {
    if (!(await isOpenToAll(asked, cache, gate))) return false;
    const location = await (await origin()).locateBlob(repository, digest, { signal });
    if (location === undefined) return false;
    context.cache = 'PASS';
    context.reason = 'the client is redirected to the upstream';
    context.upstream = location.upstream;
    replyEmpty(context, 307, {
      location: location.url,
      'docker-content-digest': digest,
      'cache-control': 'no-store',
      'content-length': 0,
    });
    return true;
  };
  return sendBlob(context, digest, {
    head: () => cache.headBlob(repository, digest, request),
    size: () => cache.blobSize(repository, digest, request),
    open: (range) => cache.blob(repository, digest, { ...request, range }),
    // The disk failed, and the cache has dropped the blob, or an upstream gave it wrongly. The second try asks the upstream, or
    // another one.
    mayRetry: ({ outcome }: BlobAnswer, error) =>
      outcome === 'HIT' || (isOriginFailure(error) && error.another === true),
    ...(isRedirected ? { redirect } : {}),
  });
}
