/** The progress of a transfer. */
interface TransferProgress {
  /** Bytes from the start that are in the file. */
  readonly written: number;
  /** Bytes in all; undefined where the upstream does not say. */
  readonly size: number | undefined;
}

/** Bytes up to which the rest is fetched although no client waits: a retry is likely, and the bytes are cheap. */
export const LITTLE_MISSING = 32 * 1024 * 1024;

/**
 * Decides whether a transfer without followers continues: where little is missing, in bytes or as a share of the whole.
 *
 * A transfer of unknown size stops: it could be endless.
 */
export function shouldContinueUnattended({ written, size }: TransferProgress): boolean {
  if (size === undefined) return false;
  return size - written <= LITTLE_MISSING || written >= size * 0.8;
}

/** How often the progress of a transfer without followers is looked at. Milliseconds. */
export const CRAWL_SPAN_MS = 30_000;
/** Bytes per second below which it is given up: it holds a connection that other requests may wait for. */
export const LEAST_UNATTENDED_RATE = 16 * 1024;

/** Decides whether a transfer without followers crawls. @param bytes that came within {@link CRAWL_SPAN_MS} */
export function isCrawling(bytes: number): boolean {
  return bytes < (LEAST_UNATTENDED_RATE * CRAWL_SPAN_MS) / 1000;
}

/**
 * Bytes that followers do not see before they are all there, where another upstream could be asked instead: a page of a login
 * or an error is rarely longer.
 */
export const HELD_BACK = 64 * 1024;

/**
 * How long a transfer that is only passed on waits for its one follower, before a file takes what that has not read. Milliseconds. A
 * connection hands over 1 MiB at most, so a client that takes 4 MiB a second never needs a file.
 */
export const PASSING_ON_WAITS_MS = 250;

/** Bytes that a Range may lie ahead of the transfer and still wait for it, rather than be fetched alone. */
export const SOON_REACHED = 8 * 1024 * 1024;

/**
 * Decides how a Range on a blob that is not cached yet is served: `follow` the growing file where it has reached the first
 * byte or soon will, or `pass` it through from the upstream (decisions.md 4).
 *
 * @param soon bytes that it may lie ahead
 */
export function planRange(start: number, progress: TransferProgress, soon = SOON_REACHED): 'follow' | 'pass' {
  return start <= progress.written + soon ? 'follow' : 'pass';
}

/** Bytes that a part may lie ahead and still wait for what comes, where parts can be fetched first. */
export function soonReached({ minSegment }: { readonly minSegment: number }): number {
  return Math.min(SOON_REACHED, minSegment / 2);
}

/** A body that broke off. */
interface BrokenBody {
  /** Failures in a row without a byte between them. */
  readonly failuresWithoutProgress: number;
  /** See FailureKind. */
  readonly kind: string;
  /** Parts of the blob are fetched at once: the upstream has been asked more often, and may want a rest. @default false */
  readonly isSplit?: boolean;
}

/** Failures in a row, without a byte between them, that end a transfer. */
export const MAX_FAILURES_WITHOUT_PROGRESS = 3;

/**
 * Decides whether a body that broke off is continued. Progress clears the failures before it, so that a long layer over a
 * bad line gets through, while an upstream that sends nothing more is not asked for ever.
 */
export function shouldResume({ failuresWithoutProgress, kind, isSplit = false }: BrokenBody): boolean {
  if (kind === 'invalid' || kind === 'not-found' || kind === 'denied' || kind === 'loop') return false;
  return failuresWithoutProgress < (isSplit ? 2 : 1) * MAX_FAILURES_WITHOUT_PROGRESS;
}

/** The longest `Retry-After` that is honoured while clients wait for bytes. Milliseconds. */
const MAX_RESUME_DELAY = 2000;

/**
 * Milliseconds before the next attempt: at once, then 250, then 500; longer where `retryAfter` says so.
 *
 * The circuit of an upstream that has just failed stays open for about a second, and sets `retryAfter` itself: attempts
 * within that time would fail without a request.
 *
 * @param retryAfter seconds
 */
export function resumeDelay(failuresWithoutProgress: number, retryAfter = 0): number {
  const own = failuresWithoutProgress <= 1 ? 0 : 250 * 2 ** (failuresWithoutProgress - 2);
  return Math.max(own, Math.min(retryAfter * 1000, MAX_RESUME_DELAY));
}
