import type { FileHandle } from 'node:fs/promises';
import { isFullDisk } from '../sqlite-error.ts';
import { HostedStoreError } from './error.ts';
import { onFullDisk } from './explain.ts';

/** Writes what a file has in memory to its disk. */
export type Flush = (file: FileHandle) => Promise<void>;

/**
 * Makes changes durable that SQLite has committed to its write-ahead log, without holding the event loop: with
 * `synchronous=NORMAL`, a commit appends its frames to the log and flushes nothing.
 * The one that writes a reset log from its start flushes its header, which SQLite does on the event loop: once in some thousand pages.
 *
 * That a flush of the log is enough, and right:
 * 1. The database is the file and the frames of its log. A commit is in the log and nowhere else until a checkpoint.
 * 2. Frames carry checksums that continue each other's, and the last of a commit is marked. After a power cut SQLite takes the longest
 *    sound beginning that ends with such a mark: whole transactions, in the order of their commits. A flushed commit has only
 *    flushed ones before it.
 * 3. With NORMAL, a checkpoint flushes the log before it writes to the database, and the database before the log may be written from
 *    its start again. So what a reset log has no more is on the disk in the database, and a half of a commit never gets there.
 * 4. The log is made once, and truncated but not replaced while the database is open. Its name is durable since the flush of
 *    its directory at the opening.
 * Sources: https://www.sqlite.org/wal.html, https://www.sqlite.org/walformat.html
 *
 * All changes since the last flush share one. A change that comes while a flush runs needs the next: the disk may have passed
 * its frames.
 *
 * After a flush that failed, the kernel may have dropped the pages and call the next one a success. So every change is
 * refused from then on.
 */
export class LogFlush {
  readonly #log: FileHandle;
  readonly #file: string;
  readonly #flush: Flush;
  #applied = 0;
  #flushed = 0;
  #running: Promise<void> | undefined;
  #failure: HostedStoreError | undefined;

  /**
   * @param file the database, for its errors
   * @param options.flush @default fdatasync(2)
   */
  constructor(log: FileHandle, { file, flush }: { readonly file: string; readonly flush?: Flush | undefined }) {
    this.#log = log;
    this.#file = file;
    this.#flush = flush ?? ((each) => each.datasync());
  }

  /** True after a flush that failed. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** @throws {HostedStoreError} after a flush that failed */
  assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Notes a change that is committed. */
  noteChange(): void {
    this.#applied += 1;
  }

  /** Resolves when all changes that are noted are on the disk. @throws {HostedStoreError} where that failed */
  async settle(): Promise<void> {
    const upTo = this.#applied;
    while (this.#flushed < upTo) {
      this.assertSound();
      this.#running ??= this.#run();
      await this.#running;
    }
  }

  /** Never rejects: those who wait see the failure. */
  async #run(): Promise<void> {
    // Changes of the same turn of the event loop share it.
    await Promise.resolve();
    const upTo = this.#applied;
    try {
      await this.#flush(this.#log);
      this.#flushed = upTo;
    } catch (error) {
      this.#failure = failed(this.#file, error);
    } finally {
      this.#running = undefined;
    }
  }
}

/** The changes that waited may be there after the start, each whole: what the disk has of them is not known before. */
function failed(file: string, cause: unknown): HostedStoreError {
  if (isFullDisk(cause)) {
    const { found, code } = onFullDisk(file, cause);
    const remedy = 'Make room on it, and restart the server: nothing is changed before.';
    return new HostedStoreError(file, { found, remedy, ...(code === undefined ? {} : { code }), cause });
  }
  return new HostedStoreError(file, {
    found: `its log could not be flushed to the disk (${(cause as Error).message}), so nothing is changed any more`,
    remedy: 'See that the disk is sound, and restart the server.',
    cause,
  });
}
