/**
 * The commands on stored users and tokens.
 *
 * They change them in the running server, or in a cache directory without one. A password never comes from an argument, and a token is
 * shown once.
 */
export { addAccountCommands } from './commands.ts';
