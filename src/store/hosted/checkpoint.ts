import { once } from 'node:events';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { startThread } from '../../lib/index.ts';

/** Changes between two looks at the log. */
const LOOK_EVERY = 64;

/** Pages of 4 KiB in the log from which on it is copied to the database: 8 MiB. */
const COPY_FROM = 2048;

/**
 * Pages from which on the rest is copied on the event loop, right after a thread has copied all before it: 64 MiB. Under a
 * stream of changes the thread never catches up with the last of them, and only a log that is copied as a whole begins again. It
 * also copies where no thread could be started.
 */
const FINISH_FROM = 16_384;

/** Milliseconds. A disk that is this slow is reported. */
const DEADLINE = 60_000;

/**
 * Copies the log to the database in a thread, as that writes thousands of pages and flushes twice. A commit would do it on the event
 * loop.
 */
export class Checkpoints {
  readonly #file: string;
  readonly #onWarning: (message: string) => void;
  readonly #look: StatementSync;
  readonly #finish: StatementSync;
  #changes = 0;
  #hasWarned = false;
  #running: Promise<void> | undefined;

  constructor(
    database: DatabaseSync,
    { file, onWarning }: { readonly file: string; readonly onWarning: (message: string) => void },
  ) {
    this.#file = file;
    this.#onWarning = onWarning;
    // An SQLite that does not know NOOP takes it for PASSIVE: then this copies.
    this.#look = database.prepare('PRAGMA wal_checkpoint(NOOP)');
    this.#finish = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  }

  /** After each change. */
  noteChange(): void {
    this.#changes += 1;
    if (this.#changes < LOOK_EVERY || this.#running !== undefined) return;
    this.#changes = 0;
    if (this.#left() < COPY_FROM) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when none runs. */
  async settle(): Promise<void> {
    await this.#running;
  }

  /** Pages of the log that are not in the database. */
  #left(): number {
    const { log, checkpointed } = this.#look.get() ?? {};
    return Number(log) - Number(checkpointed);
  }

  /** Never rejects: the changes are in the log, and it is tried again. */
  async #run(): Promise<void> {
    let found = await inThread(this.#file);
    try {
      if (Number(this.#look.get()?.['log']) >= FINISH_FROM) {
        this.#finish.get();
        found = '';
      }
    } catch (error) {
      found = (error as Error).message;
    }
    // Once, and not at each attempt.
    if (found !== '' && !this.#hasWarned) {
      this.#onWarning(
        `Cannot copy the log of hosted records to ${this.#file} (${found}). The log grows until it can. See that the disk is sound and has room.`,
      );
    }
    this.#hasWarned = found !== '';
  }
}

async function inThread(file: string): Promise<string> {
  const worker = startThread('checkpoint-worker', import.meta, { workerData: { file }, stdout: false });
  try {
    const [found] = (await once(worker, 'message', { signal: AbortSignal.timeout(DEADLINE) })) as [string];
    return found;
  } catch (error) {
    return (error as Error).message;
  } finally {
    // once() has removed its error listener.
    worker.on('error', () => {});
    await worker.terminate();
  }
}
