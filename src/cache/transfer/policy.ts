/** How far a transfer has come. */
export interface TransferProgress {
  /** Bytes from the start that are here. */
  readonly written: number;
  /** Bytes in all; undefined where the upstream does not say. */
  readonly size: number | undefined;
}

/** Less than this is fetched to the end although nobody waits for it: a retry is likelier than the bytes are dear. */
export const LITTLE_MISSING = 32 * 1024 * 1024;

/**
 * Decides whether a transfer that everyone has left goes on: when little is missing, in bytes or as a share of the whole.
 *
 * A transfer of unknown size stops: it could be endless.
 */
export function shouldContinueUnattended({ written, size }: TransferProgress): boolean {
  if (size === undefined) return false;
  return size - written <= LITTLE_MISSING || written >= size * 0.8;
}

/** A Range this far ahead of what is here is waited for rather than fetched for itself. */
export const SOON_REACHED = 8 * 1024 * 1024;

/**
 * Decides how a Range on a blob that is not in the cache yet is served: `follow` the growing file where it has reached the
 * first byte or soon will, or `pass` it through from the upstream (decisions.md 4).
 */
export function planRange(start: number, progress: TransferProgress): 'follow' | 'pass' {
  return start <= progress.written + SOON_REACHED ? 'follow' : 'pass';
}

/** What is known when a body breaks off. */
export interface BrokenBody {
  /** Failures one after the other without a byte between them. */
  readonly failuresWithoutProgress: number;
  /** What the failure was; see FailureKind. */
  readonly kind: string;
}

/** Failures in a row, without a byte between them, that end a transfer. */
export const MAX_FAILURES_WITHOUT_PROGRESS = 3;

/**
 * Decides whether a body that broke off is continued. Progress forgives everything before it, so that a long layer over a
 * bad line gets through, while an upstream that has nothing more to give is not asked for ever.
 */
export function shouldResume({ failuresWithoutProgress, kind }: BrokenBody): boolean {
  if (kind === 'invalid' || kind === 'not-found' || kind === 'denied') return false;
  return failuresWithoutProgress < MAX_FAILURES_WITHOUT_PROGRESS;
}

/** The longest wait that an upstream's own word is worth while clients wait for bytes. Milliseconds. */
const MAX_RESUME_DELAY = 2000;

/**
 * Milliseconds before the next attempt: at once, then 250, then 500; longer where the upstream named a time.
 *
 * One that has just failed is left alone for about a second, and says so by `retryAfter` without being asked: attempts
 * within that time would be used up on nothing.
 *
 * @param retryAfter seconds
 */
export function resumeDelay(failuresWithoutProgress: number, retryAfter = 0): number {
  const own = failuresWithoutProgress <= 1 ? 0 : 250 * 2 ** (failuresWithoutProgress - 2);
  return Math.max(own, Math.min(retryAfter * 1000, MAX_RESUME_DELAY));
}
