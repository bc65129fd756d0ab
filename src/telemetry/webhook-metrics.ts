import { Counter, Gauge } from './counters.ts';
import type { Telemetry } from './events.ts';

export interface WebhookReadings {
  /** The configured webhooks, and the deliveries that wait for each. */
  readonly webhooks?: () => readonly { readonly hook: string; readonly queued: number }[];
}

type WebhookCounters = ReturnType<typeof createWebhookCounters>;

/** The metrics of webhooks, except the gauge whose reader is not among the options. */
export function createWebhookCounters({ webhooks }: WebhookReadings) {
  return {
    deliveries: new Counter({
      name: 'entrepot_webhook_deliveries_total',
      help: 'Attempts to deliver to webhooks by outcome: delivered, failed (tried again later), given-up; dropped: the queue was full, or the webhook is gone.',
      labels: ['hook', 'event', 'outcome'],
    }),
    ...(webhooks && {
      queued: new Gauge({
        name: 'entrepot_webhook_queue_length',
        help: 'Deliveries that wait for a webhook.',
        labels: ['hook'],
        read: () => webhooks().map(({ hook, queued }) => ({ values: [hook], value: queued })),
      }),
    }),
  };
}

export function countWebhooks(telemetry: Telemetry, { deliveries }: WebhookCounters): () => void {
  return telemetry.on('webhook.delivery', ({ hook, event, outcome }) => deliveries.add(1, hook, event, outcome));
}
