import { setTimeout as delay } from 'node:timers/promises';
import { ControlError } from '../../../admin/index.ts';
import type { Output } from '../../output.ts';

/** Milliseconds that a server may be away. */
export const PATIENCE = 60_000;
/** Milliseconds between two attempts to reach a server that is away. */
const RETRY_EVERY = 500;

/** Asks a server, and waits for one that is away: it may be starting again. Rejects with the last failure, or the signal's reason. */
export async function patiently<T>(
  call: () => Promise<T>,
  {
    output,
    signal,
    patience,
    onAway,
  }: {
    readonly output: Output;
    readonly signal: AbortSignal;
    /** Milliseconds. */
    readonly patience: number;
    /** Called once, before it is said that the server is away. */
    readonly onAway: () => void;
  },
): Promise<T> {
  const end = performance.now() + patience;
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await call();
    } catch (error) {
      const isAway = error instanceof ControlError && (error.code === 'not-running' || isCut(error));
      if (!isAway || performance.now() >= end) throw error;
    }
    if (isFirst) {
      onAway();
      output.err('The server has stopped. Waiting for it to start again.\n');
    }
    await delay(RETRY_EVERY, undefined, { signal });
  }
}

/** A connection that ended before the answer: the server has stopped meanwhile. */
function isCut({ cause }: ControlError): boolean {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ECONNRESET' || code === 'EPIPE';
}
