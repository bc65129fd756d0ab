import type { DeliveryChanges, DeliveryStore, StoredDelivery } from './delivery-store.ts';

/** A {@link DeliveryStore} that ends with the process: for `cache: off`, and where the disk refuses the database. */
export class MemoryDeliveryStore implements DeliveryStore {
  readonly #deliveries = new Map<string, StoredDelivery>();

  async list(): Promise<readonly StoredDelivery[]> {
    return [...this.#deliveries.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  async save({ put, remove }: DeliveryChanges): Promise<void> {
    for (const id of remove) this.#deliveries.delete(id);
    for (const each of put) this.#deliveries.set(each.id, each);
  }

  async close(): Promise<void> {}
}
