/**
 * Waits for what others wait for too: the signal ends this wait, not the operation.
 *
 * @throws the signal's reason
 */
export function abortable<T>(operation: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return operation;
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    operation.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject);
  });
}

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
