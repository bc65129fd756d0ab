import type { DeliveryStore, StoredDelivery } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** Milliseconds after which a refused write is tried again. */
const RETRY = 5000;

/**
 * Keeps a {@link DeliveryStore} as the queues are, without a write for each change: those of one turn of the event loop are
 * saved together. Where the disk refuses, nothing is lost as long as the process runs: the changes wait, joined by delivery.
 */
export class Journal {
  readonly #store: DeliveryStore;
  readonly #telemetry: Telemetry;
  /** By id; undefined for one that is done. Bounded by what the queues hold and what is stored of them. */
  #unsaved = new Map<string, StoredDelivery | undefined>();
  /** Ids in the store. */
  readonly #stored = new Set<string>();
  #saving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isScheduled = false;
  #isRefused = false;

  constructor(store: DeliveryStore, telemetry: Telemetry) {
    this.#store = store;
    this.#telemetry = telemetry;
  }

  /** What an earlier process left; oldest first. */
  async load(): Promise<readonly StoredDelivery[]> {
    const found = await this.#store.list();
    for (const { id } of found) this.#stored.add(id);
    return found;
  }

  /** Notes a delivery as it is now. */
  put(delivery: StoredDelivery): void {
    this.#unsaved.set(delivery.id, delivery);
    this.#schedule();
  }

  /** Notes that a delivery is done. */
  remove(id: string): void {
    if (this.#stored.has(id) || this.#saving !== undefined) this.#unsaved.set(id, undefined);
    else this.#unsaved.delete(id);
    this.#schedule();
  }

  /** Saves what is not saved yet, and closes the store. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#saving !== undefined) await this.#saving;
    await this.#save();
    clearTimeout(this.#timer);
    await this.#store.close();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#timer !== undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#save();
    });
  }

  /** Never rejects. */
  async #save(): Promise<void> {
    if (this.#saving !== undefined || this.#unsaved.size === 0) return;
    const changes = this.#unsaved;
    this.#unsaved = new Map();
    this.#saving = this.#write(changes).finally(() => (this.#saving = undefined));
    await this.#saving;
    if (this.#unsaved.size > 0 && !this.#isRefused) this.#schedule();
  }

  async #write(changes: ReadonlyMap<string, StoredDelivery | undefined>): Promise<void> {
    const put = [...changes.values()].filter((each) => each !== undefined);
    const remove = [...changes].flatMap(([id, delivery]) => (delivery === undefined ? [id] : []));
    try {
      await this.#store.save({ put, remove });
      for (const { id } of put) this.#stored.add(id);
      for (const id of remove) this.#stored.delete(id);
      this.#isRefused = false;
    } catch (error) {
      // What came meanwhile is newer.
      for (const [id, delivery] of changes) if (!this.#unsaved.has(id)) this.#unsaved.set(id, delivery);
      this.#refused(error);
    }
  }

  #refused(error: unknown): void {
    if (!this.#isRefused) {
      const message =
        'Cannot save the queue of webhooks: it is kept in memory, and lost if the server stops before it can';
      this.#telemetry.publish('warning', { message, error });
    }
    this.#isRefused = true;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#save();
    }, RETRY).unref();
  }
}
