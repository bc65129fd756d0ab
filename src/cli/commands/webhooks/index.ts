/**
 * The commands on the webhooks of a running server.
 *
 * It never sends anything itself: the server does, with its own configuration.
 */
export { addWebhookCommands } from './commands.ts';
