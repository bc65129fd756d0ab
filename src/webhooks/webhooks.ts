import { randomUUID } from 'node:crypto';
import type { HttpClient } from '../net/index.ts';
import type { Secret } from '../oci/index.ts';
import type { DeliveryStore, StoredDelivery } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { attempt } from './attempt.ts';
import { bodiesOf, pingBody, type Source } from './envelope.ts';
import { Hook } from './hook.ts';
import { Journal } from './journal.ts';
import { orderedId } from './ordered-id.ts';
import { onReports, type Report } from './reports.ts';
import { type RetryPolicy, retryPolicy } from './schedule.ts';
import type { TestResult, WebhookStatus } from './status.ts';
import { shownUrl, type WebhookSpec } from './webhook.ts';

export interface WebhooksOptions {
  readonly telemetry: Telemetry;
  /** What waits is kept here; closed with the webhooks. */
  readonly store: DeliveryStore;
  /** The current value of a secret; read for each attempt. */
  readonly readSecret: (secret: Secret) => Promise<string>;
  /** Of this program. */
  readonly version: string;
  /** @default ten attempts over six hours */
  readonly policy?: RetryPolicy;
}

/** What follows from one configuration. */
export interface WebhookSettings {
  readonly hooks: readonly WebhookSpec[];
  readonly http: Pick<HttpClient, 'open'>;
  /** See {@link Source}. */
  readonly source: Pick<Source, 'addr' | 'url'>;
}

/** Milliseconds that a stop gives to attempts that run. */
const STOP_PATIENCE = 2000;

/**
 * The webhooks of a running server: they report what its telemetry says, each receiver by itself. To report costs a request
 * a text for each receiver that wants it, and nothing waits for a receiver or for the disk.
 */
export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #journal: Journal;
  readonly #instance = randomUUID();
  readonly #closing = new AbortController();
  readonly #unsubscribe: () => void;
  /** By key, in the order of the configuration. */
  #hooks = new Map<string, Hook>();
  #settings: WebhookSettings;

  private constructor(options: WebhooksOptions, journal: Journal, settings: WebhookSettings) {
    this.#options = options;
    this.#journal = journal;
    this.#settings = settings;
    this.#unsubscribe = onReports(options.telemetry, (report) => this.#report(report));
  }

  /** Begins, with what an earlier process left. Rejects where the store cannot be read. */
  static async open(options: WebhooksOptions, settings: WebhookSettings): Promise<Webhooks> {
    const journal = new Journal(options.store, options.telemetry);
    const stored = await journal.load();
    const webhooks = new Webhooks(options, journal, settings);
    webhooks.#adopt(settings, stored);
    return webhooks;
  }

  /** Takes up other settings. A webhook keeps what waits for it, as long as its key is there. */
  configure(settings: WebhookSettings): void {
    this.#settings = settings;
    this.#adopt(settings, []);
  }

  get status(): readonly WebhookStatus[] {
    return [...this.#hooks.values()].map(({ status }) => status);
  }

  /** The deliveries that wait, for each webhook. */
  get queues(): readonly { readonly hook: string; readonly queued: number }[] {
    return [...this.#hooks.values()].map(({ spec, queued }) => ({ hook: spec.name, queued }));
  }

  /**
   * Sends an event `ping` at once, past the queue, and without a second attempt.
   *
   * @param wanted the name or the URL of a webhook; undefined: all of them
   * @returns empty where no webhook has the name or URL
   */
  async test(wanted?: string): Promise<readonly TestResult[]> {
    const hooks = [...this.#hooks.values()].filter(
      ({ spec }) =>
        wanted === undefined || spec.name === wanted || spec.url === wanted || shownUrl(spec.url) === wanted,
    );
    return await Promise.all(hooks.map((hook) => this.#ping(hook)));
  }

  /** Gives running attempts two seconds, and keeps the rest for the next start. */
  async close(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#hooks.values()].map((hook) => hook.stop(STOP_PATIENCE)));
    this.#closing.abort();
    await this.#journal.close();
  }

  #adopt({ hooks: specs }: WebhookSettings, stored: readonly StoredDelivery[]): void {
    const before = this.#hooks;
    this.#hooks = new Map();
    for (const spec of specs) {
      const known = before.get(spec.key);
      const left = stored.filter(({ hook }) => hook === spec.key);
      known?.configure(spec);
      this.#hooks.set(spec.key, known ?? this.#open(spec, left));
    }
    for (const [key, hook] of before) if (!this.#hooks.has(key)) hook.remove();
    const left = stored.filter(({ hook }) => !this.#hooks.has(hook));
    for (const { id } of left) this.#journal.remove(id);
    if (left.length === 0) return;
    const message = `${left.length} deliveries that waited for webhooks are dropped: the configuration has those webhooks no longer`;
    this.#options.telemetry.publish('warning', { message });
  }

  #open(spec: WebhookSpec, stored: readonly StoredDelivery[]): Hook {
    const { telemetry, policy = retryPolicy() } = this.#options;
    return new Hook(spec, {
      stored,
      telemetry,
      policy,
      journal: this.#journal,
      // A clock that is set while the server runs must neither hurry nor hold a delivery.
      now: () => performance.timeOrigin + performance.now(),
      send: (current, { id, event, body, createdAt }, signal) =>
        attempt(current, { id, event: event as Report['event'], body, createdAt }, this.#contextOf(signal)),
    });
  }

  #contextOf(signal: AbortSignal) {
    const { readSecret, version } = this.#options;
    return { http: this.#settings.http, source: this.#source, readSecret, version, signal };
  }

  get #source(): Source {
    return { ...this.#settings.source, instance: this.#instance };
  }

  #report(report: Report): void {
    const hooks = [...this.#hooks].filter(([, hook]) => hook.wants(report));
    if (hooks.length === 0) return;
    const createdAt = Date.now();
    const bodies = bodiesOf(report, { source: this.#source, time: createdAt });
    for (const body of bodies) {
      for (const [key, hook] of hooks) {
        hook.accept({ id: orderedId(), hook: key, event: report.event, body, createdAt });
      }
    }
  }

  async #ping(hook: Hook): Promise<TestResult> {
    const { spec } = hook;
    const createdAt = Date.now();
    const body = pingBody({ source: this.#source, time: createdAt });
    const message = { id: orderedId(), event: 'ping', body, createdAt } as const;
    const context = { ...this.#contextOf(this.#closing.signal), wantsAnswer: true };
    const { outcome, status, reason, answer, durationMs } = await attempt(spec, message, context);
    const isTaken = outcome === 'delivered';
    if (isTaken) hook.revive();
    return { hook: spec.name, url: shownUrl(spec.url), isTaken, status, reason, answer, durationMs };
  }
}
