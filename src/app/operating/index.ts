/**
 * What the operations of a running server act on: the control socket and the HTTP API share it.
 *
 * It is loaded once the server serves, and nothing of it is on the way of a pull.
 */
export { openServing } from './api.ts';
export { type CarryParts, composeCarry } from './carry.ts';
export { openControl } from './control.ts';
export { composeInventory } from './inventory.ts';
export { statusOf } from './status.ts';
