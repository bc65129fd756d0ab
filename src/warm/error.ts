/** Why an image could not be warmed, where no upstream is to blame. */
export class WarmError extends Error {
  override readonly name = 'WarmError';
  /** Whether another attempt may succeed. */
  readonly isPassing: boolean;

  constructor(message: string, { isPassing }: { readonly isPassing: boolean }) {
    super(message);
    this.isPassing = isPassing;
  }
}

/** Nothing is kept for a while. */
export function paused(reason: string): WarmError {
  return new WarmError(`the cache keeps nothing now: ${reason}`, { isPassing: true });
}
