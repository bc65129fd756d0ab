import type { Hosting } from '../../hosting/index.ts';
import { type PassedGate, replyEmpty } from '../../server/index.ts';
import { sendBlob } from '../blob.ts';
import type { PathOf, RegistryRequest } from '../request.ts';
import { actorOf } from './actor.ts';

/** `GET` and `HEAD` of a hosted blob: whole, or ranges of it. */
export function answerHostedBlob(
  { context, repository, path: { digest } }: RegistryRequest<PathOf<'blob'>>,
  { blobs }: Hosting,
): Promise<void> {
  const { signal } = context;
  return sendBlob(context, digest, {
    head: () => blobs.head(repository, digest),
    size: () => blobs.size(repository, digest),
    open: (range) => blobs.open(repository, digest, { range, signal }),
    // A corrupt file is out of the way by now, and the second look answers that the blob is unknown.
    mayRetry: () => true,
  });
}

/** `DELETE` of a hosted blob. */
export async function deleteHostedBlob(
  { context, repository, path: { digest } }: RegistryRequest<PathOf<'blob'>>,
  { blobs }: Hosting,
  gate: PassedGate,
): Promise<void> {
  await blobs.delete(repository, digest, actorOf(context, gate));
  replyEmpty(context, 202, { 'docker-content-digest': digest, 'content-length': 0 });
}
