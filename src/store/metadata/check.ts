import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { startThread } from '../../lib/index.ts';
import { findDamage } from './damage.ts';

/**
 * Bytes up to which a database is checked in place: two milliseconds or less, while a thread takes fifteen of the processor's
 * to start and end.
 */
const SMALL = 1024 * 1024;

/** Milliseconds. A database of a gigabyte takes some seconds. */
const CHECK_DEADLINE = 5 * 60 * 1000;

/** Milliseconds. A supervisor kills a server that takes long to stop; about a gigabyte is copied in this time. */
const COPY_DEADLINE = 8000;

interface WorkerInput {
  readonly file: string;
  /** Where the copy goes. @default the file is only checked */
  readonly target?: string;
}

/**
 * Reads every page of a database that is not in use, and resolves with the damage found; undefined where it is sound. A large
 * one is read in a thread of its own, since it would block the event loop.
 */
export async function checkMetadata(file: string): Promise<string | undefined> {
  const size = await stat(file).then(
    (stats) => stats.size,
    () => 0,
  );
  if (size <= SMALL) return findDamage(file) || undefined;
  return await inThread({ file }, { deadline: CHECK_DEADLINE, failure: 'it could not be checked' });
}

/**
 * Copies a database that is not in use into an empty file, without its free pages, in a form that can shrink. Resolves with
 * the reason where that fails or takes longer than a stop may.
 */
export function copyCompacted(file: string, target: string): Promise<string | undefined> {
  return inThread({ file, target }, { deadline: COPY_DEADLINE, failure: 'it could not be rewritten' });
}

async function inThread(
  workerData: WorkerInput,
  { deadline, failure }: { readonly deadline: number; readonly failure: string },
): Promise<string | undefined> {
  const worker = startThread('check-worker', import.meta, { workerData, stdout: false });
  const signal = AbortSignal.timeout(deadline);
  try {
    const [found] = (await once(worker, 'message', { signal })) as [string];
    return found === '' ? undefined : found;
  } catch (error) {
    return `${failure} (${(error as Error).message})`;
  } finally {
    // once() has removed its error listener.
    worker.on('error', () => {});
    await worker.terminate();
  }
}
