import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../../oci/index.ts';
import type { BlobStore, HostedStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { DigestLocks } from '../digest-locks.ts';

interface StraysOptions {
  readonly store: BlobStore;
  readonly records: HostedStore;
  readonly locks: DigestLocks;
  readonly telemetry: Telemetry;
  readonly deleteUnreferenced: (digest: Digest) => Promise<boolean>;
  /** Milliseconds that a file without a record is left alone. */
  readonly grace: number;
}

const DAY = 24 * 3600 * 1000;

/** Digests of records read at once. */
const PAGE = 1000;
/** Milliseconds between two of them. */
const PAUSE = 5;
/**
 * Strays that can be: a killed process leaves some hundred at most. With more of them, or where nothing is recorded at all, it is records
 * that are missing, and not files that are too many.
 */
const MAX_STRAYS = 1000;

/**
 * Files that no record names: a process was killed between a file and its record, or between a record and its file.
 *
 * All files are looked through at the start and once a day. One without a record waits for the grace, and is looked at again under the lock
 * of its digest: a push may have brought its record since. Only what is named as this store names its files is ever listed. Where the records
 * are not those of the files, nothing is deleted.
 */
export class Strays {
  readonly #options: StraysOptions;
  /** When each was first seen without a record. */
  readonly #waiting = new Map<Digest, number>();
  #lookedAt: number | undefined;

  constructor(options: StraysOptions) {
    this.#options = options;
  }

  /** Deletes the strays whose grace is over, and looks for new ones where a day has passed. Returns how many were deleted. */
  async run(now: number, signal: AbortSignal): Promise<number> {
    const { locks, deleteUnreferenced, grace } = this.#options;
    // A clock that was set back must not put the next look off for good.
    if (this.#lookedAt === undefined || Math.abs(now - this.#lookedAt) >= DAY) {
      this.#lookedAt = now;
      await this.#look(now, signal);
    }
    let deleted = 0;
    for (const [digest, seenAt] of this.#waiting) {
      signal.throwIfAborted();
      if (now - seenAt < grace) continue;
      this.#waiting.delete(digest);
      if (await locks.run(digest, () => deleteUnreferenced(digest))) deleted += 1;
    }
    return deleted;
  }

  /** Both lists are in order, so that one walk along both finds what only the files have. */
  async #look(now: number, signal: AbortSignal): Promise<void> {
    const recorded = this.#recorded(signal);
    let next = await recorded.next();
    // Where all was deleted, its repositories are still known.
    const isNothingRecorded = (await this.#options.records.listRepositories({ limit: 1 })).length === 0;
    const found = new Set<Digest>();
    for await (const digests of this.#options.store.listDigests()) {
      signal.throwIfAborted();
      for (const digest of digests) {
        while (next.done !== true && next.value < digest) next = await recorded.next();
        const isRecorded = next.done !== true && next.value === digest;
        if (!isRecorded) found.add(digest);
        if (found.size > MAX_STRAYS || (found.size > 0 && isNothingRecorded)) return this.#refuse(isNothingRecorded);
      }
    }
    // One that has got a record by now would only be looked at in vain.
    for (const digest of this.#waiting.keys()) if (!found.has(digest)) this.#waiting.delete(digest);
    for (const digest of found) if (!this.#waiting.has(digest)) this.#waiting.set(digest, now);
  }

  #refuse(isNothingRecorded: boolean): void {
    this.#waiting.clear();
    const known = isNothingRecorded ? 'any of the hosted files' : `more than ${MAX_STRAYS} of the hosted files`;
    this.#options.telemetry.publish('warning', {
      message: `The records of hosted repositories do not know ${known}, and none is deleted. If the records were lost or put back from an old backup, stop the server and run entrepot hosted rebuild`,
    });
  }

  async *#recorded(signal: AbortSignal): AsyncGenerator<Digest, void> {
    const { records } = this.#options;
    let after: Digest | undefined;
    for (;;) {
      const page = await records.listDigests({ after, limit: PAGE });
      for (const { digest } of page) yield digest;
      after = page.at(-1)?.digest;
      if (page.length < PAGE || after === undefined) return;
      await delay(PAUSE, undefined, { signal, ref: false });
    }
  }
}
