import { type Digest, digestAlgorithm, digestOf } from '../../src/oci/index.ts';
import {
  type BlobSource,
  type BlobStore,
  type Ingestion,
  isIngestionName,
  type KeptPartial,
  MAX_PARTIAL_NOTE_BYTES,
  type NamedIngestion,
  type PartialFlush,
  type PartialIngestion,
  type PartialStore,
  type ReopenedIngestion,
  type ReopenedPartial,
  type ResumableBlobStore,
  type ResumableIngestion,
  requireNamed,
  requireShort,
  type StoredBlob,
  type UnknownFiles,
} from '../../src/store/index.ts';

export interface MemoryBlobStoreOptions {
  /** Bytes that fit, ingests included; beyond it `write` rejects with the code `ENOSPC`. @default no limit */
  readonly capacity?: number;
}

/** A {@link BlobStore} in memory, for tests: its disk can be small, and its blobs can rot. */
export class MemoryBlobStore implements BlobStore {
  readonly partials = new MemoryPartials(() => this.room());
  readonly #blobs = new Map<Digest, { readonly bytes: Buffer; readonly mark: string }>();
  #published = 0;
  readonly #quarantined = new Map<Digest, Buffer>();
  #left: number;

  constructor(options: MemoryBlobStoreOptions = {}) {
    this.#left = options.capacity ?? Number.POSITIVE_INFINITY;
  }

  begin(): Promise<Ingestion> {
    return Promise.resolve(new MemoryIngestion(this.room()));
  }

  protected room(): Room {
    return {
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
    };
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

export interface MemoryResumableOptions extends MemoryBlobStoreOptions {
  /** Milliseconds since 1970, for `modifiedAt`. @default Date.now */
  readonly now?: () => number;
}

/** A {@link ResumableBlobStore} in memory, for tests. Its named files survive until the store is forgotten. */
export class MemoryResumableBlobStore extends MemoryBlobStore implements ResumableBlobStore {
  readonly #named = new Map<string, { readonly note: string; readonly bytes: GrowingBytes; isOpen: boolean }>();
  readonly #now: () => number;

  constructor({ now = Date.now, ...options }: MemoryResumableOptions = {}) {
    super(options);
    this.#now = now;
  }

  async beginNamed(name: string, note: string): Promise<ResumableIngestion> {
    requireNamed(name, note);
    if (this.#named.has(name)) throw new Error(`Cannot begin ${name} as it is there already`);
    this.#named.set(name, { note, bytes: new GrowingBytes(this.#now), isOpen: false });
    return this.#open(name);
  }

  async reopen(name: string): Promise<ReopenedIngestion | undefined> {
    const named = isIngestionName(name) ? this.#named.get(name) : undefined;
    if (named === undefined) return undefined;
    if (named.isOpen) throw new Error(`Cannot open ${name} as it is open already`);
    return { file: this.#open(name), size: named.bytes.length, note: named.note };
  }

  async listNamed(): Promise<readonly NamedIngestion[]> {
    return [...this.#named].map(([name, { note, bytes }]) => {
      return { name, size: bytes.length, note, modifiedAt: bytes.modifiedAt };
    });
  }

  async takeFrom(source: BlobSource, digest: Digest): Promise<number | undefined> {
    const blob = await source.open(digest);
    if (blob === undefined) return undefined;
    try {
      if ((await this.stat(digest)) === blob.size) return blob.size;
      const bytes = Buffer.alloc(blob.size);
      for (let position = 0; position < blob.size; ) {
        const count = await blob.read(bytes.subarray(position), position);
        if (count === 0) return undefined;
        position += count;
      }
      if (digestOf(bytes, digestAlgorithm(digest)) !== digest) return undefined;
      const ingestion = await this.begin();
      try {
        await ingestion.write(bytes, 0);
        await ingestion.commit(digest);
      } finally {
        await ingestion.close();
      }
      return blob.size;
    } finally {
      await blob.close();
    }
  }

  #open(name: string): ResumableIngestion {
    const named = this.#named.get(name);
    if (named === undefined) throw new Error(`${name} is gone`);
    named.isOpen = true;
    return new MemoryIngestion(this.room(), {
      bytes: named.bytes,
      onGone: () => this.#named.delete(name),
      onClose: () => {
        named.isOpen = false;
      },
    });
  }
}

interface MemoryPartial {
  readonly bytes: GrowingBytes;
  note: string;
  isIntact: boolean;
  isOpen: boolean;
}

/** A {@link PartialStore} in memory, which a power cut can be done to. */
export class MemoryPartials implements PartialStore {
  readonly #kept = new Map<Digest, MemoryPartial>();
  readonly #room: () => Room;
  /** What was noted, and not flushed. */
  readonly #unflushed = new Set<MemoryPartial>();

  constructor(room: () => Room) {
    this.#room = room;
  }

  begin(digest: Digest): Promise<PartialIngestion> {
    const kept = { bytes: new GrowingBytes(Date.now), note: '', isIntact: true, isOpen: true };
    return Promise.resolve(this.#open(digest, kept));
  }

  async reopen(digest: Digest): Promise<ReopenedPartial | undefined> {
    const kept = this.#kept.get(digest);
    if (kept === undefined || kept.isOpen) return undefined;
    kept.isOpen = true;
    return { file: this.#open(digest, kept), size: kept.bytes.length, note: kept.note, isIntact: kept.isIntact };
  }

  async list(): Promise<readonly KeptPartial[]> {
    return [...this.#kept]
      .filter(([, { isOpen }]) => !isOpen)
      .map(([digest, { bytes }]) => ({ digest, bytes: bytes.length, modifiedAt: bytes.modifiedAt }));
  }

  async remove(digest: Digest): Promise<boolean> {
    const kept = this.#kept.get(digest);
    if (kept === undefined || kept.isOpen) return false;
    this.#room().giveBack(kept.bytes.length);
    return this.#kept.delete(digest);
  }

  /** Of what was not flushed it is not known any more whether it is there. */
  cutPower(): void {
    for (const kept of this.#unflushed) kept.isIntact = false;
  }

  #open(digest: Digest, kept: MemoryPartial): PartialIngestion {
    const isOurs = (): boolean => this.#kept.get(digest) === kept;
    return new MemoryPartialIngestion(this.#room(), {
      bytes: kept.bytes,
      onGone: () => {
        if (isOurs()) this.#kept.delete(digest);
      },
      onClose: () => {
        kept.isOpen = false;
      },
      isKept: isOurs,
      onNote: (note, flush) => {
        if (!isOurs() && this.#kept.has(digest)) throw new Error(`Cannot keep ${digest} as it is there already`);
        this.#kept.set(digest, kept);
        kept.note = note;
        kept.isIntact = true;
        if (flush === 'all') this.#unflushed.delete(kept);
        else this.#unflushed.add(kept);
      },
    });
  }
}

/** What a growing file holds. */
class GrowingBytes {
  readonly #now: () => number;
  #bytes: Buffer = Buffer.alloc(4096);
  #length = 0;
  modifiedAt: number;

  constructor(now: () => number) {
    this.#now = now;
    this.modifiedAt = now();
  }

  get length(): number {
    return this.#length;
  }

  write(chunk: Buffer, position: number): void {
    const end = position + chunk.length;
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, position);
    this.#length = Math.max(this.#length, end);
    this.modifiedAt = this.#now();
  }

  read(target: Buffer, position: number): number {
    return this.#bytes.copy(target, 0, Math.min(position, this.#length), this.#length);
  }

  truncate(size: number): void {
    if (size > this.#length) throw new RangeError(`Cannot cut a file of ${this.#length} bytes to ${size}`);
    this.#bytes.fill(0, size);
    this.#length = size;
    this.modifiedAt = this.#now();
  }

  whole(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }
}

interface Room {
  take(bytes: number): void;
  giveBack(bytes: number): void;
  /** Returns the mark. */
  publish(digest: Digest, bytes: Buffer): string;
}

/** Of a named file: its bytes, and what is told when it is committed or aborted, and when it is closed. */
interface OfNamed {
  readonly bytes: GrowingBytes;
  readonly onGone: () => void;
  readonly onClose: () => void;
}

class MemoryIngestion implements ResumableIngestion {
  readonly #room: Room;
  readonly #bytes: GrowingBytes;
  readonly #named: OfNamed | undefined;
  #state: 'growing' | 'committed' | 'aborted' = 'growing';
  #closed = false;
  mark: string | undefined;

  constructor(room: Room, named?: OfNamed) {
    this.#room = room;
    this.#named = named;
    this.#bytes = named?.bytes ?? new GrowingBytes(() => 0);
  }

  async write(chunk: Buffer, position: number): Promise<void> {
    if (this.#closed) throw new Error('Cannot write a file that has been closed');
    const more = position + chunk.length - this.#bytes.length;
    if (more > 0 && this.#state === 'growing') this.#room.take(more);
    this.#bytes.write(chunk, position);
  }

  async read(target: Buffer, position: number): Promise<number> {
    if (this.#closed) throw new Error('Cannot read a file that has been closed');
    return this.#bytes.read(target, position);
  }

  async truncate(size: number): Promise<void> {
    if (this.#closed) throw new Error('Cannot cut a file that has been closed');
    if (this.#state !== 'growing') throw new Error(`Cannot cut a file that was ${this.#state}`);
    const before = this.#bytes.length;
    this.#bytes.truncate(size);
    this.#room.giveBack(before - size);
  }

  async commit(digest: Digest): Promise<void> {
    if (this.#state !== 'growing') throw new Error(`Cannot commit ${digest} as its file was ${this.#state}`);
    this.#state = 'committed';
    this.mark = this.#room.publish(digest, this.#bytes.whole());
    this.#named?.onGone();
  }

  async abort(): Promise<void> {
    if (this.#state !== 'growing') return;
    this.#state = 'aborted';
    this.#room.giveBack(this.#bytes.length);
    this.#named?.onGone();
  }

  async close(): Promise<void> {
    if (this.#named === undefined) await this.abort();
    this.#closed = true;
    this.#named?.onClose();
  }
}

interface OfPartial extends OfNamed {
  readonly isKept: () => boolean;
  readonly onNote: (note: string, flush: PartialFlush) => void;
}

class MemoryPartialIngestion extends MemoryIngestion implements PartialIngestion {
  readonly #partial: OfPartial;
  #isLeft = false;

  constructor(room: Room, partial: OfPartial) {
    super(room, { ...partial, onClose: () => {} });
    this.#partial = partial;
  }

  async note(text: string, { flush = 'nothing' }: { readonly flush?: PartialFlush } = {}): Promise<void> {
    requireShort(text, MAX_PARTIAL_NOTE_BYTES);
    if (this.#isLeft) throw new Error('Cannot note anything of a file that was left');
    this.#partial.onNote(text, flush);
  }

  leave(): void {
    if (!this.#partial.isKept()) throw new Error('Cannot leave a file without a note');
    this.#release();
  }

  override async commit(digest: Digest): Promise<void> {
    if (this.#isLeft) throw new Error(`Cannot commit ${digest} as its file was left`);
    await super.commit(digest);
  }

  override async abort(): Promise<void> {
    if (!this.#isLeft) await super.abort();
  }

  override async close(): Promise<void> {
    if (!this.#isLeft && !this.#partial.isKept()) await this.abort();
    if (!this.#isLeft) this.#release();
    await super.close();
  }

  #release(): void {
    this.#isLeft = true;
    this.#partial.onClose();
  }
}
