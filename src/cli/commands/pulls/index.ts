/**
 * The commands on pulls: which there were, and why one went as it did.
 *
 * Each asks the running server, which keeps the record of them. They never change anything.
 */
export { addPullCommands, type PullActions, pullActions } from './commands.ts';
