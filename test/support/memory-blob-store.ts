import type { Digest } from '../../src/oci/index.ts';
import type { BlobStore, Ingestion, StoredBlob, UnknownFiles } from '../../src/store/index.ts';

export interface MemoryBlobStoreOptions {
  /** Bytes that fit, ingests included; beyond it `write` rejects with the code `ENOSPC`. @default no limit */
  readonly capacity?: number;
}

/** A {@link BlobStore} in memory, for tests: its disk can be small, and its blobs can rot. */
export class MemoryBlobStore implements BlobStore {
  readonly #blobs = new Map<Digest, { readonly bytes: Buffer; readonly mark: string }>();
  #published = 0;
  readonly #quarantined = new Map<Digest, Buffer>();
  #left: number;

  constructor(options: MemoryBlobStoreOptions = {}) {
    this.#left = options.capacity ?? Number.POSITIVE_INFINITY;
  }

  begin(): Promise<Ingestion> {
    const ingestion = new MemoryIngestion({
      take: (bytes) => {
        if (bytes > this.#left) throw Object.assign(new Error('ENOSPC: no space left, write'), { code: 'ENOSPC' });
        this.#left -= bytes;
      },
      giveBack: (bytes) => {
        this.#left += bytes;
      },
      publish: (digest, bytes) => {
        this.#left += this.#blobs.get(digest)?.bytes.length ?? 0;
        return this.#put(digest, bytes);
      },
    });
    return Promise.resolve(ingestion);
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) return undefined;
    const { bytes, mark } = blob;
    let closed = false;
    return {
      size: bytes.length,
      mark,
      async read(target, position) {
        if (closed) throw new Error('Cannot read a file that has been closed');
        return bytes.copy(target, 0, Math.min(position, bytes.length));
      },
      async close() {
        closed = true;
      },
    };
  }

  async stat(digest: Digest): Promise<number | undefined> {
    return this.#blobs.get(digest)?.bytes.length;
  }

  async delete(digest: Digest): Promise<boolean> {
    this.#left += this.#blobs.get(digest)?.bytes.length ?? 0;
    return this.#blobs.delete(digest);
  }

  async quarantine(digest: Digest): Promise<void> {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) return;
    await this.delete(digest);
    this.#quarantined.set(digest, blob.bytes);
  }

  async *list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }> {
    for (const [digest, { bytes }] of this.#blobs) yield { digest, size: bytes.length };
  }

  async *listDigests(): AsyncIterable<readonly Digest[]> {
    if (this.#blobs.size > 0) yield [...this.#blobs.keys()].sort();
  }

  async unknownFiles(): Promise<UnknownFiles> {
    return { count: 0, names: [] };
  }

  /** Puts any bytes under a digest, right or wrong, as a rotting disk would. */
  plant(digest: Digest, bytes: Uint8Array): void {
    this.#put(digest, Buffer.from(bytes));
  }

  #put(digest: Digest, bytes: Buffer): string {
    this.#published += 1;
    const mark = String(this.#published);
    this.#blobs.set(digest, { bytes, mark });
    return mark;
  }

  /** What {@link quarantine} took out of sight. */
  quarantined(digest: Digest): Buffer | undefined {
    return this.#quarantined.get(digest);
  }
}

interface Room {
  take(bytes: number): void;
  giveBack(bytes: number): void;
  /** Returns the mark. */
  publish(digest: Digest, bytes: Buffer): string;
}

class MemoryIngestion implements Ingestion {
  readonly #room: Room;
  #bytes: Buffer = Buffer.alloc(4096);
  #length = 0;
  #state: 'growing' | 'committed' | 'aborted' = 'growing';
  #closed = false;
  mark: string | undefined;

  constructor(room: Room) {
    this.#room = room;
  }

  async write(chunk: Buffer, position: number): Promise<void> {
    if (this.#closed) throw new Error('Cannot write a file that has been closed');
    const end = position + chunk.length;
    if (end > this.#length && this.#state === 'growing') this.#room.take(end - this.#length);
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, position);
    this.#length = Math.max(this.#length, end);
  }

  async read(target: Buffer, position: number): Promise<number> {
    if (this.#closed) throw new Error('Cannot read a file that has been closed');
    return this.#bytes.copy(target, 0, Math.min(position, this.#length), this.#length);
  }

  async commit(digest: Digest): Promise<void> {
    if (this.#state !== 'growing') throw new Error(`Cannot commit ${digest} as its file was ${this.#state}`);
    this.#state = 'committed';
    this.mark = this.#room.publish(digest, Buffer.from(this.#bytes.subarray(0, this.#length)));
  }

  async abort(): Promise<void> {
    if (this.#state !== 'growing') return;
    this.#state = 'aborted';
    this.#room.giveBack(this.#length);
  }

  async close(): Promise<void> {
    await this.abort();
    this.#closed = true;
  }
}
