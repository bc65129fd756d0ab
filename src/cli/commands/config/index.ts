/**
 * The commands on files: the configuration, a routing plugin, and the certificate authority of the forward proxy.
 *
 * They never contact a server.
 */
export { addConfigCommands } from './commands.ts';
