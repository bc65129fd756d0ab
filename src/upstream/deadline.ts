/**
 * Runs an operation with a signal that also aborts after a time.
 *
 * `AbortSignal.timeout` would keep its timer for the whole time, even after an operation of a millisecond.
 */
export async function withDeadline<T>(
  operation: (signal: AbortSignal) => Promise<T>,
  options: {
    readonly milliseconds: number;
    readonly signal?: AbortSignal | undefined;
    /** The reason of that abort. */
    readonly late: () => Error;
  },
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(options.late()), options.milliseconds);
  try {
    const { signal } = options;
    return await operation(signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]));
  } finally {
    clearTimeout(timer);
  }
}
