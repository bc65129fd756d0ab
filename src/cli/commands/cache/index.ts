/**
 * The commands on the cache: list, pin, unpin, gc, purge, refresh, scrub, history, rollback, unhold.
 *
 * Each asks the running server; without one, it takes the lock of the cache directory. They never touch a file themselves.
 */
export { addCacheCommands, type CacheActions, cacheActions } from './commands.ts';
