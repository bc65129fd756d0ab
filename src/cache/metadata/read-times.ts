import type { Digest } from '../../oci/index.ts';
import type { MetadataStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { attempt } from '../attempt.ts';

/** Milliseconds between two writes of read times. A crash loses that much: a blob then counts as read a little earlier. */
const FLUSH_INTERVAL = 15_000;

/** Collects when blobs were read, so that a read costs no write: one transaction writes them all now and then. */
export class ReadTimes {
  readonly #metadata: MetadataStore;
  readonly #telemetry: Telemetry;
  readonly #timer: NodeJS.Timeout;
  #reads = new Map<Digest, number>();
  #writing: Promise<void> = Promise.resolve();

  constructor(metadata: MetadataStore, telemetry: Telemetry) {
    this.#metadata = metadata;
    this.#telemetry = telemetry;
    this.#timer = setInterval(() => void this.flush(), FLUSH_INTERVAL);
    this.#timer.unref();
  }

  note(digest: Digest): void {
    this.#reads.set(digest, Date.now());
  }

  /** Resolves when everything noted so far is written. Never rejects: lost read times cost only the order of eviction. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#reads.size === 0) return;
    const reads = [...this.#reads].map(([digest, at]) => ({ digest, at }));
    this.#reads = new Map();
    await attempt(() => this.#metadata.touchBlobs(reads), {
      telemetry: this.#telemetry,
      message: 'Cannot note when blobs were read',
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
