/**
 * The commands on what was pushed to this server.
 *
 * It never runs beside a server, and never deletes anything that was pushed.
 */
export { addHostedCommands } from './commands.ts';
