/**
 * The commands on the cache: gc, purge, refresh, scrub.
 *
 * Each asks the running server, or takes the lock of the directory where no server runs. They never touch a file themselves.
 */
export { addCacheCommands, type CacheActions, cacheActions } from './commands.ts';
