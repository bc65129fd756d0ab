import { abortable, ConcurrencyLimit, keyOf, Lru } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { BlobRecord, BlobStore, Ingestion, StoredBlob } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';
import { isCurrent } from '../time-span.ts';
import type { BlobRows } from './blob-rows.ts';
import { type Corruption, isDiskError, quarantine } from './corruption.ts';
import { Inspection, inspect, shareHandle, unreadable } from './inspection.ts';
import { adoptBlob } from './removal.ts';

// Files on a disk can become corrupt. A stored blob is verified when
//   1. its file has the size that its row says, which is checked each time it is opened, and
//   2. its content was hashed since the server started, and within `verifyAfter`, in the very file that is there now.
//
//   opened ──size wrong──────────────────────────────────▶ quarantined, row deleted, fetched again
//     │                                                        ▲
//     ├─ verified ──────────────────────────────▶ served       │ wrong
//     ├─ at most 4 MiB, or of unknown size: hashed ────────────┤
//     │                                        └─ right ───────┼▶ served
//     └─ larger: served while it is hashed; a reader of the ───┘
//        whole gets the last byte once it is found right

interface VerificationOptions {
  readonly store: BlobStore;
  /** The rows of the stored blobs. */
  readonly metadata: BlobRows;
  readonly telemetry: Telemetry;
  /**
   * Milliseconds after which content is hashed again, at the next read; 0: only at the first read since the start. Called
   * at each use, as it may change. @default 604_800_000 (7 days)
   */
  readonly verifyAfter?: () => number;
  readonly now?: (() => number) | undefined;
}

/** A stored blob that may be read. */
export interface CheckedBlob {
  readonly blob: StoredBlob;
  /** Hashes the content that is not verified yet; undefined where it is. */
  readonly inspection: Inspection | undefined;
}

export interface CheckOptions {
  /** Bytes by the manifest that names the blob. */
  readonly expectedSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an inspection of a stored blob finds. `removed`: it was removed meanwhile. */
type Finding = Corruption | 'right' | 'removed';

const WEEK = 7 * 24 * 3600 * 1000;

/** Bytes up to which a blob is hashed before its first byte is served: some milliseconds, and a corrupt one is replaced unnoticed. */
const SMALL = 4 * 1024 * 1024;

/** Blobs hashed at once. More would only make each take longer; small ones have a queue of their own and stay quick. */
const SMALL_AT_ONCE = 8;
const LARGE_AT_ONCE = 3;

/** Digests remembered as verified: about 20 MB when full. A forgotten one is still known by its row. */
const REMEMBERED = 100_000;

/** A file that was found right. */
interface Verified {
  readonly mark: string | undefined;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Decides whether a stored blob may be served, and hashes it where that is not known. */
export class Verification {
  readonly #options: VerificationOptions;
  readonly #verifyAfter: () => number;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #verified = new Lru<Verified>({ maxWeight: REMEMBERED });
  readonly #running = new Map<string, Inspection>();
  readonly #small = new ConcurrencyLimit(SMALL_AT_ONCE);
  readonly #large = new ConcurrencyLimit(LARGE_AT_ONCE);
  readonly #stop = new AbortController();

  constructor(options: VerificationOptions) {
    this.#options = options;
    this.#verifyAfter = options.verifyAfter ?? (() => WEEK);
    this.#now = options.now ?? Date.now;
    this.#startedAt = this.#now();
  }

  /**
   * Opens a stored blob. Undefined where it is not stored or turns out to be corrupt: the caller fetches it in either case.
   *
   * Rejects only with the signal's reason.
   */
  async open(digest: Digest, { expectedSize, signal }: CheckOptions = {}): Promise<CheckedBlob | undefined> {
    const stored = await this.#openFile(digest);
    if (stored === undefined) return undefined;
    if (this.#isVerified(digest, stored)) return { blob: stored, inspection: undefined };
    const row = await this.#row(digest);
    if (row !== undefined && row.size !== stored.size) {
      release(stored);
      await this.quarantine(digest, wrongSize(stored.size, row.size), stored.mark);
      return undefined;
    }
    if (this.#isVerifiedByRow(digest, row)) {
      this.#remember(digest, stored, row?.verifiedAt ?? 0);
      return { blob: stored, inspection: undefined };
    }
    // Without a size to compare, only its content tells whether the file is the blob.
    const isSizeUnknown = expectedSize === undefined ? row === undefined : expectedSize !== stored.size;
    const isHashedFirst = isSizeUnknown || stored.size <= SMALL;
    if (!isHashedFirst && !(await this.#canBeRead(digest, stored))) {
      release(stored);
      return undefined;
    }
    const { blob, inspection } = this.#inspect(digest, stored);
    if (isHashedFirst && !(await this.#isRight(inspection, { blob, signal }))) {
      release(blob);
      return undefined;
    }
    return { blob, inspection: inspection.verdict === 'right' ? undefined : inspection };
  }

  /** The size of a stored blob, if it is the expected one; its content is not checked. */
  async size(digest: Digest, expectedSize: number | undefined): Promise<number | undefined> {
    const { store, telemetry } = this.#options;
    const message = `Cannot read the stored blob ${digest}`;
    const found = await attempt(async () => ({ size: await store.stat(digest) }), { telemetry, message });
    if (found === undefined) return undefined;
    const { size } = found;
    if (size === undefined) {
      await this.#missing(digest);
      return undefined;
    }
    const known = this.#verified.get(digest)?.size ?? (await this.#row(digest))?.size;
    if (known === undefined) return size === expectedSize ? size : undefined;
    if (known === size) return size;
    await this.quarantine(digest, wrongSize(size, known));
    return undefined;
  }

  /** Notes that a stored blob has been hashed and found right. */
  async confirm(digest: Digest, blob: Pick<StoredBlob, 'size' | 'mark'>): Promise<void> {
    const { metadata, telemetry } = this.#options;
    const at = this.#now();
    this.#remember(digest, blob, at);
    const note = async (): Promise<void> => {
      if ((await metadata.getBlob(digest)) === undefined) await this.#adopt(digest, blob.size, at);
      else await metadata.noteVerified(digest, at);
    };
    await attempt(note, { telemetry, message: `Cannot note that the stored blob ${digest} is right` });
  }

  /** Commits a file whose content has been hashed: first the file, then its row. */
  async commit(file: Ingestion, { digest, size }: { readonly digest: Digest; readonly size: number }): Promise<void> {
    await file.commit(digest);
    const storedAt = this.#now();
    await this.#options.metadata.putBlob({ digest, size, kind: 'mirrored', storedAt, verifiedAt: storedAt });
    this.#remember(digest, { size, mark: file.mark }, storedAt);
  }

  /**
   * Quarantines a corrupt blob. Never rejects.
   *
   * @param mark of the corrupt file; where another file has taken its place since, that one stays
   */
  async quarantine(digest: Digest, corruption: Corruption, mark?: string): Promise<void> {
    const { store, metadata, telemetry } = this.#options;
    if (mark !== undefined && (await this.#isReplaced(digest, mark))) return;
    this.#verified.delete(digest);
    await quarantine(digest, { store, metadata, telemetry, ...corruption });
  }

  /** Hashes the whole content now, verified or not, and quarantines what is corrupt. Rejects with the signal's reason. */
  async inspect(digest: Digest, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<Finding> {
    const row = await this.#row(digest);
    const { store } = this.#options;
    let stored: StoredBlob | undefined;
    try {
      stored = await store.open(digest);
    } catch (error) {
      const corruption = unreadable(error);
      if (isDiskError(error)) await this.quarantine(digest, corruption);
      return corruption;
    }
    if (stored === undefined) {
      // With neither a row nor a file, it was removed meanwhile.
      return (await this.#missing(digest)) ? { reason: 'missing', detail: 'its file is missing' } : 'removed';
    }
    if (row !== undefined && row.size !== stored.size) {
      release(stored);
      const corruption = wrongSize(stored.size, row.size);
      await this.quarantine(digest, corruption, stored.mark);
      return corruption;
    }
    const { blob, inspection } = this.#inspect(digest, stored);
    release(blob);
    await abortable(inspection.done, signal);
    return inspection.corruption ?? 'right';
  }

  /** Stops every inspection; resolves when all files are closed. */
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

  #isVerified(digest: Digest, { mark, size }: StoredBlob): boolean {
    const verified = this.#verified.get(digest);
    if (verified === undefined || !this.#isRecent(verified.at)) return false;
    return verified.size === size && verified.mark === mark;
  }

  /** A digest that memory has dropped is still known by its row, which does not say which file was verified. */
  #isVerifiedByRow(digest: Digest, row: BlobRecord | undefined): boolean {
    if (row?.verifiedAt === undefined || this.#verified.get(digest) !== undefined) return false;
    return row.verifiedAt >= this.#startedAt && this.#isRecent(row.verifiedAt);
  }

  /** Also false where the clock was set back since. */
  #isRecent(at: number): boolean {
    const verifyAfter = this.#verifyAfter();
    return verifyAfter === 0 || isCurrent({ since: at, until: at + verifyAfter }, this.#now());
  }

  #remember(digest: Digest, { mark, size }: Pick<StoredBlob, 'size' | 'mark'>, at: number): void {
    this.#verified.set(digest, { mark, size, at });
  }

  #row(digest: Digest): Promise<BlobRecord | undefined> {
    const { metadata, telemetry } = this.#options;
    return attempt(() => metadata.getBlob(digest), { telemetry, message: 'Cannot read the row of a stored blob' });
  }

  /** Hashes the file once for all its readers. Returns a handle to read it by, in place of the given one. */
  #inspect(digest: Digest, stored: StoredBlob): { readonly blob: StoredBlob; readonly inspection: Inspection } {
    const key = keyOf(digest, stored.mark ?? '');
    const running = this.#running.get(key);
    if (running !== undefined) return { blob: stored, inspection: running };
    const [ours, theirs] = shareHandle(stored);
    const limit = stored.size <= SMALL ? this.#small : this.#large;
    const inspection = new Inspection(digest, async () => {
      try {
        const corruption = await limit.run(() => inspect(digest, ours, this.#stop.signal));
        if (corruption === undefined) await this.confirm(digest, ours);
        else await this.quarantine(digest, corruption, stored.mark);
        return corruption;
      } finally {
        this.#running.delete(key);
        release(ours);
      }
    });
    this.#running.set(key, inspection);
    return { blob: theirs, inspection };
  }

  async #isRight(
    inspection: Inspection,
    { blob, signal }: { readonly blob: StoredBlob; readonly signal: AbortSignal | undefined },
  ): Promise<boolean> {
    try {
      return (await abortable(inspection.done, signal)) === 'right';
    } catch (error) {
      release(blob);
      throw error;
    }
  }

  /** Reads one byte of a large blob, so that a broken disk is found before the first byte is served. */
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

  /** Gives a verified file without a row its row. */
  async #adopt(digest: Digest, size: number, at: number): Promise<void> {
    const { store, metadata, telemetry } = this.#options;
    if (await adoptBlob(digest, { size, at, verifiedAt: at }, { store, metadata }))
      telemetry.publish('blob.adopted', { digest, size });
  }

  /** Quarantines a blob whose file is missing; true where it had a row. */
  async #missing(digest: Digest): Promise<boolean> {
    const { store } = this.#options;
    this.#verified.delete(digest);
    const row = await this.#row(digest);
    if (row === undefined) return false;
    // Checked again, in this order: it may have been stored just now, or be about to be removed.
    if ((await store.stat(digest).catch(() => undefined)) !== undefined) return false;
    if ((await this.#row(digest))?.storedAt !== row.storedAt) return false;
    await this.quarantine(digest, { reason: 'missing', detail: 'there is no file where it was stored' });
    return true;
  }
}

function wrongSize(found: number, known: number): Corruption {
  return { reason: 'size', detail: `its file has ${found} bytes and had ${known} when it was stored` };
}

/** Closes a file without waiting, and ignores a failure. */
function release(blob: StoredBlob): void {
  blob.close().catch(() => {});
}
