import type { Config } from '../config/index.ts';
import { PullRecorder } from '../pulls/index.ts';
import { loadPullStore, type PullStore, pullFile } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

interface RecordingContext {
  readonly telemetry: Telemetry;
  /** Takes what closes the record again. */
  readonly cleanups: (() => unknown)[];
}

/** The record of pulls of this process. It begins before the first request, and its store is opened once the server serves. */
export class Recording {
  readonly recorder: PullRecorder;
  readonly #cache: Config['cache'];
  readonly #telemetry: Telemetry;
  #store: Promise<PullStore> | undefined;
  #mayOpen = false;
  #isClosed = false;

  /** @param config its cache directory is that of the process */
  constructor({ cache, admin }: Pick<Config, 'cache' | 'admin'>, { telemetry, cleanups }: RecordingContext) {
    this.#cache = cache;
    this.#telemetry = telemetry;
    this.recorder = new PullRecorder({ telemetry });
    this.recorder.isOn = admin.recordPulls;
    cleanups.push(() => this.#close());
  }

  /** Takes up `admin.record_pulls`. */
  reconfigure({ admin }: Pick<Config, 'admin'>): void {
    this.recorder.isOn = admin.recordPulls;
    if (this.#mayOpen) void this.open();
  }

  /** Opens the store, where pulls are recorded. Never rejects: a record that cannot be opened is kept in memory. */
  async open(): Promise<void> {
    this.#mayOpen = true;
    if (!this.recorder.isOn || this.#isClosed) return;
    this.#store ??= this.#openStore().then((store) => {
      this.recorder.keepIn(store);
      return store;
    });
    await this.#store;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    // A server that stops at once has something to write, too.
    await this.#store;
    await this.recorder.close();
  }

  async #openStore(): Promise<PullStore> {
    const { MemoryPullStore, openPullStore } = await loadPullStore();
    if (this.#cache === 'off') return new MemoryPullStore();
    const onDamage = (message: string): void => this.#telemetry.publish('warning', { message });
    try {
      return await openPullStore(pullFile(this.#cache.dir), { onDamage });
    } catch (error) {
      const message = 'Cannot open the record of pulls: it is kept in memory, and lost at the next stop';
      this.#telemetry.publish('warning', { message, error });
      return new MemoryPullStore();
    }
  }
}
