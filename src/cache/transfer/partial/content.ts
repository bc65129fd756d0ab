import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../../../oci/index.ts';
import type { PartialIngestion, PartialStore, ReopenedPartial } from '../../../store/index.ts';
import type { Telemetry } from '../../../telemetry/index.ts';

/** Milliseconds after which partial content is removed: a pull that was not tried again by then is not missed. */
export const KEPT_FOR_MS = 7 * 24 * 3_600_000;

/** Files that are kept; of more, the oldest is removed. */
export const MOST_KEPT = 256;

/** Bytes that are kept where the cache has no limit. */
const KEPT_WITHOUT_LIMIT = 32 * 1024 ** 3;

/** How long the end of a server waits for bytes to be on the disk. Milliseconds. */
const FLUSH_PATIENCE_MS = 5000;

interface PartialContentOptions {
  /** Undefined: nothing is kept. */
  readonly store: PartialStore | undefined;
  /** Bytes of all of it; called at each use. */
  readonly limits: () => { readonly partialSize?: number | undefined; readonly maxSize?: number | undefined };
  readonly telemetry: Telemetry;
  readonly now?: (() => number) | undefined;
}

interface Kept {
  bytes: number;
  at: number;
}

/** Bytes of partial content that are kept: as configured, half of the cache, or 32 GiB where that has no limit. */
export function partialLimit({
  partialSize,
  maxSize,
}: {
  readonly partialSize?: number | undefined;
  readonly maxSize?: number | undefined;
}): number {
  return partialSize ?? (maxSize === undefined ? KEPT_WITHOUT_LIMIT : Math.floor(maxSize / 2));
}

/**
 * What has come of blobs whose transfers ended early, within bounds: the oldest goes first.
 *
 * What a transfer goes on with does not count here, and is never removed.
 */
export class PartialContent {
  readonly #options: PartialContentOptions;
  readonly #now: () => number;
  /** What no transfer has; undefined before it is listed. */
  #kept: Map<Digest, Kept> | undefined;
  #listing: Promise<Map<Digest, Kept>> | undefined;
  /** What was left by transfers of this process, whose bytes may be in memory alone. */
  readonly #unflushed = new Set<Digest>();

  constructor(options: PartialContentOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Whether transfers are kept. */
  get isOn(): boolean {
    return this.#options.store !== undefined && this.#limit > 0;
  }

  /** Files and bytes that no transfer has. */
  async totals(): Promise<{ readonly count: number; readonly bytes: number }> {
    const kept = await this.#list();
    return { count: kept.size, bytes: sum(kept) };
  }

  /** Whether so much of a blob may be kept. */
  mayKeep(bytes: number): boolean {
    return this.isOn && bytes <= this.#limit;
  }

  begin(digest: Digest): Promise<PartialIngestion> {
    const { store } = this.#options;
    if (store === undefined) throw new TypeError('Cannot begin partial content as none is kept');
    return store.begin(digest);
  }

  /** Opens what was kept; undefined where there is none, or it cannot be read. */
  async reopen(digest: Digest): Promise<ReopenedPartial | undefined> {
    if (!this.isOn) return undefined;
    try {
      const found = await this.#options.store?.reopen(digest);
      if (found === undefined) {
        // A power cut may leave an empty note. The file would only be in the way of another.
        await this.remove(digest);
        return undefined;
      }
      this.#unflushed.delete(digest);
      (await this.#list()).delete(digest);
      return found;
    } catch (error) {
      const message = `Cannot go on with what was kept of ${digest}`;
      this.#options.telemetry.publish('warning', { message, error });
      return undefined;
    }
  }

  /** A transfer has left a file. */
  async left(digest: Digest, bytes: number): Promise<void> {
    this.#unflushed.add(digest);
    (await this.#list()).set(digest, { bytes, at: this.#now() });
    await this.trim();
  }

  /** The disk refused a note. */
  refused(digest: Digest, error: unknown): void {
    this.#options.telemetry.publish('warning', { message: `Cannot note what has come of ${digest}`, error });
  }

  /** Removes what is too old or too much. @returns the bytes freed */
  async trim(): Promise<number> {
    const kept = await this.#list();
    const oldest = this.#now() - KEPT_FOR_MS;
    let freed = 0;
    for (const [digest, { at }] of byAge(kept)) {
      if (at >= oldest && kept.size <= MOST_KEPT && sum(kept) <= this.#limit) break;
      freed += await this.#remove(kept, digest);
    }
    return freed;
  }

  /**
   * Removes the oldest files until so many bytes are free, or none is left.
   *
   * @param options `dryRun`: nothing is removed
   * @returns the bytes that were, or would be, freed, and of how many files
   */
  async evict(
    wanted: number,
    { dryRun = false }: { readonly dryRun?: boolean } = {},
  ): Promise<{ readonly freed: number; readonly count: number }> {
    const kept = await this.#list();
    let freed = 0;
    let count = 0;
    for (const [digest, { bytes }] of byAge(kept)) {
      if (freed >= wanted) break;
      const gone = dryRun ? bytes : await this.#remove(kept, digest);
      freed += gone;
      count += 1;
    }
    return { freed, count };
  }

  /** Removes what was kept of a blob. @returns its bytes */
  async remove(digest: Digest, { dryRun = false }: { readonly dryRun?: boolean } = {}): Promise<number> {
    const kept = await this.#list();
    return dryRun ? (kept.get(digest)?.bytes ?? 0) : this.#remove(kept, digest);
  }

  /** Flushes what transfers have left, so that a later boot can use all of it. Called where the server stops, after its transfers. */
  async close(): Promise<void> {
    const { store } = this.#options;
    const deadline = performance.now() + FLUSH_PATIENCE_MS;
    const flush = async (): Promise<void> => {
      for (const digest of this.#unflushed) {
        if (performance.now() > deadline) return;
        const found = await store?.reopen(digest);
        if (found?.isIntact === true) await found.file.note(found.note, { flush: 'all' });
        found?.file.leave();
        await found?.file.close();
      }
    };
    const patience = new AbortController();
    const late = delay(FLUSH_PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([flush().catch((error: unknown) => this.#warn(error)), late]);
    patience.abort();
  }

  get #limit(): number {
    return partialLimit(this.#options.limits());
  }

  async #remove(kept: Map<Digest, Kept>, digest: Digest): Promise<number> {
    const bytes = kept.get(digest)?.bytes;
    if (bytes === undefined) return 0;
    kept.delete(digest);
    this.#unflushed.delete(digest);
    try {
      return (await this.#options.store?.remove(digest)) === true ? bytes : 0;
    } catch (error) {
      this.#warn(error);
      return 0;
    }
  }

  async #list(): Promise<Map<Digest, Kept>> {
    if (this.#kept !== undefined) return this.#kept;
    this.#listing ??= this.#read();
    try {
      this.#kept = await this.#listing;
      return this.#kept;
    } catch (error) {
      this.#warn(error);
      return new Map();
    } finally {
      this.#listing = undefined;
    }
  }

  async #read(): Promise<Map<Digest, Kept>> {
    const kept = new Map<Digest, Kept>();
    for (const { digest, bytes, modifiedAt } of (await this.#options.store?.list()) ?? []) {
      kept.set(digest, { bytes, at: modifiedAt });
    }
    return kept;
  }

  #warn(error: unknown): void {
    this.#options.telemetry.publish('warning', { message: 'Cannot look after partial content', error });
  }
}

function byAge(kept: ReadonlyMap<Digest, Kept>): readonly [Digest, Kept][] {
  return [...kept].sort(([, one], [, other]) => one.at - other.at);
}

function sum(kept: ReadonlyMap<Digest, Kept>): number {
  let bytes = 0;
  for (const each of kept.values()) bytes += each.bytes;
  return bytes;
}
