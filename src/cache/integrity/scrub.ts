import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type { Digest } from '../../oci/index.ts';
import type { BlobRecord, BlobStore, MetadataStore, UnknownFiles } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { PAGE, pages } from '../metadata/index.ts';
import type { Corruption } from './corruption.ts';
import type { Verification } from './verification.ts';

/** What a scrub asks of the rows of stored blobs. */
export type ScrubRows = Pick<MetadataStore, 'totals' | 'getBlob' | 'listBlobs'>;

interface ScrubOptions {
  readonly store: BlobStore;
  readonly metadata: ScrubRows;
  readonly verification: Pick<Verification, 'inspect'>;
  readonly telemetry: Telemetry;
}

/** How far a scrub has come. Times are milliseconds since the epoch. */
export interface ScrubProgress {
  /** `failed`: the disk or the database failed; see `error`. */
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly startedAt: number;
  readonly finishedAt?: number;
  /** Blobs and bytes checked so far. */
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs and bytes in all, as known at the start. */
  readonly totalBlobs: number;
  readonly totalBytes: number;
  /** Corrupt blobs, which were put into quarantine. */
  readonly rotten: number;
  /** Rows without a file. */
  readonly missing: number;
  /** Right files that had no row and have one now. */
  readonly adopted: number;
  /** The first hundred that were corrupt or missing. */
  readonly problems: readonly ScrubProblem[];
  /** Files of other programs in the cache directory; undefined until the scrub has looked for them. */
  readonly unknown?: UnknownFiles;
  readonly error?: string;
}

interface ScrubProblem extends Corruption {
  readonly digest: Digest;
}

const MAX_PROBLEMS = 100;

/** After each blob the scrub rests for a tenth of the time that it took: readers of the same disk come first. */
const REST = 0.1;

/** Hashes everything that is stored, one blob at a time, and quarantines what is corrupt. */
export class Scrub {
  readonly #options: ScrubOptions;
  #progress: ScrubProgress | undefined;
  #running: Promise<ScrubProgress> | undefined;
  #stop = new AbortController();

  constructor(options: ScrubOptions) {
    this.#options = options;
  }

  /** The running scrub, or the last one; undefined where none has run since the start. */
  get progress(): ScrubProgress | undefined {
    return this.#progress;
  }

  /** Starts a scrub, or joins the running one. Resolves with how it ended; never rejects. */
  run(): Promise<ScrubProgress> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Stops the running scrub; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the scrub was stopped'));
    await this.#running;
  }

  async #run(): Promise<ScrubProgress> {
    const { signal } = (this.#stop = new AbortController());
    const none = { blobs: 0, bytes: 0, totalBlobs: 0, totalBytes: 0, rotten: 0, missing: 0, adopted: 0, problems: [] };
    this.#progress = { state: 'running', startedAt: Date.now(), ...none };
    try {
      const { blobs: totalBlobs, bytes: totalBytes } = await this.#options.metadata.totals();
      this.#note({ totalBlobs, totalBytes });
      await this.#checkFiles(signal);
      await this.#checkRows(signal);
      this.#note({ unknown: await this.#options.store.unknownFiles() });
      return this.#note({ state: 'done', finishedAt: Date.now() });
    } catch (error) {
      if (signal.aborted) return this.#note({ state: 'stopped', finishedAt: Date.now() });
      this.#options.telemetry.publish('warning', { message: 'Cannot go on checking what is stored', error });
      return this.#note({ state: 'failed', finishedAt: Date.now(), error: (error as Error).message });
    }
  }

  async #checkFiles(signal: AbortSignal): Promise<void> {
    const { store, metadata, verification } = this.#options;
    for await (const { digest, size } of store.list()) {
      signal.throwIfAborted();
      const begun = performance.now();
      const isKnown = (await metadata.getBlob(digest)) !== undefined;
      const finding = await verification.inspect(digest, { signal });
      if (finding === 'removed') continue;
      const { blobs, bytes, adopted } = this.#current;
      this.#note({ blobs: blobs + 1, bytes: bytes + size });
      if (finding !== 'right') this.#report({ digest, ...finding });
      else if (!isKnown) this.#note({ adopted: adopted + 1 });
      const rest = (performance.now() - begun) * REST;
      // A timer of less than a millisecond waits for a whole one.
      if (rest < 1) await turn();
      else await delay(rest, undefined, { signal });
    }
  }

  /** Finds the rows without a file; those with one have been checked by now. */
  async #checkRows(signal: AbortSignal): Promise<void> {
    const { store, metadata, verification } = this.#options;
    const list = (after: BlobRecord | undefined) => metadata.listBlobs({ after: after?.digest, limit: PAGE });
    for await (const page of pages(list)) {
      for (const { digest } of page) {
        signal.throwIfAborted();
        if ((await store.stat(digest)) !== undefined) continue;
        const finding = await verification.inspect(digest, { signal });
        if (typeof finding === 'object') this.#report({ digest, ...finding });
      }
    }
  }

  #report(problem: ScrubProblem): void {
    const { rotten, missing, problems } = this.#current;
    this.#note({
      ...(problem.reason === 'missing' ? { missing: missing + 1 } : { rotten: rotten + 1 }),
      ...(problems.length < MAX_PROBLEMS ? { problems: [...problems, problem] } : {}),
    });
  }

  get #current(): ScrubProgress {
    if (this.#progress === undefined) throw new TypeError('Cannot report of a scrub that has not begun');
    return this.#progress;
  }

  #note(changes: Partial<ScrubProgress>): ScrubProgress {
    this.#progress = { ...this.#current, ...changes };
    return this.#progress;
  }
}
