import { rm } from 'node:fs/promises';
import type { Config } from '../config/index.ts';
import { PullRecorder } from '../pulls/index.ts';
import { filesOfPulls, loadPullStore, type PullStore, pullFile } from '../store/index.ts';
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
  /** Resolved once the store was opened for the first time, or never will be. */
  readonly #opened = Promise.withResolvers<void>();
  #work: Promise<void> = Promise.resolve();
  /** The recorder has its store, or gets it. */
  #isOpen = false;
  #isToDelete: boolean;
  #mayOpen = false;
  #isClosed = false;

  /** @param config its cache directory is that of the process */
  constructor({ cache, admin }: Pick<Config, 'cache' | 'admin'>, { telemetry, cleanups }: RecordingContext) {
    this.#cache = cache;
    this.#telemetry = telemetry;
    this.recorder = new PullRecorder({ telemetry, storeSettled: () => this.#opened.promise.then(() => this.#work) });
    this.recorder.isOn = admin.recordPulls;
    this.#isToDelete = !admin.recordPulls;
    cleanups.push(() => this.#close());
  }

  /** Takes up `admin.record_pulls`: false hides what was recorded at once, and deletes it. */
  reconfigure({ admin }: Pick<Config, 'admin'>): void {
    this.recorder.isOn = admin.recordPulls;
    if (!admin.recordPulls) {
      this.#isOpen = false;
      this.#isToDelete = true;
    }
    if (this.#mayOpen) void this.open();
  }

  /**
   * Opens the store, where pulls are recorded, and otherwise deletes it. Never rejects: a record that cannot be opened is kept
   * in memory.
   */
  async open(): Promise<void> {
    this.#mayOpen = true;
    this.#work = this.#work.then(() => this.#adjust());
    await this.#work;
    this.#opened.resolve();
  }

  async #adjust(): Promise<void> {
    if (this.#isToDelete) await this.#delete();
    if (this.#isClosed || this.#isOpen || !this.recorder.isOn) return;
    this.#isOpen = true;
    const store = await this.#openStore();
    // It may have been turned off meanwhile, and perhaps on again.
    if (this.#isOpen) this.recorder.keepIn(store);
    else await store.close();
  }

  async #delete(): Promise<void> {
    this.#isToDelete = false;
    await this.recorder.idle();
    if (this.#cache === 'off') return;
    const file = pullFile(this.#cache.dir);
    try {
      for (const each of filesOfPulls(file)) await rm(each, { force: true });
    } catch (error) {
      const message = `Cannot delete the record of pulls, which admin.record_pulls turns off: delete ${file} once the server has stopped`;
      this.#telemetry.publish('warning', { message, error });
    }
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#opened.resolve();
    // A server that stops at once has something to write, too.
    await this.#work;
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
