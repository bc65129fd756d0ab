/**
 * Runs an operation with a signal that is also aborted when it has taken too long.
 *
 * `AbortSignal.timeout` would do the same, but keeps its timer for the whole time after an operation of a millisecond.
 */
export async function withDeadline<T>(
  operation: (signal: AbortSignal) => Promise<T>,
  options: {
    readonly milliseconds: number;
    readonly signal?: AbortSignal | undefined;
    /** What the signal is aborted with then. */
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
