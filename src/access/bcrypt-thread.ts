import type { Worker } from 'node:worker_threads';
import { startThread } from '../lib/index.ts';

/** Milliseconds for one hash; the highest cost takes some seconds. It ends a thread that hangs. */
const DEADLINE = 60_000;
/** How often a password is hashed again when the thread crashed meanwhile. */
const RETRIES = 1;

export interface Question {
  readonly id: number;
  readonly password: string;
  readonly hash: string;
}

export interface Answer {
  readonly id: number;
  readonly isRight: boolean;
}

interface Waiting {
  readonly settle: (isRight: boolean) => void;
  readonly fail: (error: Error) => void;
}

interface BcryptThreadOptions {
  /** Starts the thread. @default that of bcrypt-worker.ts */
  readonly start?: () => Worker;
  /** Milliseconds. @default one minute */
  readonly deadline?: number;
}

/**
 * Compares passwords with bcrypt hashes in a thread of its own: a hash takes a tenth of a second of a core, in which the main
 * thread answers hundreds of requests. The thread starts with the first password. It does not keep the process alive, and one
 * that crashes is replaced.
 */
export class BcryptThread {
  readonly #start: () => Worker;
  readonly #deadline: number;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #count = 0;

  constructor({
    start = () => startThread('bcrypt-worker', import.meta, { stdout: false }),
    deadline = DEADLINE,
  }: BcryptThreadOptions = {}) {
    this.#start = start;
    this.#deadline = deadline;
  }

  /** Rejects where the thread crashes again and again, or answers too late. The caller bounds how many wait. */
  async compare(password: string, hash: string): Promise<boolean> {
    for (let retry = 0; ; retry += 1) {
      try {
        return await this.#ask(password, hash);
      } catch (error) {
        if (retry === RETRIES) throw error;
      }
    }
  }

  #ask(password: string, hash: string): Promise<boolean> {
    const { promise, resolve: settle, reject: fail } = Promise.withResolvers<boolean>();
    const thread = (this.#thread ??= this.#open());
    this.#count += 1;
    const question: Question = { id: this.#count, password, hash };
    this.#waiting.set(question.id, { settle, fail });
    thread.ref();
    this.#timer ??= setTimeout(() => this.#lose(thread, 'no answer in time'), this.#deadline);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
    thread.postMessage(question);
    return promise;
  }

  #open(): Worker {
    const thread = this.#start();
    thread.on('message', ({ id, isRight }: Answer) => {
      if (this.#thread !== thread) return;
      this.#waiting.get(id)?.settle(isRight);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#rest(thread);
      else this.#timer?.refresh();
    });
    // Not its message: it might quote what was hashed.
    thread.on('error', (error: Error) => this.#lose(thread, error.name));
    thread.on('exit', (code) => this.#lose(thread, `it ended with ${code}`));
    return thread;
  }

  #rest(thread: Worker): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    thread.unref();
  }

  #lose(thread: Worker, reason: string): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    this.#rest(thread);
    void thread.terminate();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { fail } of waiting)
      fail(new Error(`Cannot check a password: the thread that hashes it failed (${reason})`));
  }
}
