/**
 * The commands, grouped by subject: on a server, on its cache, on its files.
 *
 * A group defines its flags and help texts, and imports what a command does when it runs. Nothing else starts here.
 */
export { addCacheCommands, type CacheActions, cacheActions } from './cache/index.ts';
export { addConfigCommands } from './config/index.ts';
export { addServerCommands, type ServerActions, serverActions } from './server/index.ts';
