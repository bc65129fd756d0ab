import { setTimeout as delay } from 'node:timers/promises';
import type { Digest, Repository } from '../../oci/index.ts';
import type { BlobStore, HostedStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { DigestLocks } from '../digest-locks.ts';
import type { HostingRules } from '../rules.ts';
import { Strays } from './strays.ts';

interface CollectionOptions {
  readonly store: BlobStore;
  readonly records: HostedStore;
  readonly locks: DigestLocks;
  readonly rules: () => HostingRules;
  readonly telemetry: Telemetry;
  readonly now: () => number;
  readonly pause: { readonly isOn: boolean };
  /** Deletes the file of a digest that no record names; the caller holds its lock. */
  readonly deleteUnreferenced: (digest: Digest) => Promise<boolean>;
  /** Milliseconds that what is unused is kept. @default 86_400_000 (a day) */
  readonly grace?: number | undefined;
}

/** What a collection did. */
export interface Collected {
  /** Blobs and manifests that were removed from their repositories. */
  readonly records: number;
  /** Files that were deleted. */
  readonly files: number;
  /** Bytes of the removed records. */
  readonly bytes: number;
  /** True: a backup is copying the files, and nothing was looked at. */
  readonly paused?: boolean;
}

/**
 * A push may take hours between its first blob and its manifest, and a use is recorded to the hour: a day is ample for the one, and
 * dwarfs the other.
 */
const GRACE = 24 * 3600 * 1000;

const EVERY = 10 * 60 * 1000;

/** Records removed in one step, which holds the database. */
const BATCH = 64;
/** Milliseconds between two steps: pushes come first. */
const PAUSE = 20;

/** Removes what nothing names, beside pushes. One collection runs at a time. */
export class Collection {
  readonly #options: CollectionOptions;
  readonly #grace: number;
  readonly #strays: Strays;
  readonly #stop = new AbortController();
  #running: Promise<Collected> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CollectionOptions) {
    this.#options = options;
    this.#grace = options.grace ?? GRACE;
    this.#strays = new Strays({ ...options, grace: this.#grace });
  }

  /** Collects now and every ten minutes, until `close`. The timer keeps no process alive. */
  start(): void {
    const { telemetry, now } = this.#options;
    const run = (): void => {
      this.run({ now: now() }).catch((error: unknown) => {
        if (this.#stop.signal.aborted) return;
        telemetry.publish('warning', { message: 'Cannot collect what hosted repositories no longer need', error });
      });
    };
    this.#timer = setInterval(run, EVERY);
    this.#timer.unref();
    run();
  }

  /** Collects once; where one is running, its result is this one's too. Rejects where the disk or the database fails, or `close` was called. */
  run({ now }: { readonly now: number }): Promise<Collected> {
    this.#running ??= this.#run(now).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Stops at the next step; resolves when it has. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort(new Error('the server is stopping'));
    await this.#running?.catch(() => {});
  }

  async #run(now: number): Promise<Collected> {
    const { records, rules, locks, pause, deleteUnreferenced } = this.#options;
    const total = { records: 0, files: 0, bytes: 0 };
    // A backup copies files: records that went now would only make a list of files that wait.
    if (pause.isOn) return { ...total, paused: true };
    const untaggedSince = ({ registry }: Repository): number | undefined => {
      const keep = rules().specOf(registry)?.keepUntagged;
      return keep === undefined ? undefined : now - Math.max(keep, this.#grace);
    };
    for (;;) {
      this.#stop.signal.throwIfAborted();
      const { removed, unreferenced } = await records.collect({
        unusedSince: now - this.#grace,
        untaggedSince,
        limit: BATCH,
      });
      total.records += removed.length;
      total.bytes += removed.reduce((sum, { size }) => sum + size, 0);
      for (const digest of unreferenced) {
        if (await locks.run(digest, () => deleteUnreferenced(digest))) total.files += 1;
      }
      if (removed.length < BATCH) break;
      await delay(PAUSE, undefined, { signal: this.#stop.signal, ref: false });
    }
    total.files += await this.#strays.run(now, this.#stop.signal);
    if (total.records + total.files > 0) this.#options.telemetry.publish('hosted.collected', total);
    return total;
  }
}
