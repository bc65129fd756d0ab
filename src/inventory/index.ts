/**
 * What is cached and hosted, as a tree: repositories, their tags and untagged manifests, the parts of an image, and what of
 * them is stored here.
 *
 * It reads records and stored manifests, a bounded number for each answer. It never asks an upstream, never notes a read,
 * and changes nothing but the pins of operators.
 */
export type { InventoryCaller, LastPull, LastPulls } from './entries.ts';
export { Inventory, type InventoryOptions, type ParsedImage } from './inventory.ts';
