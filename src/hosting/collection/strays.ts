import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../../oci/index.ts';
import type { BlobStore, HostedStore } from '../../store/index.ts';
import type { DigestLocks } from '../digest-locks.ts';

interface StraysOptions {
  readonly store: BlobStore;
  readonly records: HostedStore;
  readonly locks: DigestLocks;
  readonly deleteUnreferenced: (digest: Digest) => Promise<boolean>;
  /** Milliseconds that a file without a record is left alone. */
  readonly grace: number;
}

const DAY = 24 * 3600 * 1000;

/** Digests of records read at once. */
const PAGE = 1000;
/** Milliseconds between two of them. */
const PAUSE = 5;
/** Strays that wait for their grace at once; what is beyond it is found a day later. */
const MAX_WAITING = 100_000;

/**
 * Files that no record names: a process was killed between a file and its record, or between a record and its file.
 *
 * All files are looked through at the start and once a day. One without a record waits for the grace, and is looked at again under the lock
 * of its digest: a push may have brought its record since. Only what is named as this store names its files is ever listed.
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
    for await (const digests of this.#options.store.listDigests()) {
      signal.throwIfAborted();
      for (const digest of digests) {
        while (next.done !== true && next.value < digest) next = await recorded.next();
        const isRecorded = next.done !== true && next.value === digest;
        if (isRecorded || this.#waiting.has(digest)) continue;
        if (this.#waiting.size >= MAX_WAITING) return;
        this.#waiting.set(digest, now);
      }
    }
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
