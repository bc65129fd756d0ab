import type { TestContext } from 'node:test';
import { createHttpClient } from '../../src/net/index.ts';
import { type Digest, parseDigest, type Secret } from '../../src/oci/index.ts';
import { type DeliveryStore, loadDeliveryStore } from '../../src/store/index.ts';
import { type Events, Telemetry } from '../../src/telemetry/index.ts';
import type { RetryPolicy } from '../../src/webhooks/schedule.ts';
import type { WebhookSpec } from '../../src/webhooks/webhook.ts';
import { Webhooks } from '../../src/webhooks/webhooks.ts';

export const { MemoryDeliveryStore } = await loadDeliveryStore();

export const digest = parseDigest(`sha256:${'a'.repeat(64)}`) as Digest;

/** Four attempts, and no wait between them. */
const EAGER: RetryPolicy = { delayAfter: (attempts) => (attempts >= 4 ? undefined : 0), pauseAfter: () => 0 };
/** A failure is not tried again while a test runs. */
export const PATIENT: RetryPolicy = { delayAfter: () => 3_600_000, pauseAfter: () => 0 };

const SOURCE = { addr: 'mirror.example.com', url: undefined };

interface StageOptions {
  /** @default a new one in memory */
  readonly store?: DeliveryStore;
  /** @default EAGER */
  readonly policy?: RetryPolicy;
  /** By the name of their variable. */
  readonly secrets?: Readonly<Record<string, string>>;
}

/** Webhooks with a real HTTP client, what they publish, and what they are told. */
export class Stage {
  readonly telemetry = new Telemetry();
  readonly deliveries: Events['webhook.delivery'][] = [];
  readonly states: Events['webhook.state'][] = [];
  readonly losses: Events['webhook.lost'][] = [];
  readonly warnings: string[] = [];
  readonly store: DeliveryStore;
  readonly #http = createHttpClient();
  readonly #watchers = new Set<() => void>();
  #webhooks: Webhooks | undefined;

  private constructor(store: DeliveryStore) {
    this.store = store;
    this.telemetry.on('webhook.delivery', (event) => {
      this.deliveries.push(event);
      for (const look of this.#watchers) look();
    });
    this.telemetry.on('webhook.state', (event) => this.states.push(event));
    this.telemetry.on('webhook.lost', (event) => this.losses.push(event));
    this.telemetry.on('warning', ({ message }) => this.warnings.push(message));
  }

  static async open(t: TestContext, hooks: readonly WebhookSpec[], options: StageOptions = {}): Promise<Stage> {
    const { store = new MemoryDeliveryStore(), policy = EAGER, secrets = {} } = options;
    const stage = new Stage(store);
    async function readSecret(secret: Secret): Promise<string> {
      if (typeof secret === 'string') return secret;
      const found = 'env' in secret ? secrets[secret.env] : undefined;
      if (found === undefined) throw new Error('the environment variable X is not set');
      return found;
    }
    const { telemetry } = stage;
    const webhooks = await Webhooks.open(
      { telemetry, store, readSecret, version: '0.0.0-test', policy },
      { hooks, http: stage.#http, source: SOURCE },
    );
    stage.#webhooks = webhooks;
    t.after(async () => {
      await webhooks.close();
      await stage.#http.close();
    });
    return stage;
  }

  get webhooks(): Webhooks {
    if (this.#webhooks === undefined) throw new Error('not open yet');
    return this.#webhooks;
  }

  configure(hooks: readonly WebhookSpec[]): void {
    this.webhooks.configure({ hooks, http: this.#http, source: SOURCE });
  }

  /** A manifest is pushed, with one tag. */
  push(tag: string, { registry = 'apps', repository = 'team/app' } = {}): void {
    this.telemetry.publish('manifest.pushed', {
      registry,
      repository,
      digest,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      size: 707,
      tags: [tag],
      by: 'alice',
      client: '192.0.2.7',
    });
  }

  /** Resolves when so many deliveries or attempts ended so. */
  ended(outcome: Events['webhook.delivery']['outcome'], count = 1): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.deliveries.filter((each) => each.outcome === outcome).length < count) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }
}

/** A webhook `ci` for everything, signed. */
export function hook(url: string, over: Partial<WebhookSpec> = {}): WebhookSpec {
  return {
    name: 'ci',
    key: 'ci',
    url,
    events: ['push', 'delete', 'tag'],
    on: [],
    secrets: ['a secret of some length'],
    headers: {},
    timeout: 10_000,
    ...over,
  };
}
