/**
 * The commands on a server: serve, status, reload, check, doctor, healthcheck.
 *
 * They turn options into a call and its answer into text. They never hold policy.
 */
export { addServerCommands, type ServerActions, serverActions } from './commands.ts';
