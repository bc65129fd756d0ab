import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import { parentPort } from 'node:worker_threads';
import bcrypt from 'bcryptjs';
import type { Answer, Question } from './bcrypt-thread.ts';

/** Runs in the thread of bcrypt-thread.ts: hashes one password after another, and posts whether each is right. */
parentPort?.on('message', ({ id, password, hash }: Question) => {
  const answer: Answer = { id, isRight: bcrypt.compareSync(password, hash) };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
  parentPort?.postMessage(answer);
});

/** As `nice` without a number: a login can wait, a pull that shares the core cannot. */
const NICENESS = 10;

try {
  // On Linux a priority is that of a thread, and this link names the one that reads it.
  setPriority(Number(basename(readlinkSync('/proc/thread-self'))), NICENESS);
} catch {
  // Elsewhere hashes run like everything else.
}
