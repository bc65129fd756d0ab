/**
 * How each client is pointed at this server: files and commands as data, one file per client.
 *
 * It never writes a file and never runs a command; help pages and the command line show what it returns.
 */
export type { ForwardHelp, ServerAddress } from './client.ts';
export { CLIENTS } from './clients.ts';
export { describeClients } from './hints.ts';
export { type ClientSetup, clientSetups } from './setups.ts';
