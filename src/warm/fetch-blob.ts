import type { Ingest, PullThrough } from '../cache/index.ts';
import { abortable } from '../lib/index.ts';
import type { Digest, OriginSource, Repository } from '../oci/index.ts';
import { paused, WarmError } from './error.ts';
import type { Progress } from './progress.ts';

/** What this room needs of the cache. */
export type WarmCache = Pick<PullThrough, 'manifest' | 'blob' | 'storedSize' | 'transfers' | 'pause'>;

export interface FetchTools {
  readonly cache: WarmCache;
  readonly origin: OriginSource;
  readonly signal: AbortSignal;
}

/** Times a blob is asked for again because the transfer that was joined was not to be kept. */
const MAX_LOOKS = 3;

/**
 * Brings a blob into the cache. A stored one is known by its record: its file is not read.
 *
 * It holds a reader without reading: a transfer is written to its file at its own pace, so no byte is copied here.
 *
 * Rejects with the failure of the upstream, a `WarmError`, or the signal's reason; then a transfer that no client follows
 * stops.
 */
export async function fetchBlob(
  repository: Repository,
  digest: Digest,
  { progress, ...tools }: FetchTools & { readonly progress: Progress },
): Promise<void> {
  const { cache, signal } = tools;
  for (let look = 1; ; look += 1) {
    signal.throwIfAborted();
    const size = await cache.storedSize(digest);
    if (size !== undefined) {
      progress.stored(size);
      progress.blobs += 1;
      return;
    }
    if (cache.pause !== undefined) throw paused(cache.pause.reason);
    if (look > MAX_LOOKS) throw notKept(digest);
    try {
      if (await follow(repository, digest, { progress, ...tools })) return;
    } finally {
      // What goes on by itself where a client leaves has no use where an operator cancels.
      if (signal.aborted) stopUnattended(cache, digest);
    }
  }
}

/** Resolves with true where the blob turned out to be stored, else when the transfer has ended. */
async function follow(
  repository: Repository,
  digest: Digest,
  { progress, cache, origin, signal }: FetchTools & { readonly progress: Progress },
): Promise<boolean> {
  const answer = await cache.blob(repository, digest, { origin, signal });
  try {
    if (answer.outcome === 'HIT') {
      progress.stored(answer.size ?? 0);
      progress.blobs += 1;
      return true;
    }
    const isOurs = answer.outcome === 'MISS';
    const ingest = transferOf(cache, digest);
    if (ingest === undefined) {
      // A small one has ended already.
      if (isOurs) progress.addFetched(answer.size ?? 0);
      return false;
    }
    if (isOurs && !ingest.keep) throw cache.pause === undefined ? notKept(digest) : paused(cache.pause.reason);
    progress.follow(ingest, { isOurs });
    try {
      const outcome = await abortable(ingest.settled, signal);
      if (outcome === 'failed' || outcome === 'aborted')
        throw ingest.error ?? new WarmError(outcome, { isPassing: true });
      return false;
    } finally {
      progress.leave(ingest);
    }
  } finally {
    answer.reader.close();
  }
}

function transferOf(cache: WarmCache, digest: Digest): Ingest | undefined {
  for (const ingest of cache.transfers) if (ingest.digest === digest) return ingest;
  return undefined;
}

function stopUnattended(cache: WarmCache, digest: Digest): void {
  const ingest = transferOf(cache, digest);
  if (ingest?.isUnattended === true) ingest.stop(new Error('An operator cancelled it, and no client waits for it'));
}

function notKept(digest: Digest): WarmError {
  return new WarmError(
    `${digest} is not kept: it exceeds the limits of the cache; raise cache.max_size or free room on the disk`,
    { isPassing: false },
  );
}
