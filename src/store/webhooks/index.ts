/**
 * What webhooks have still to deliver, in a database of its own.
 *
 * It never sends anything, and never decides what is kept: it holds what it is told, in order.
 */
export type { DeliveryChanges, DeliveryStore, StoredDelivery } from './delivery-store.ts';
export { MemoryDeliveryStore } from './memory.ts';
export { openDeliveryStore } from './sqlite.ts';
