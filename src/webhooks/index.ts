/**
 * Webhooks: what happens in hosted repositories, and what an operator has to know of this server, sent to the receivers that the
 * configuration names, signed, and again where that fails, within bounds.
 *
 * It never makes a request wait, never follows a redirect, and never sends to an address that the configuration does not name.
 */

export type { WebhookEvent } from './reports.ts';
export type { TestResult, WebhookStatus } from './status.ts';
export type { WebhookSpec } from './webhook.ts';
export { type WebhookSettings, Webhooks } from './webhooks.ts';
