/**
 * The commands on hosted content as a whole: its backup, its restore, its records made again.
 *
 * A command never touches what a running server has open: it asks that server, or owns the cache directory itself.
 */
export { addHostedCommands } from './commands.ts';
