import { abortable, ConcurrencyLimit, keyOf, Lru } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { BlobRecord, BlobStore, MetadataStore, StoredBlob } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { type Corruption, isDiskError, quarantine } from './corruption.ts';
import { Inspection, inspect, shareHandle, unreadable } from './inspection.ts';
import { adoptBlob } from './removal.ts';

// What rests on a disk may rot. A stored blob is believed when
//   1. its file has the size its row says, which is checked each time it is opened, and
//   2. its content was hashed since the server started, and within `verifyAfter`, in the very file that is there now.
//
//   opened ──size wrong──────────────────────────────────▶ condemned: quarantined, row gone, fetched afresh
//     │                                                        ▲
//     ├─ believed ──────────────────────────────▶ served       │ wrong
//     ├─ at most 4 MiB, or nobody can say its size: hashed ────┤
//     │                                             └─ right ──┼▶ served
//     └─ larger: served while it is hashed; a reader of the ───┘
//        whole gets the last byte when it was found right

export interface VerificationOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly telemetry: Telemetry;
  /**
   * Milliseconds after which content is hashed again, at the next read; 0: only at the first read since the start.
   * @default 604_800_000 (7 days)
   */
  readonly verifyAfter?: number | (() => number);
  readonly now?: () => number;
}

/** A stored blob that may be read. */
export interface CheckedBlob {
  readonly blob: StoredBlob;
  /** Runs, or has just ended, where the content is not known to be right yet; undefined where it is. */
  readonly examination: Inspection | undefined;
}

export interface CheckOptions {
  /** Bytes by the manifest that names the blob. */
  readonly expectedSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a stored blob fares when it is looked at for its own sake. */
export type Finding = Corruption | 'right' | 'gone';

const WEEK = 7 * 24 * 3600 * 1000;

/** What is hashed before its first byte is served: some milliseconds, and a rotten one is replaced unnoticed. */
const SMALL = 4 * 1024 * 1024;

/** Blobs hashed at once. More would only make each take longer; small ones have a queue of their own and stay quick. */
const SMALL_AT_ONCE = 8;
const LARGE_AT_ONCE = 3;

/** Digests remembered as right: about 20 MB when full. What is forgotten is still known by its row. */
const REMEMBERED = 100_000;

/** What was found right. */
interface Verified {
  readonly mark: string | undefined;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Decides whether what is stored may be served, and finds out where nobody knows. */
export class Verification {
  readonly #options: VerificationOptions;
  readonly #verifyAfter: () => number;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #believed = new Lru<Verified>({ maxWeight: REMEMBERED });
  readonly #running = new Map<string, Inspection>();
  readonly #small = new ConcurrencyLimit(SMALL_AT_ONCE);
  readonly #large = new ConcurrencyLimit(LARGE_AT_ONCE);
  readonly #stop = new AbortController();

  constructor(options: VerificationOptions) {
    this.#options = options;
    const { verifyAfter = WEEK } = options;
    this.#verifyAfter = typeof verifyAfter === 'number' ? () => verifyAfter : verifyAfter;
    this.#now = options.now ?? Date.now;
    this.#startedAt = this.#now();
  }

  /**
   * Opens a stored blob. Undefined where there is none that could be served, be it that it was never there or that it
   * turned out wrong: to whoever asks that is the same.
   *
   * Rejects with the signal's reason only.
   */
  async open(digest: Digest, { expectedSize, signal }: CheckOptions = {}): Promise<CheckedBlob | undefined> {
    const stored = await this.#openFile(digest);
    if (stored === undefined) return undefined;
    if (this.#isBelieved(digest, stored)) return { blob: stored, examination: undefined };
    const row = await this.#row(digest);
    if (row !== undefined && row.size !== stored.size) {
      release(stored);
      await this.quarantine(digest, wrongSize(stored.size, row.size), stored.mark);
      return undefined;
    }
    if (this.#isBelievedByRow(digest, row)) {
      this.#believe(digest, stored, row?.verifiedAt ?? 0);
      return { blob: stored, examination: undefined };
    }
    // Nobody but its content can say whether such a file is the blob.
    const isDoubtful = expectedSize === undefined ? row === undefined : expectedSize !== stored.size;
    const isHashedFirst = isDoubtful || stored.size <= SMALL;
    if (!isHashedFirst && !(await this.#canBeRead(digest, stored))) {
      release(stored);
      return undefined;
    }
    const { blob, examination } = this.#examine(digest, stored);
    if (isHashedFirst && !(await this.#isRight(examination, { blob, signal }))) {
      release(blob);
      return undefined;
    }
    return { blob, examination: examination.verdict === 'right' ? undefined : examination };
  }

  /** Bytes of a stored blob, if it has as many as it should; its content is not looked at. */
  async size(digest: Digest, expectedSize: number | undefined): Promise<number | undefined> {
    const { store, telemetry } = this.#options;
    let size: number | undefined;
    try {
      size = await store.stat(digest);
    } catch (error) {
      telemetry.publish('warning', { message: `Cannot look at the stored blob ${digest}`, error });
      return undefined;
    }
    if (size === undefined) {
      await this.#missing(digest);
      return undefined;
    }
    const known = this.#believed.get(digest)?.size ?? (await this.#row(digest))?.size;
    if (known === undefined) return size === expectedSize ? size : undefined;
    if (known === size) return size;
    await this.quarantine(digest, wrongSize(size, known));
    return undefined;
  }

  /** Notes that a blob was found right by somebody who hashed what he stored or read. */
  async confirm(digest: Digest, blob: Pick<StoredBlob, 'size' | 'mark'>): Promise<void> {
    const { metadata, telemetry } = this.#options;
    const at = this.#now();
    this.#believe(digest, blob, at);
    try {
      if ((await metadata.getBlob(digest)) === undefined) await this.#adopt(digest, blob.size, at);
      else await metadata.noteVerified(digest, at);
    } catch (error) {
      telemetry.publish('warning', { message: `Cannot note that the stored blob ${digest} is right`, error });
    }
  }

  /** As {@link confirm}, for what has just been stored: its row is written with it. */
  stored(digest: Digest, blob: Pick<StoredBlob, 'size' | 'mark'>): void {
    this.#believe(digest, blob, this.#now());
  }

  /**
   * Takes a blob that turned out wrong out of sight. Never rejects.
   *
   * @param mark of the file that is wrong; where another one has taken its place since, that one stays
   */
  async quarantine(digest: Digest, rot: Corruption, mark?: string): Promise<void> {
    const { store, metadata, telemetry } = this.#options;
    if (mark !== undefined && (await this.#isReplaced(digest, mark))) return;
    this.#believed.delete(digest);
    await quarantine(digest, { store, metadata, telemetry, ...rot });
  }

  /** Looks at the whole content now, believed or not, and deals with what it finds. Rejects with the signal's reason. */
  async inspect(digest: Digest, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<Finding> {
    const row = await this.#row(digest);
    const { store } = this.#options;
    let stored: StoredBlob | undefined;
    try {
      stored = await store.open(digest);
    } catch (error) {
      const rot = unreadable(error);
      if (isDiskError(error)) await this.quarantine(digest, rot);
      return rot;
    }
    if (stored === undefined) {
      // What has no row and is no file is nobody's: it was removed while we came here.
      return (await this.#missing(digest)) ? { reason: 'missing', detail: 'its file is gone' } : 'gone';
    }
    if (row !== undefined && row.size !== stored.size) {
      release(stored);
      const rot = wrongSize(stored.size, row.size);
      await this.quarantine(digest, rot, stored.mark);
      return rot;
    }
    const { blob, examination } = this.#examine(digest, stored);
    release(blob);
    await abortable(examination.done, signal);
    return examination.rot ?? 'right';
  }

  /** Stops looking; resolves when no file is open any more. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the server is stopping'));
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  async #openFile(digest: Digest): Promise<StoredBlob | undefined> {
    const { store, telemetry } = this.#options;
    try {
      const stored = await store.open(digest);
      if (stored === undefined) await this.#missing(digest);
      return stored;
    } catch (error) {
      if (isDiskError(error)) await this.quarantine(digest, unreadable(error));
      // A disk that cannot be read costs the stored copy, not the pull.
      else telemetry.publish('warning', { message: 'Cannot read a stored blob', error });
      return undefined;
    }
  }

  #isBelieved(digest: Digest, { mark, size }: StoredBlob): boolean {
    const believed = this.#believed.get(digest);
    if (believed === undefined || !this.#isRecent(believed.at)) return false;
    return believed.size === size && believed.mark === mark;
  }

  /** What has been forgotten here is still known by its row, but not which file it was: as long as nothing else is known. */
  #isBelievedByRow(digest: Digest, row: BlobRecord | undefined): boolean {
    if (row?.verifiedAt === undefined || this.#believed.get(digest) !== undefined) return false;
    return row.verifiedAt >= this.#startedAt && this.#isRecent(row.verifiedAt);
  }

  /** A time that lies ahead is that of a clock which has been set back since. */
  #isRecent(at: number): boolean {
    const age = this.#now() - at;
    const verifyAfter = this.#verifyAfter();
    return verifyAfter === 0 || (age >= 0 && age < verifyAfter);
  }

  #believe(digest: Digest, { mark, size }: Pick<StoredBlob, 'size' | 'mark'>, at: number): void {
    this.#believed.set(digest, { mark, size, at });
  }

  async #row(digest: Digest): Promise<BlobRecord | undefined> {
    const { metadata, telemetry } = this.#options;
    try {
      return await metadata.getBlob(digest);
    } catch (error) {
      telemetry.publish('warning', { message: 'Cannot read what is known of a stored blob', error });
      return undefined;
    }
  }

  /** Hashes the file once for all who have it open. Gives back a handle to read it by, in place of the one it got. */
  #examine(digest: Digest, stored: StoredBlob): { readonly blob: StoredBlob; readonly examination: Inspection } {
    const key = keyOf(digest, stored.mark ?? '');
    const running = this.#running.get(key);
    if (running !== undefined) return { blob: stored, examination: running };
    const [ours, theirs] = shareHandle(stored);
    const limit = stored.size <= SMALL ? this.#small : this.#large;
    const examination = new Inspection(digest, async () => {
      try {
        const rot = await limit.run(() => inspect(digest, ours, this.#stop.signal));
        if (rot === undefined) await this.confirm(digest, ours);
        else await this.quarantine(digest, rot, stored.mark);
        return rot;
      } finally {
        this.#running.delete(key);
        release(ours);
      }
    });
    this.#running.set(key, examination);
    return { blob: theirs, examination };
  }

  async #isRight(
    examination: Inspection,
    { blob, signal }: { readonly blob: StoredBlob; readonly signal: AbortSignal | undefined },
  ): Promise<boolean> {
    try {
      return (await abortable(examination.done, signal)) === 'right';
    } catch (error) {
      release(blob);
      throw error;
    }
  }

  /** A large one is not hashed before its first byte, but a disk that cannot read it is found out while it can be helped. */
  async #canBeRead(digest: Digest, blob: StoredBlob): Promise<boolean> {
    try {
      await blob.read(Buffer.allocUnsafe(1), 0);
      return true;
    } catch (error) {
      await this.quarantine(digest, unreadable(error), blob.mark);
      return false;
    }
  }

  async #isReplaced(digest: Digest, mark: string): Promise<boolean> {
    try {
      const current = await this.#options.store.open(digest);
      if (current !== undefined) release(current);
      return current?.mark !== mark;
    } catch {
      return false;
    }
  }

  /** A file that nothing is known of, as its row was lost, is stored from now on. */
  async #adopt(digest: Digest, size: number, at: number): Promise<void> {
    const { store, metadata, telemetry } = this.#options;
    if (await adoptBlob(digest, { size, at, verifiedAt: at }, { store, metadata }))
      telemetry.publish('blob.adopted', { digest, size });
  }

  /** True where there was a row, and it is gone now. */
  async #missing(digest: Digest): Promise<boolean> {
    const { store } = this.#options;
    this.#believed.delete(digest);
    const row = await this.#row(digest);
    if (row === undefined) return false;
    // Asked again, in this order: it may have been stored just now, or be on its way out.
    if ((await store.stat(digest).catch(() => undefined)) !== undefined) return false;
    if ((await this.#row(digest))?.storedAt !== row.storedAt) return false;
    await this.quarantine(digest, { reason: 'missing', detail: 'there is no file where it was stored' });
    return true;
  }
}

function wrongSize(found: number, known: number): Corruption {
  return { reason: 'size', detail: `its file has ${found} bytes and had ${known} when it was stored` };
}

/** Nobody waits for a file to be closed, and nobody could help it. */
function release(blob: StoredBlob): void {
  blob.close().catch(() => {});
}
