/**
 * The commands on what was pushed to this server, as a whole: its backup, its restore, its records made again.
 *
 * It never touches what a running server has open: it asks that server, or owns the cache directory itself. It never deletes anything
 * that was pushed.
 */
export { addHostedCommands } from './commands.ts';
