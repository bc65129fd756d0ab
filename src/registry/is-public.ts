import { ANONYMOUS } from '../access/index.ts';
import type { PullThrough } from '../cache/index.ts';
import { isOriginFailure } from '../oci/index.ts';
import type { PassedGate } from '../server/index.ts';
import type { PathOf, ReadKind, RegistryRequest } from './request.ts';

/** Whether every client may see what a request is for. Rejects with an `OriginFailure` where the upstreams have to decide, and do not. */
export function isPublic(
  { context, repository, path, anonymous, origin }: RegistryRequest<PathOf<ReadKind>>,
  cache: PullThrough,
): Promise<boolean> {
  const { signal } = context;
  const wanted =
    path.kind === 'manifest' ? { manifest: path.reference } : path.kind === 'blob' ? { blob: path.digest } : 'list';
  return cache.visibilities.isPublic(repository, { anonymous, origin, wanted, signal });
}

/**
 * Whether every client may pull what a request is for, by the rules too. A signed URL outlives the right of a user who is
 * removed, so only what is open to all is given as one.
 */
export async function isOpenToAll(
  request: RegistryRequest<PathOf<ReadKind>>,
  cache: PullThrough,
  { authorize }: Pick<PassedGate, 'authorize'>,
): Promise<boolean> {
  const decision = authorize({ principal: ANONYMOUS, action: 'pull', repository: request.repository });
  if (!decision.allowed || decision.onlyPublic !== true) return decision.allowed;
  try {
    return await isPublic(request, cache);
  } catch (error) {
    // It is streamed then.
    if (!isOriginFailure(error)) throw error;
    return false;
  }
}
