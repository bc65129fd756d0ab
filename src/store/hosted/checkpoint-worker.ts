import { parentPort, workerData } from 'node:worker_threads';
import { checkpointFile } from './checkpoint-file.ts';

// Runs in the threads of checkpoint.ts. Posts what was in the way; an empty text: nothing.
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
parentPort?.postMessage(checkpointFile((workerData as { readonly file: string }).file));
