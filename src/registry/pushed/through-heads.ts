import { isOriginFailure, OciError } from '../../oci/index.ts';
import { replyEmpty } from '../../server/index.ts';
import { answerBlob, answerManifest } from '../pull.ts';
import type { Through, ThroughRequest } from './through-request.ts';

/**
 * `HEAD` of a blob. Who may push asks whether to send the blob, so the upstream itself answers: another upstream, or this server,
 * may have what it has not, and the push would then fail for want of a blob that no client sends again.
 */
export async function headBlob(asked: ThroughRequest<'blob'>, { cache }: Through): Promise<void> {
  const { request, gate, origin } = asked;
  const { context, repository, path } = request;
  if (!mayPush(asked)) return answerBlob(request, cache, gate);
  const { signal } = context;
  try {
    const { size } = await origin.headBlob(repository, path.digest, { signal });
    context.cache = 'PASS';
    replyEmpty(context, 200, {
      'content-type': 'application/octet-stream',
      'docker-content-digest': path.digest,
      etag: `"${path.digest}"`,
      'accept-ranges': 'bytes',
      ...(size === undefined ? {} : { 'content-length': size }),
    });
  } catch (error) {
    if (!isOver(error)) throw asAbsent(error, 'BLOB_UNKNOWN');
    await answerBlob(request, cache, gate);
  }
}

/**
 * `HEAD` of a manifest: clients push nothing where the tag points to the digest already. Where this server decides what a tag gives,
 * by a hold or a cooldown, it answers those who may push as all others.
 */
export async function headManifest(asked: ThroughRequest<'manifest'>, { cache }: Through): Promise<void> {
  const { request, origin } = asked;
  const { context, repository, path } = request;
  const { reference } = path;
  const isOurs = reference.kind === 'tag' && (await cache.isSteered(repository, reference.tag));
  if (isOurs || !mayPush(asked)) return answerManifest(request, cache);
  const { signal } = context;
  try {
    const { digest, mediaType, size } = await origin.headManifest(repository, reference, { signal });
    context.cache = 'PASS';
    replyEmpty(context, 200, {
      'content-type': mediaType,
      'content-length': size,
      'docker-content-digest': digest,
      etag: `"${digest}"`,
    });
  } catch (error) {
    if (!isOver(error)) throw asAbsent(error, 'MANIFEST_UNKNOWN');
    await answerManifest(request, cache);
  }
}

function mayPush({ request, gate }: Pick<ThroughRequest<'blob' | 'manifest'>, 'request' | 'gate'>): boolean {
  const { principal, authorize } = gate;
  const decision = authorize({ principal, action: 'push', repository: request.repository });
  return decision.allowed && decision.onlyPublic !== true;
}

/**
 * What may not be read looks as if it were not there, as for every mirrored repository: clients then push, and hear why they may not.
 * Some registries refuse what a repository that is not there yet could have.
 */
function asAbsent(error: unknown, unknown: 'BLOB_UNKNOWN' | 'MANIFEST_UNKNOWN'): unknown {
  if (!isOriginFailure(error) || error.kind !== 'denied') return error;
  return new OciError(unknown, error.message, { cause: error });
}

/** The failures of an upstream that is unavailable for a while. Pushes to it fail meanwhile, and cached content is still pulled. */
function isOver(error: unknown): boolean {
  return isOriginFailure(error) && (error.kind === 'unavailable' || error.kind === 'throttled');
}
