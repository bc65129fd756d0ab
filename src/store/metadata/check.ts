import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

/** Milliseconds. A database of a gigabyte takes some seconds. */
const DEADLINE = 5 * 60 * 1000;

/**
 * Reads every page of a database that is not in use, and resolves with the damage found; undefined where it is sound. It runs
 * in a thread of its own, since it would block the event loop.
 */
export async function checkMetadata(file: string): Promise<string | undefined> {
  // The script is TypeScript in a checkout, and JavaScript in a published package.
  const script = new URL(`./check-worker${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(script, { workerData: file, stdout: false });
  const signal = AbortSignal.timeout(DEADLINE);
  try {
    const [found] = (await once(worker, 'message', { signal })) as [string];
    return found === '' ? undefined : found;
  } catch (error) {
    return `it could not be checked (${(error as Error).message})`;
  } finally {
    // once() has removed its error listener.
    worker.on('error', () => {});
    await worker.terminate();
  }
}
