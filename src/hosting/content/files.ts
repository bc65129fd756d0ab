import { type CheckedBlob, readStoredManifest, Verification } from '../../cache/index.ts';
import { keyOf, Lru, ownBytes } from '../../lib/index.ts';
import { type Digest, OciError, type Repository } from '../../oci/index.ts';
import type { BlobStore, HostedBlob, HostedStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { DeletionPause } from '../deletion-pause.ts';
import { HostedRows } from './hosted-rows.ts';

interface HostedFilesOptions {
  readonly store: BlobStore;
  readonly records: HostedStore;
  readonly telemetry: Telemetry;
  /** As in {@link Verification}. */
  readonly verifyAfter?: (() => number) | undefined;
  readonly now: () => number;
  readonly pause: DeletionPause;
  /** Bytes of manifests held in memory. @default 33_554_432 */
  readonly memory?: number | undefined;
}

const DEFAULT_MEMORY = 32 * 1024 * 1024;

/** Bytes that one entry takes besides its manifest. */
const ENTRY_OVERHEAD = 256;

/** Losses that are remembered as reported. */
const REPORTED = 10_000;

/**
 * The files behind the records: verified before they are served, as those of the cache are.
 *
 * A file that is corrupt or lost is reported with the repository that misses it, and is answered as unknown, so that a client pushes it
 * again. What the disk cannot read at the moment is answered as unavailable: the client would push in vain.
 */
export class HostedFiles {
  readonly #options: HostedFilesOptions;
  readonly #rows: HostedRows;
  readonly #verification: Verification;
  readonly #manifests: Lru<Buffer>;
  readonly #reported = new Lru<true>({ maxWeight: REPORTED });

  constructor(options: HostedFilesOptions) {
    const { store, records, telemetry, verifyAfter, now } = options;
    this.#options = options;
    this.#rows = new HostedRows(records);
    this.#verification = new Verification({
      store,
      metadata: this.#rows,
      telemetry,
      now,
      ...(verifyAfter === undefined ? {} : { verifyAfter }),
    });
    this.#manifests = new Lru({
      maxWeight: options.memory ?? DEFAULT_MEMORY,
      weigh: ({ length }) => length + ENTRY_OVERHEAD,
    });
  }

  get verification(): Verification {
    return this.#verification;
  }

  /** Opens the file of a recorded blob; undefined where it is lost. Rejects with the signal's reason, or UNAVAILABLE. */
  async open(
    repository: Repository,
    { digest, size }: HostedBlob,
    signal: AbortSignal | undefined,
  ): Promise<CheckedBlob | undefined> {
    const checked = await this.#verification.open(digest, { expectedSize: size, signal });
    if (checked === undefined) await this.#lost(repository, digest);
    else this.#reported.delete(lossOf(repository, digest));
    return checked;
  }

  /** Whether the file of a record is there, with its size. Rejects with UNAVAILABLE. */
  async has(repository: Repository, { digest, size }: HostedBlob): Promise<boolean> {
    const found = await this.#verification.size(digest, size);
    if (found === size) return true;
    await this.#lost(repository, digest);
    return false;
  }

  /** The bytes of a recorded manifest; undefined where its file is lost. Rejects with UNAVAILABLE. */
  async manifest(repository: Repository, digest: Digest): Promise<Buffer | undefined> {
    const remembered = this.#manifests.get(digest);
    if (remembered !== undefined) return remembered;
    const bytes = await readStoredManifest(digest, this.#verification);
    if (bytes === undefined) await this.#lost(repository, digest);
    else this.#manifests.set(digest, ownBytes(bytes));
    return bytes;
  }

  /** Stores the bytes of a manifest, which have the digest; also where there is a file, since that may be corrupt. */
  async writeManifest(digest: Digest, bytes: Buffer): Promise<void> {
    const file = await this.#options.store.begin();
    try {
      await file.write(bytes, 0);
      await this.#verification.commit(file, { digest, size: bytes.length });
      this.#manifests.set(digest, ownBytes(bytes));
    } catch (error) {
      await file.abort();
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Notes that a file was committed whose content has been hashed. */
  async confirm(digest: Digest, file: { readonly size: number; readonly mark?: string | undefined }): Promise<void> {
    // What was lost is found again, and not adopted.
    await this.#rows.noteVerified(digest);
    await this.#verification.confirm(digest, file);
  }

  /**
   * Deletes a file that no record names any more; while a backup copies files, it goes when that has ended. The caller holds the lock of
   * the digest.
   */
  async deleteUnreferenced(digest: Digest): Promise<boolean> {
    const { store, records, pause } = this.#options;
    if (await records.isReferenced(digest)) return false;
    this.#manifests.delete(digest);
    if (pause.holds(digest)) return false;
    return store.delete(digest);
  }

  close(): Promise<void> {
    return this.#verification.close();
  }

  /** Reports a loss, once for each repository. @throws {OciError} UNAVAILABLE where the file is there, or cannot be looked for */
  async #lost(repository: Repository, digest: Digest): Promise<void> {
    const { store, telemetry } = this.#options;
    const left = await store.stat(digest).catch(() => 'unreadable');
    if (left !== undefined) throw new OciError('UNAVAILABLE', 'the disk of this registry cannot be read at the moment');
    const loss = lossOf(repository, digest);
    if (this.#reported.get(loss) === true) return;
    this.#reported.set(loss, true);
    telemetry.publish('warning', {
      message: `${repository.registry}/${repository.repository} has lost ${digest}: its file was corrupt or is missing. Push it again`,
    });
  }
}

function lossOf({ registry, repository }: Repository, digest: Digest): string {
  return keyOf(registry, repository, digest);
}
