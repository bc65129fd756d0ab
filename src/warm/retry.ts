import { isOriginFailure, OciError } from '../oci/index.ts';
import { WarmError } from './error.ts';

/** Milliseconds before the second, third and fourth attempt. The cache has tried for some seconds before it says that it failed. */
const DELAYS = [2000, 15_000, 60_000] as const;
/** A limit of pulls is not over in seconds, and each request prolongs it. */
const THROTTLED_DELAY = 60_000;
/** The longest `Retry-After` that is waited for. Milliseconds. */
const MAX_DELAY = 15 * 60_000;

/**
 * Milliseconds until an image is tried again; undefined: never. What an upstream does not have, refuses or gives wrongly is
 * not asked for again.
 *
 * @param how `failures` so far, this one included; `random` from 0 to below 1, to spread images that failed together
 */
export function retryDelay(
  error: unknown,
  { failures, random }: { readonly failures: number; readonly random: number },
): number | undefined {
  const own = DELAYS[failures - 1];
  if (own === undefined || !isPassing(error)) return undefined;
  const { kind, retryAfter = 0 } = isOriginFailure(error) ? error : { kind: undefined };
  const wanted = Math.max(own, kind === 'throttled' ? THROTTLED_DELAY : 0, retryAfter * 1000);
  return wanted > MAX_DELAY ? undefined : Math.round(wanted * (1 + random / 2));
}

function isPassing(error: unknown): boolean {
  if (isOriginFailure(error)) return error.kind === 'unavailable' || error.kind === 'throttled';
  if (error instanceof OciError) return error.status === 503 || error.status === 504;
  return error instanceof WarmError && error.isPassing;
}
