/**
 * Runs `work` under a signal that aborts on SIGINT.
 *
 * @param more another signal that interrupts it
 */
export async function withInterrupt<T>(
  more: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const interrupted = new AbortController();
  const onSignal = (): void => interrupted.abort(new Error('interrupted'));
  process.on('SIGINT', onSignal);
  try {
    return await work(more === undefined ? interrupted.signal : AbortSignal.any([more, interrupted.signal]));
  } finally {
    process.off('SIGINT', onSignal);
  }
}
