/**
 * How each client is pointed at this server: files and commands as data, one file per client.
 *
 * It never writes a file and never runs a command; help pages and the command line show what it returns.
 */
export {
  type ClientInstructions,
  type ForwardHelp,
  isLoopback,
  LANGUAGES,
  type Language,
  type LocalText,
  MERGE_NOTES,
  type ServerAddress,
} from './client.ts';
export { describeClients } from './hints.ts';
export { type ClientSetup, clientSetups } from './setups.ts';
