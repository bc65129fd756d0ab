/**
 * What is wrong, and what is doubtful, in the webhooks of a configuration.
 *
 * It never quotes a secret, and never sends anything.
 */
export { checkWebhooks } from './check.ts';
export { noteWebhooks } from './notes.ts';
