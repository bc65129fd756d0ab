import type { Config } from '../config/index.ts';
import type { TransportSpec } from '../oci/index.ts';
import { type DeliveryStore, deliveryFile } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { TestResult, WebhookStatus, Webhooks } from '../webhooks/index.ts';
import {
  ClientPool,
  loadDeliveryStore,
  loadUpstream,
  loadWebhooks,
  transportOf,
  webhookSourceOf,
  webhookSpecsOf,
} from './settings/index.ts';

interface WebhooksContext {
  readonly telemetry: Telemetry;
  /** Of this program. */
  readonly version: string;
  /** Takes what closes them again. */
  readonly cleanups: (() => unknown)[];
}

/** The webhooks of this process, from its first configuration that has one: their room is not loaded before. */
export class ServerWebhooks {
  readonly #cache: Config['cache'];
  readonly #context: WebhooksContext;
  readonly #clients: ClientPool;
  #opened: Webhooks | undefined;
  #transport: TransportSpec | undefined;

  /** @param config its cache directory is that of the process */
  constructor({ cache }: Pick<Config, 'cache'>, context: WebhooksContext) {
    this.#cache = cache;
    this.#context = context;
    this.#clients = new ClientPool(context.telemetry);
    context.cleanups.push(() => this.#clients.close());
    context.cleanups.push(() => this.#opened?.close());
  }

  get status(): readonly WebhookStatus[] {
    return this.#opened?.status ?? [];
  }

  /** The deliveries that wait, for each webhook. */
  get queues(): Webhooks['queues'] {
    return this.#opened?.queues ?? [];
  }

  /** See {@link Webhooks.test}. */
  async test(wanted?: string): Promise<readonly TestResult[]> {
    return (await this.#opened?.test(wanted)) ?? [];
  }

  /**
   * Opens what a configuration needs.
   *
   * @returns what takes the configuration up, which neither fails nor waits
   * @throws {SettingsError} for a bad PEM file
   */
  async prepare(config: Config): Promise<() => void> {
    const hooks = webhookSpecsOf(config);
    if (hooks.length === 0 && this.#opened === undefined) return () => {};
    // `transport.insecure_skip_verify` is about upstreams: a secret of ours never goes to a receiver that is not the one named.
    const { tls, ...transport } = transportOf(config);
    const spec = { ...transport, tls: { ...tls, insecureSkipVerify: false } };
    const settings = { hooks, http: await this.#clients.clientFor(spec), source: webhookSourceOf(config) };
    const before = this.#opened;
    // What an earlier process left is sent from now on, also where the rest of the start fails: it is due.
    this.#opened ??= await this.#open(settings);
    return () => {
      if (before !== undefined) this.#opened?.configure(settings);
      const old = this.#transport;
      this.#transport = spec;
      if (old !== undefined) void this.#clients.retire([old], [spec]);
    };
  }

  async #open(settings: Parameters<Webhooks['configure']>[0]): Promise<Webhooks> {
    const { telemetry, version } = this.#context;
    const [{ Webhooks }, { readSecret }] = await Promise.all([loadWebhooks(), loadUpstream()]);
    return await Webhooks.open({ telemetry, version, readSecret, store: await this.#openStore() }, settings);
  }

  /** Never rejects: what cannot be written is kept in memory. */
  async #openStore(): Promise<DeliveryStore> {
    const { openDeliveryStore, MemoryDeliveryStore } = await loadDeliveryStore();
    if (this.#cache === 'off') return new MemoryDeliveryStore();
    const { telemetry } = this.#context;
    const onDamage = (message: string): void => telemetry.publish('warning', { message });
    try {
      return await openDeliveryStore(deliveryFile(this.#cache.dir), { onDamage });
    } catch (error) {
      const message = 'Cannot open the queue of webhooks: it is kept in memory, and lost at the next stop';
      telemetry.publish('warning', { message, error });
      return new MemoryDeliveryStore();
    }
  }
}
