/**
 * How each client is pointed at this server: files and commands as data.
 *
 * It never writes a file and never runs a command; help pages and the command line show what it returns.
 */

export type { ForwardHelp, HelpAddress } from './address.ts';
export { forwardSetups } from './forward-setups.ts';
export { describeClients } from './hints.ts';
export { type ClientSetup, clientSetups } from './setups.ts';
