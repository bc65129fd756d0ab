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
