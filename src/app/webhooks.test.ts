import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { eventsOf, startReceiver } from '../../test/support/receiver.ts';
import { loadConfig } from '../config/index.ts';
import { type Digest, parseDigest } from '../oci/index.ts';
import { type Events, Telemetry } from '../telemetry/index.ts';
import { ServerWebhooks } from './webhooks.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`) as Digest;

/** The webhooks of one process after the other, on one cache directory. */
class Stage {
  readonly dir: string;
  readonly telemetry = new Telemetry();
  readonly warnings: string[] = [];
  readonly states: Events['webhook.state'][] = [];
  #cleanups: (() => unknown)[] = [];
  #webhooks: ServerWebhooks | undefined;

  private constructor(dir: string) {
    this.dir = dir;
    this.telemetry.on('warning', ({ message }) => this.warnings.push(message));
    this.telemetry.on('webhook.state', (event) => this.states.push(event));
  }

  static async open(t: TestContext): Promise<Stage> {
    const dir = await mkdtemp(join(tmpdir(), 'entrepot-app-webhooks-'));
    const stage = new Stage(dir);
    t.after(async () => {
      await stage.stop();
      await rm(dir, { recursive: true, force: true });
    });
    return stage;
  }

  get webhooks(): ServerWebhooks {
    if (this.#webhooks === undefined) throw new Error('not started');
    return this.#webhooks;
  }

  async start(webhooks: readonly object[], config: object = {}): Promise<void> {
    const loaded = await this.#load(webhooks, config);
    this.#webhooks = new ServerWebhooks(loaded, {
      telemetry: this.telemetry,
      version: '0.0.0-test',
      cleanups: this.#cleanups,
    });
    await this.reload(webhooks, config);
  }

  async reload(webhooks: readonly object[], config: object = {}): Promise<void> {
    (await this.webhooks.prepare(await this.#load(webhooks, config)))();
  }

  async stop(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).toReversed()) await cleanup();
  }

  push(tag: string): void {
    this.telemetry.publish('manifest.pushed', {
      registry: 'apps',
      repository: 'team/app',
      digest,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      size: 707,
      tags: [tag],
      by: 'alice',
      client: '192.0.2.7',
    });
  }

  async #load(webhooks: readonly object[], config: object) {
    const text = JSON.stringify({ cache: { dir: this.dir }, ...config, webhooks });
    return (await loadConfig({ cwd: '/', env: { ...process.env, ENTREPOT_CONFIG: text } })).config;
  }
}

const queueFile = (stage: Stage): string => join(stage.dir, 'webhooks.db');

describe('the webhooks of a server', () => {
  test('open nothing, and create no file, where none is configured', async (t) => {
    const stage = await Stage.open(t);
    await stage.start([]);
    stage.push('v1');
    assert.deepEqual([stage.webhooks.status, stage.webhooks.queues], [[], []]);
    assert.deepEqual(await stage.webhooks.test(), []);
    await assert.rejects(stat(queueFile(stage)), { code: 'ENOENT' });
  });

  test('begin with a reload, change with one, and end with one', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t);
    await stage.start([]);
    await stage.reload([{ url: `${receiver.url}/a`, secret: 'a secret of some length' }]);
    stage.push('v1');
    await receiver.received(1);
    await stage.reload([{ url: `${receiver.url}/b` }], { public_url: 'https://mirror.example.com' });
    stage.push('v2');
    await receiver.received(2);
    await stage.reload([]);
    stage.push('v3');
    assert.deepEqual(stage.webhooks.status, []);
    assert.deepEqual(
      receiver.requests.map(({ path }) => path),
      ['/a', '/b'],
    );
    const [event] = eventsOf(receiver.requests[1] ?? { body: '{"events":[]}' });
    assert.equal(event?.target['url'], `https://mirror.example.com/v2/apps/team/app/manifests/${digest}`);
  });

  test('keep what waits over a restart in a file of this user alone', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 'hang';
    const stage = await Stage.open(t);
    const webhook = { url: `${receiver.url}/a?token=hush` };
    await stage.start([webhook]);
    for (const tag of ['v1', 'v2', 'v3']) stage.push(tag);
    await receiver.received(1);
    await stage.stop();
    assert.equal((await stat(queueFile(stage))).mode & 0o777, 0o600);
    receiver.mood = 200;
    await stage.start([webhook]);
    const requests = await receiver.received(4);
    assert.deepEqual(
      requests.map((request) => eventsOf(request)[0]?.target['tag']),
      ['v1', 'v1', 'v2', 'v3'],
    );
    assert.equal(requests[0]?.headers['webhook-id'], requests[1]?.headers['webhook-id']);
    await stage.stop();
    await stage.start([webhook]);
    assert.equal(stage.webhooks.queues[0]?.queued, 0);
  });

  test('send what waits for a name to the URL that the name has now', async (t) => {
    await using old = await startReceiver();
    await using receiver = await startReceiver();
    old.mood = 'hang';
    const stage = await Stage.open(t);
    await stage.start([{ name: 'ci', url: old.url }]);
    stage.push('v1');
    await old.received(1);
    await stage.stop();
    await stage.start([{ name: 'ci', url: receiver.url }]);
    await receiver.received(1);
  });

  test('go on in memory where the file cannot be opened, and say so', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t);
    await mkdir(queueFile(stage));
    await stage.start([{ url: receiver.url }]);
    stage.push('v1');
    await receiver.received(1);
    assert.match(stage.warnings.join(), /Cannot open the queue of webhooks: it is kept in memory/);
  });

  test('set a damaged file aside, and say so', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t);
    await writeFile(queueFile(stage), 'no database'.repeat(1000));
    await stage.start([{ url: receiver.url }]);
    stage.push('v1');
    await receiver.received(1);
    assert.match(stage.warnings.join(), /webhooks\.db could not be read/);
    assert.ok((await stat(`${queueFile(stage)}.corrupt`)).size > 0);
  });

  test('are kept in memory with the cache off', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t);
    await stage.start([{ url: receiver.url }], { cache: 'off' });
    stage.push('v1');
    await receiver.received(1);
    assert.deepEqual(stage.warnings, []);
    await assert.rejects(stat(queueFile(stage)), { code: 'ENOENT' });
  });
});
