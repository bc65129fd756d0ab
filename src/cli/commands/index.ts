/**
 * The commands, grouped by subject: on a server, on its pulls, on its cache, on its users, on its files, on its clients, on its webhooks, on
 * what was pushed to it, on what fills a cache and carries it elsewhere.
 *
 * A group defines the flags and help texts of its commands, and imports each command when it runs. It never runs one by itself.
 */
export { addAccountCommands } from './access/index.ts';
export { addCacheCommands, type CacheActions, cacheActions } from './cache/index.ts';
export { addCarryCommands } from './carry/index.ts';
export { addClientCommands } from './clients/index.ts';
export { addConfigCommands } from './config/index.ts';
export { addHostedCommands } from './hosted/index.ts';
export { addPullCommands, type PullActions, pullActions } from './pulls/index.ts';
export { addServerCommands, type ServerActions, serverActions } from './server/index.ts';
export { addWebhookCommands } from './webhooks/index.ts';
