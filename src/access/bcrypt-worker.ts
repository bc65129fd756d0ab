import { parentPort } from 'node:worker_threads';
import bcrypt from 'bcryptjs';
import type { Answer, Question } from './bcrypt-thread.ts';

/** Runs in the thread of bcrypt-thread.ts: hashes one password after another, and posts whether each is right. */
parentPort?.on('message', ({ id, password, hash }: Question) => {
  const answer: Answer = { id, isRight: bcrypt.compareSync(password, hash) };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
  parentPort?.postMessage(answer);
});
