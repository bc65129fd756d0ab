/**
 * The commands on the clients of this machine.
 *
 * They never contact a server or a registry.
 */
export { addClientCommands } from './commands.ts';
