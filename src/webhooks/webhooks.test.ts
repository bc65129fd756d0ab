import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type AddressInfo, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { eventsOf, type Received, type Receiver, startReceiver } from '../../test/support/receiver.ts';
import { digest, hook, MemoryDeliveryStore, PATIENT, Stage } from '../../test/support/webhook-stage.ts';
import type { DeliveryChanges } from '../store/index.ts';
import type { WebhookSpec } from './webhook.ts';

const targetOf = (request: Received): Readonly<Record<string, unknown>> => eventsOf(request)[0]?.target ?? {};
const tagsOf = (requests: readonly Received[]): readonly unknown[] => requests.map((each) => targetOf(each)['tag']);
const idOf = ({ headers }: Received): string => String(headers['webhook-id']);

/** Checks a signature as a receiver does: by what it got alone. */
function isSignedBy(secret: string, { headers, body }: Received): boolean {
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  const expected = `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`;
  return String(headers['webhook-signature']).split(' ').includes(expected);
}

describe('a delivery', () => {
  test('is a POST with the event, signed with its time, and with headers of CloudEvents', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t, [hook(`${receiver.url}/hooks/a?token=hush`)]);
    stage.push('v1');
    const [request] = await receiver.received(1);
    assert.ok(request);
    const { method, path, headers, body } = request;
    assert.equal(method, 'POST');
    assert.equal(path, '/hooks/a?token=hush');
    assert.equal(headers['content-type'], 'application/vnd.docker.distribution.events.v2+json');
    assert.equal(headers['content-length'], String(Buffer.byteLength(body)));
    assert.equal(headers['user-agent'], 'entrepot/0.0.0-test');
    assert.equal(headers['x-entrepot-event'], 'push');
    assert.equal(headers['x-entrepot-delivery'], headers['webhook-id']);
    assert.equal(headers['ce-specversion'], '1.0');
    assert.equal(headers['ce-type'], 'entrepot.push');
    assert.equal(headers['ce-source'], '//mirror.example.com');
    assert.equal(headers['ce-id'], headers['webhook-id']);
    assert.ok(!Number.isNaN(Date.parse(String(headers['ce-time']))));
    assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 60);
    assert.ok(isSignedBy('a secret of some length', request));
    assert.equal(isSignedBy('a secret of some length', { ...request, body: `${body} ` }), false);
    assert.deepEqual(tagsOf([request]), ['v1']);
  });

  test('has a signature for each secret, and none without one', async (t) => {
    await using receiver = await startReceiver();
    const bare = hook(receiver.url, { name: 'bare', key: 'bare', secrets: [] });
    const stage = await Stage.open(t, [hook(receiver.url, { secrets: ['new one', { env: 'OLD' }] }), bare], {
      secrets: { OLD: 'old one' },
    });
    stage.push('v1');
    const requests = await receiver.received(2);
    const [signed, ...more] = requests.filter(({ headers }) => headers['webhook-signature'] !== undefined);
    assert.deepEqual(more, []);
    assert.match(String(signed?.headers['webhook-signature']), /^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/);
    for (const secret of ['new one', 'old one']) assert.ok(isSignedBy(secret, signed as Received), secret);
  });

  test('has the headers of the operator, read from where they are kept', async (t) => {
    await using receiver = await startReceiver();
    const headers = { Authorization: { env: 'TOKEN' }, 'Content-Type': 'application/json' };
    const stage = await Stage.open(t, [hook(receiver.url, { headers })], { secrets: { TOKEN: 'Bearer hush' } });
    stage.push('v1');
    const [request] = await receiver.received(1);
    assert.equal(request?.headers['authorization'], 'Bearer hush');
    assert.equal(request?.headers['content-type'], 'application/json');
  });

  test('goes to the webhooks that want the event and the repository', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t, [
      hook(`${receiver.url}/tags`, { key: 'a', events: ['tag'] }),
      hook(`${receiver.url}/ours`, { key: 'b', on: ['apps/ours/*', 'docker.io/**'] }),
      hook(`${receiver.url}/all`, { key: 'c' }),
    ]);
    stage.push('one', { repository: 'ours/app' });
    stage.push('two', { registry: 'docker.io', repository: 'ours/app' });
    stage.push('three', { repository: 'ours/deep/app' });
    await stage.ended('delivered', 5);
    const at = (path: string) => tagsOf(receiver.requests.filter((each) => each.path === path));
    assert.deepEqual(at('/tags'), []);
    assert.deepEqual(at('/ours'), ['one', 'two']);
    assert.deepEqual(at('/all'), ['one', 'two', 'three']);
  });

  test('follows another in the order of the events, one at a time', async (t) => {
    await using receiver = await startReceiver();
    let most = 0;
    receiver.mood = () => {
      most = Math.max(most, receiver.open);
      return 204;
    };
    const stage = await Stage.open(t, [hook(receiver.url)]);
    const tags = Array.from({ length: 50 }, (_, at) => `v${at}`);
    for (const tag of tags) stage.push(tag);
    await stage.ended('delivered', 50);
    assert.deepEqual(tagsOf(receiver.requests), tags);
    assert.equal(most, 1);
    const ids = receiver.requests.map(idOf);
    assert.deepEqual(
      ids,
      ids.toSorted((one, other) => (one < other ? -1 : 1)),
    );
  });
});

describe('a receiver that fails', () => {
  test('gets the same id and body again until it takes them', async (t) => {
    await using receiver = await startReceiver();
    const moods = [500, 'reset', 200] as const;
    receiver.mood = () => moods[receiver.requests.length] ?? 200;
    const stage = await Stage.open(t, [hook(receiver.url)]);
    stage.push('v1');
    await stage.ended('delivered');
    assert.deepEqual(
      stage.deliveries.map(({ outcome }) => outcome),
      ['failed', 'failed', 'delivered'],
    );
    assert.equal(new Set(receiver.requests.map(idOf)).size, 1);
    assert.equal(new Set(receiver.requests.map(({ body }) => body)).size, 1);
    assert.deepEqual(
      stage.states.map(({ state, reason }) => ({ state, reason })),
      [
        { state: 'failing', reason: 'it answered 500' },
        { state: 'working', reason: undefined },
      ],
    );
    assert.equal(stage.webhooks.status[0]?.queued, 0);
  });

  test('is given up after all attempts, which is said once', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 404;
    const stage = await Stage.open(t, [hook(receiver.url)]);
    stage.push('v1');
    stage.push('v2');
    await stage.ended('given-up', 2);
    assert.equal(receiver.requests.length, 8);
    assert.deepEqual(stage.losses, [
      { hook: 'ci', deliveries: 1, reason: 'given up after 4 attempts: it answered 404' },
    ]);
    assert.equal(stage.states.length, 1);
    const [status] = stage.webhooks.status;
    assert.deepEqual([status?.state, status?.failed, status?.givenUp, status?.queued], ['failing', 8, 2, 0]);
    assert.match(status?.lastFailure?.reason ?? '', /404/);
  });

  test('does not hold up the events after the one that it refuses', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = ({ body }) => (body.includes('"poison"') ? 422 : 200);
    const stage = await Stage.open(t, [hook(receiver.url)]);
    stage.push('poison');
    stage.push('v1');
    stage.push('v2');
    await Promise.all([stage.ended('given-up'), stage.ended('delivered', 2)]);
    const taken = receiver.requests.filter(({ mood }) => mood === 200);
    assert.deepEqual(tagsOf(taken), ['v1', 'v2']);
  });

  const wrong: readonly (readonly [title: string, mood: Receiver['mood'], reason: RegExp])[] = [
    [
      'answers with a redirect',
      { status: 302, headers: { location: 'https://evil.example/x?token=hush' } },
      /^it answered 302, a redirect to https:\/\/evil\.example, which is not followed\. Correct the url$/,
    ],
    [
      'redirects to another path of its own',
      { status: 307, headers: { location: '/hush' } },
      /^it answered 307, a redirect to another path, which/,
    ],
    ['does not answer in time', 'hang', /^no answer within 0\.3 s$/],
    ['closes the connection', 'reset', /./],
    ['answers 304', 304, /^it answered 304$/],
  ];
  for (const [title, mood, reason] of wrong) {
    test(`${title}: a failure that says so, without path and query`, async (t) => {
      await using receiver = await startReceiver();
      receiver.mood = mood;
      const stage = await Stage.open(t, [hook(`${receiver.url}/hush?token=hush`, { timeout: 300 })], {
        policy: PATIENT,
      });
      const started = performance.now();
      stage.push('v1');
      await stage.ended('failed');
      assert.ok(performance.now() - started < 10_000, 'the deadline of the webhook counts, not those of the client');
      assert.match(stage.deliveries[0]?.reason ?? '', reason);
      assert.doesNotMatch(JSON.stringify([stage.deliveries, stage.states]), /hush/);
      assert.equal(stage.webhooks.status[0]?.queued, 1);
      assert.equal(receiver.requests.length, 1);
    });
  }

  test('that is not there: a failure that names the address', async (t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const stage = await Stage.open(t, [hook(`http://127.0.0.1:${port}/hush`)], { policy: PATIENT });
    stage.push('v1');
    await stage.ended('failed');
    assert.match(stage.deliveries[0]?.reason ?? '', new RegExp(`127\\.0\\.0\\.1:${port}`));
    assert.doesNotMatch(stage.deliveries[0]?.reason ?? '', /hush/);
  });

  for (const mood of ['huge', 'slow'] as const) {
    test(`with a ${mood} answer has taken the event: the status says so, and the rest is not read`, async (t) => {
      await using receiver = await startReceiver();
      receiver.mood = mood;
      const stage = await Stage.open(t, [hook(receiver.url)]);
      stage.push('v1');
      stage.push('v2');
      await stage.ended('delivered', 2);
      assert.equal(stage.webhooks.status[0]?.failed, 0);
    });
  }

  test('that answers 410 is sent nothing more, until another configuration', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 410;
    const stage = await Stage.open(t, [hook(receiver.url)]);
    for (const tag of ['v1', 'v2', 'v3']) stage.push(tag);
    await stage.ended('dropped', 3);
    stage.push('v4');
    await stage.ended('dropped', 4);
    assert.equal(receiver.requests.length, 1);
    assert.deepEqual(
      stage.states.map(({ state }) => state),
      ['gone'],
    );
    assert.equal(stage.losses.length, 1);
    receiver.mood = 200;
    stage.configure([hook(receiver.url)]);
    stage.push('v5');
    await stage.ended('delivered');
    assert.deepEqual(tagsOf(receiver.requests), ['v1', 'v5']);
  });

  test('is left alone for as long as it asks', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = { status: 429, headers: { 'retry-after': '1800' } };
    const stage = await Stage.open(t, [hook(receiver.url)]);
    stage.push('v1');
    await stage.ended('failed');
    stage.push('v2');
    const next = stage.webhooks.status[0]?.nextAttemptAt ?? 0;
    assert.ok(Math.abs(next - Date.now() - 1_800_000) < 60_000, `${next - Date.now()} ms`);
    assert.equal(receiver.requests.length, 1);
  });

  test('and is back after an outage gets all that waits at once, in order', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 503;
    const stage = await Stage.open(t, [hook(receiver.url)], { policy: PATIENT });
    for (const tag of ['v1', 'v2', 'v3']) stage.push(tag);
    await stage.ended('failed', 3);
    receiver.mood = 200;
    stage.push('v4');
    await stage.ended('delivered', 4);
    assert.deepEqual(tagsOf(receiver.requests.slice(3)), ['v4', 'v1', 'v2', 'v3']);
  });

  test('holds neither the other receivers nor the one who pushes', async (t) => {
    await using dead = await startReceiver();
    await using receiver = await startReceiver();
    dead.mood = 'hang';
    const stage = await Stage.open(t, [hook(dead.url, { key: 'dead', name: 'dead' }), hook(receiver.url)]);
    const started = performance.now();
    for (let at = 0; at < 500; at += 1) stage.push(`v${at}`);
    assert.ok(performance.now() - started < 1000, 'publishing waits for nothing');
    await stage.ended('delivered', 500);
    assert.equal(stage.webhooks.queues.find(({ hook: name }) => name === 'dead')?.queued, 500);
  });

  test('a secret that cannot be read is a failure that says so', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t, [hook(receiver.url, { secrets: [{ env: 'X' }] })], { policy: PATIENT });
    stage.push('v1');
    await stage.ended('failed');
    assert.match(stage.deliveries[0]?.reason ?? '', /environment variable X is not set/);
    assert.equal(receiver.requests.length, 0);
  });

  const values: readonly (readonly [what: string, over: Partial<WebhookSpec>, reason: RegExp])[] = [
    ['a secret that is no base64', { secrets: ['whsec_*hush*'] }, /whsec_, and no base64/],
    ['a header of two lines', { headers: { 'X-Key': 'hush\nhush' } }, /the value of the header X-Key/],
  ];
  for (const [what, over, reason] of values) {
    test(`${what} is a failure that does not quote it`, async (t) => {
      await using receiver = await startReceiver();
      const stage = await Stage.open(t, [hook(receiver.url, over)], { policy: PATIENT });
      stage.push('v1');
      await stage.ended('failed');
      assert.match(stage.deliveries[0]?.reason ?? '', reason);
      assert.doesNotMatch(stage.deliveries[0]?.reason ?? '', /hush/);
    });
  }
});

describe('the queue', () => {
  test('holds a thousand deliveries, drops the oldest, counts them, and says so once', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 'hang';
    const stage = await Stage.open(t, [hook(receiver.url)]);
    for (let at = 0; at < 1100; at += 1) stage.push(`v${at}`);
    await receiver.received(1);
    const [status] = stage.webhooks.status;
    assert.deepEqual([status?.queued, status?.dropped], [1000, 100]);
    assert.equal(stage.deliveries.filter(({ outcome }) => outcome === 'dropped').length, 100);
    assert.equal(stage.losses.length, 1);
    assert.match(stage.losses[0]?.reason ?? '', /full/);
    await stage.webhooks.close();
    const left = await stage.store.list();
    assert.equal(left.length, 1000);
    // The first was on its way.
    assert.match(left[0]?.body ?? '', /"tag":"v0"/);
    assert.match(left[1]?.body ?? '', /"tag":"v101"/);
    assert.match(left.at(-1)?.body ?? '', /"tag":"v1099"/);
  });

  test('holds 4 MiB of bodies at most', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 'hang';
    const stage = await Stage.open(t, [hook(receiver.url)]);
    for (let at = 0; at < 900; at += 1) {
      stage.telemetry.publish('manifest.pushed', {
        registry: 'apps',
        repository: 'r'.repeat(200),
        digest,
        mediaType: 'm',
        size: 1,
        tags: Array.from({ length: 20 }, (_, tag) => `${at}-${tag}`.padEnd(128, 'x')),
        by: 'alice',
        client: '::1',
      });
    }
    await stage.webhooks.close();
    const bytes = (await stage.store.list()).reduce((sum, { body }) => sum + body.length, 0);
    assert.ok(bytes <= 4 * 1024 * 1024 && bytes > 3 * 1024 * 1024, `${bytes}`);
  });

  test('is sent by the next process, with ids, attempts and order as they were', async (t) => {
    await using receiver = await startReceiver();
    const store = new MemoryDeliveryStore();
    receiver.mood = 503;
    const first = await Stage.open(t, [hook(receiver.url)], { store, policy: PATIENT });
    first.push('v1');
    await first.ended('failed');
    receiver.mood = 'hang';
    first.push('v2');
    first.push('v3');
    await receiver.received(2);
    const started = performance.now();
    await first.webhooks.close();
    const took = performance.now() - started;
    assert.ok(took > 1500 && took < 6000, `the running attempt has two seconds: ${took}`);
    receiver.mood = 200;
    const left = await store.list();
    assert.deepEqual(
      left.map(({ attempts }) => attempts),
      [1, 0, 0],
    );
    const [before] = receiver.requests.slice(1);
    const second = await Stage.open(t, [hook(receiver.url)], { store, policy: PATIENT });
    await second.ended('delivered', 2);
    assert.deepEqual(tagsOf(receiver.requests.slice(2)), ['v2', 'v3']);
    assert.equal(idOf(receiver.requests[2] as Received), idOf(before as Received));
    // The failed one keeps its wait.
    assert.equal(second.webhooks.status[0]?.queued, 1);
    await second.webhooks.close();
    assert.deepEqual(
      (await store.list()).map(({ id, attempts }) => [id, attempts]),
      [[left[0]?.id, 1]],
    );
  });

  test('goes on in memory while the disk refuses, and is saved once it accepts', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 503;
    const disk = new FullDisk();
    const stage = await Stage.open(t, [hook(receiver.url)], { store: disk, policy: PATIENT });
    stage.push('v1');
    await stage.ended('failed');
    await disk.refused;
    receiver.mood = 200;
    stage.push('v2');
    await stage.ended('delivered');
    assert.equal(stage.warnings.length, 1);
    assert.match(stage.warnings[0] ?? '', /Cannot save the queue of webhooks/);
    disk.isFull = false;
    await stage.webhooks.close();
    assert.deepEqual(
      (await disk.list()).map(({ body }) => /"tag":"(\w+)"/.exec(body)?.[1]),
      ['v1'],
    );
  });

  test('is saved with what the disk refused before', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 'hang';
    const disk = new FullDisk();
    const stage = await Stage.open(t, [hook(receiver.url)], { store: disk });
    stage.push('v1');
    await disk.refused;
    stage.push('v2');
    disk.isFull = false;
    await stage.webhooks.close();
    assert.deepEqual(
      (await disk.list()).map(({ body }) => /"tag":"(\w+)"/.exec(body)?.[1]),
      ['v1', 'v2'],
    );
  });

  test('of a webhook that the configuration no longer has is dropped', async (t) => {
    await using receiver = await startReceiver();
    const store = new MemoryDeliveryStore();
    receiver.mood = 503;
    const stage = await Stage.open(t, [hook(receiver.url)], { store, policy: PATIENT });
    stage.push('v1');
    await stage.ended('failed');
    stage.configure([hook(receiver.url, { name: 'other', key: 'other' })]);
    await stage.ended('dropped');
    assert.match(stage.losses[0]?.reason ?? '', /removed from the configuration/);
    stage.push('v2');
    await stage.ended('failed', 2);
    await stage.webhooks.close();
    assert.equal((await store.list()).length, 1);
    const next = await Stage.open(t, [], { store });
    await next.webhooks.close();
    assert.match(next.warnings.join(), /^1 deliveries that waited for webhooks are dropped/);
    assert.deepEqual(await store.list(), []);
  });
});

describe('another configuration', () => {
  test('sends what waits to the new url, with the new secret', async (t) => {
    await using old = await startReceiver();
    await using receiver = await startReceiver();
    old.mood = { status: 503, headers: { 'retry-after': '3600' } };
    const stage = await Stage.open(t, [hook(old.url)]);
    stage.push('v1');
    await stage.ended('failed');
    stage.configure([hook(receiver.url, { secrets: ['another'] })]);
    const [request] = await receiver.received(1);
    assert.ok(request);
    assert.ok(isSignedBy('another', request));
    assert.equal(old.requests.length, 1);
  });
});

describe('a test', () => {
  test('sends a ping past the queue and gives the answer', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = { status: 202, body: 'thank you' };
    const stage = await Stage.open(t, [
      hook(`${receiver.url}/a?token=hush`),
      hook(receiver.url, { name: 'b', key: 'b' }),
    ]);
    const results = await stage.webhooks.test();
    assert.deepEqual(
      results.map(({ durationMs: _durationMs, ...result }) => result),
      [
        { hook: 'ci', url: `${receiver.url}/a`, isTaken: true, status: 202, reason: undefined, answer: 'thank you' },
        { hook: 'b', url: `${receiver.url}/`, isTaken: true, status: 202, reason: undefined, answer: 'thank you' },
      ],
    );
    for (const request of receiver.requests) {
      assert.equal(request.headers['x-entrepot-event'], 'ping');
      assert.equal(eventsOf(request)[0]?.action, 'ping');
      assert.ok(isSignedBy('a secret of some length', request));
    }
  });

  test('finds a webhook by name and by url, and no other', async (t) => {
    await using receiver = await startReceiver();
    const stage = await Stage.open(t, [
      hook(`${receiver.url}/a?token=x`),
      hook(`${receiver.url}/b`, { name: 'b', key: 'b' }),
    ]);
    const names = async (wanted: string) => (await stage.webhooks.test(wanted)).map(({ hook: name }) => name);
    assert.deepEqual(await names('b'), ['b']);
    assert.deepEqual(await names(`${receiver.url}/a?token=x`), ['ci']);
    assert.deepEqual(await names(`${receiver.url}/a`), ['ci']);
    assert.deepEqual(await names('c'), []);
  });

  test('says what is wrong, and reads 4 KiB of the answer', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = { status: 500, body: 'e'.repeat(100_000) };
    const stage = await Stage.open(t, [hook(receiver.url)]);
    const [result] = await stage.webhooks.test();
    assert.deepEqual([result?.isTaken, result?.status, result?.answer?.length], [false, 500, 4096]);
    assert.deepEqual(stage.states, []);
    for (const mood of ['huge', 'slow'] as const) {
      receiver.mood = mood;
      const [other] = await stage.webhooks.test();
      assert.deepEqual([other?.isTaken, other?.answer?.length], [true, mood === 'huge' ? 4096 : 1]);
    }
  });

  test('that succeeds ends the silence towards a receiver that was gone', async (t) => {
    await using receiver = await startReceiver();
    receiver.mood = 410;
    const stage = await Stage.open(t, [hook(receiver.url)]);
    stage.push('v1');
    await stage.ended('dropped');
    receiver.mood = 200;
    await stage.webhooks.test();
    stage.push('v2');
    await stage.ended('delivered');
  });
});

/** A store whose disk is full at first. */
class FullDisk extends MemoryDeliveryStore {
  isFull = true;
  #tell: () => void = () => {};
  readonly refused = new Promise<void>((resolve) => (this.#tell = resolve));

  override async save(changes: DeliveryChanges): Promise<void> {
    if (this.isFull) {
      this.#tell();
      throw new Error('database or disk is full');
    }
    await super.save(changes);
  }
}
