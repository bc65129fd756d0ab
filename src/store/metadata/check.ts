import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

/** A database of a gigabyte takes some seconds. */
const DEADLINE = 5 * 60 * 1000;

/**
 * Reads every page of a database that nobody else has open, and resolves with what is wrong with it; undefined where it is
 * sound. In a thread of its own, since the event loop would stand still for as long as it takes.
 */
export async function checkMetadata(file: string): Promise<string | undefined> {
  // A published package holds JavaScript where the checkout has TypeScript.
  const script = new URL(`./check-worker${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(script, { workerData: file, stdout: false });
  const signal = AbortSignal.timeout(DEADLINE);
  try {
    const [found] = (await once(worker, 'message', { signal })) as [string];
    return found === '' ? undefined : found;
  } catch (error) {
    return `it could not be checked (${(error as Error).message})`;
  } finally {
    // once() heard the first error only.
    worker.on('error', () => {});
    await worker.terminate();
  }
}
