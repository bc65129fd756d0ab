/**
 * The commands that fill a cache and carry it elsewhere.
 *
 * It never fetches an image itself: a running server does.
 */
export { addCarryCommands } from './commands.ts';
