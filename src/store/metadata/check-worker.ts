import { parentPort, workerData } from 'node:worker_threads';
import { copyDatabase, findDamage } from './damage.ts';

/** Runs in the threads of check.ts: checks a database or, with a target, copies it. Posts what is wrong; an empty text: nothing. */
function run({ file, target }: { readonly file: string; readonly target?: string }): string {
  return target === undefined ? findDamage(file) : copyDatabase(file, target);
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
parentPort?.postMessage(run(workerData as Parameters<typeof run>[0]));
