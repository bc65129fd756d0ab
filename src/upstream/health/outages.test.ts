import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { describe, test } from 'node:test';
import { connectUpstreams, connectUpstreamsWith, readAll, serve } from '../../../test/support/connect-upstreams.ts';
import { buildImage, type Content } from '../../../test/support/image.ts';
import { startScriptedUpstream } from '../../../test/support/scripted-upstream.ts';
import type { FailureKind, Repository } from '../../oci/index.ts';
import { createMetrics } from '../../telemetry/index.ts';
import { UpstreamError } from '../error.ts';

// What an upstream that is down, or has had enough, costs those who ask: over real connections, with a clock that is set.

const image = buildImage({ architectures: ['amd64'], layers: [300_000] });
const layer = image.platforms[0]?.layers[0] as Content;
const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const latest = { kind: 'tag', tag: 'latest' } as const;

/** What is answered without an exchange is answered in less. Milliseconds. */
const AT_ONCE = 5;

async function failureOf(promise: Promise<unknown>, kind: FailureKind): Promise<UpstreamError> {
  const error: unknown = await promise.then(
    () => assert.fail('it should have failed'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof UpstreamError, String(error));
  assert.equal(error.kind, kind, error.message);
  return error;
}

/** The least time of several tries: a busy machine delays one, not all. */
async function fastest(tries: number, action: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < tries; i += 1) {
    const startedAt = performance.now();
    await action();
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
}

function clockAt(start = Date.now()) {
  const clock = { time: start, now: () => clock.time };
  return clock;
}

/** Listens where it is told, counts who dials, and can go away and come back. */
class Comeback {
  readonly #listener: RequestListener;
  #server: Server | undefined;
  #port = 0;
  dialled = 0;

  constructor(listener: RequestListener) {
    this.#listener = listener;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async up(): Promise<void> {
    this.#server = createServer(this.#listener);
    this.#server.on('connection', () => (this.dialled += 1));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async down(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.#server?.closeAllConnections();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }
}

const serveIndex: RequestListener = (request, response) => {
  const { bytes, digest, mediaType } = image.index;
  const headers = { 'content-type': mediaType, 'content-length': bytes.length, 'docker-content-digest': digest };
  response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : bytes);
};

describe('an upstream that is down', () => {
  test('is dialled once, then answered for at once, and tried again by one question when its time is over', async () => {
    const clock = clockAt();
    await using registry = new Comeback(serveIndex);
    await registry.up();
    await using upstreams = connectUpstreamsWith(
      { now: clock.now, random: () => 0 },
      { url: registry.url, name: 'hub' },
    );
    await registry.down();
    await failureOf(upstreams.headManifest(app, latest), 'unavailable');
    const exchanges = upstreams.events.length;

    clock.time += 400;
    const taken = await fastest(5, async () => {
      const error = await failureOf(upstreams.getManifest(app, latest), 'unavailable');
      assert.match(error.message, /^hub is not asked for another 1 s, as it is failing since .*ECONNREFUSED/);
      assert.doesNotMatch(error.message, /library\/app/, 'whose question it was is not told');
      assert.equal(error.retryAfter, 1);
    });
    assert.ok(taken < AT_ONCE, `it took ${taken} ms`);
    assert.equal(upstreams.events.length, exchanges, 'nothing was dialled');

    clock.time += 600;
    await failureOf(upstreams.headManifest(app, latest), 'unavailable');
    assert.equal(upstreams.events.length, exchanges + 1, 'one probe');
    await failureOf(upstreams.headManifest(app, latest), 'unavailable');
    assert.equal(upstreams.events.length, exchanges + 1);

    await registry.up();
    clock.time += 1000;
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
    assert.equal((await upstreams.headManifest(app, latest)).digest, image.index.digest);
    assert.deepEqual(
      upstreams.health.map(({ state, scope }) => `${scope} ${state}`),
      ['all open', 'all half-open', 'all open', 'all half-open', 'all closed'],
    );
    assert.deepEqual(upstreams.healthOf(), [{ upstream: 'hub', state: 'closed', scope: 'all' }]);
  });

  test('costs one connection for all requests: its circuit is for every kind of question', async () => {
    let dialled = 0;
    // No TLS is spoken here.
    const server = createTcpServer((socket) => {
      dialled += 1;
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      await using upstreams = connectUpstreamsWith(
        { now: clockAt().now },
        { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` },
      );
      await failureOf(upstreams.getManifest(app, latest), 'unavailable');
      assert.equal(dialled, 1);
      await failureOf(upstreams.headManifest(app, latest), 'unavailable');
      await failureOf(upstreams.openBlob(app, layer.digest), 'unavailable');
      await failureOf(upstreams.headBlob(app, layer.digest), 'unavailable');
      await failureOf(upstreams.locateBlob(app, layer.digest), 'unavailable');
      await failureOf(upstreams.list(app, { kind: 'tags' }), 'unavailable');
      await failureOf(upstreams.list(app, { kind: 'referrers', digest: image.index.digest }), 'unavailable');
      assert.equal(dialled, 1);
    } finally {
      server.close();
    }
  });

  test('a hundred questions when its time is over: one is asked, the others fail at once', async () => {
    const clock = clockAt();
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith({ now: clock.now }, { url: registry.url });
    const mend = registry.fault({}, { status: 503, headers: { 'retry-after': '7' } });
    const failure = await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    assert.equal(failure.retryAfter, 7);
    mend();
    registry.forget();
    clock.time += 6999;
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    assert.equal(registry.count(), 0);

    clock.time += 1;
    const gate = registry.hold({ kind: 'manifest' });
    const asked = Array.from({ length: 100 }, () => upstreams.getManifest(app, latest));
    const settled = Promise.allSettled(asked);
    await gate.arrived(1);
    await Promise.any(asked.slice(1).map((each) => each.catch(() => 'failed')));
    gate.open();
    const outcomes = await settled;
    assert.deepEqual([outcomes.filter(({ status }) => status === 'fulfilled').length, registry.count()], [1, 1]);
    const all = await Promise.all(Array.from({ length: 100 }, () => upstreams.getManifest(app, latest)));
    assert.equal(all.length, 100, 'and then everybody is');
  });

  test('a hundred questions under way when it died are one failure', async () => {
    const clock = clockAt();
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith({ now: clock.now, random: () => 0.999 }, { url: registry.url });
    const gate = registry.hold({ kind: 'manifest' });
    registry.fault({ kind: 'manifest' }, { status: 500 });
    const asked = Promise.allSettled(Array.from({ length: 20 }, () => upstreams.getManifest(app, latest)));
    await gate.arrived(20);
    gate.open();
    await asked;
    const open = upstreams.health.filter(({ state }) => state === 'open');
    assert.deepEqual(
      open.map(({ retryAfterMs }) => retryAfterMs),
      [1000],
    );
  });

  test('three bad answers in a row open it, two do not', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith({ now: clockAt().now }, { url: registry.url });
    registry.fault({ kind: 'manifest' }, { status: 502, times: 2 });
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
    registry.fault({ kind: 'manifest' }, { status: 502 });
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    assert.deepEqual(
      upstreams.health.map(({ state, reason }) => `${state}: ${reason}`),
      ['open: it answered 502'],
    );
  });

  test('what was under way when it opened comes to its end', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams({ url: registry.url });
    const gate = registry.hold({ kind: 'blob' });
    const blob = upstreams.openBlob(app, layer.digest);
    await gate.arrived(1);
    registry.fault({ kind: 'manifest' }, { status: 503, headers: { 'retry-after': '60' } });
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    gate.open();
    assert.deepEqual(await readAll((await blob).body), layer.bytes);
    await failureOf(upstreams.openBlob(app, layer.digest), 'unavailable');
  });

  test('the hot one down: the cold one answers, and at once the second time', async () => {
    const clock = clockAt();
    await using hot = new Comeback(serveIndex);
    await hot.up();
    await using cold = await startScriptedUpstream();
    cold.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith(
      { now: clock.now },
      { url: hot.url, name: 'hot' },
      { url: cold.url, name: 'cold' },
    );
    await hot.down();
    assert.equal((await upstreams.getManifest(app, latest)).upstream, 'cold');
    upstreams.events.length = 0;
    assert.equal((await upstreams.getManifest(app, latest)).upstream, 'cold');
    assert.deepEqual(
      upstreams.events.map(({ upstream }) => upstream),
      ['cold'],
    );
    await hot.up();
    clock.time += 1000;
    assert.equal((await upstreams.getManifest(app, latest)).upstream, 'hot');
  });

  test('what never opens a circuit: refusals, wrong answers, things that are not there', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams({ url: registry.url });
    const troubles = [
      [401, 'denied'],
      [403, 'denied'],
      [404, 'not-found'],
      [400, 'not-found'],
      [418, 'invalid'],
    ] as const;
    for (const [status, kind] of troubles) {
      const mend = registry.fault({}, { status });
      registry.forget();
      for (let i = 0; i < 5; i += 1) await failureOf(upstreams.getManifest(app, latest), kind);
      assert.equal(registry.count(), 5, `each was asked, ${status}`);
      mend();
    }
    assert.deepEqual(upstreams.health, []);
  });

  test('a credential that cannot be read is no outage', async () => {
    await using registry = await startScriptedUpstream({
      personality: 'ecr',
      credentials: { username: 'a', password: 'b' },
    });
    const credentials = { username: 'a', password: { env: 'ENTREPOT_TEST_NOT_SET' } };
    await using upstreams = connectUpstreams({ url: registry.url, credentials });
    for (let i = 0; i < 3; i += 1) {
      const error = await failureOf(upstreams.getManifest(app, latest), 'unavailable');
      assert.match(error.message, /ENTREPOT_TEST_NOT_SET is not set/);
    }
    assert.deepEqual(upstreams.health, []);
  });

  test('a probe whose client leaves makes way for the next', async () => {
    const clock = clockAt();
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith({ now: clock.now }, { url: registry.url });
    const mend = registry.fault({}, { status: 503, headers: { 'retry-after': '1' } });
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    mend();
    clock.time += 1000;
    const gate = registry.hold({ kind: 'manifest' });
    const controller = new AbortController();
    const left = upstreams.getManifest(app, latest, { signal: controller.signal });
    await gate.arrived(1);
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    const reason = new Error('the client left');
    controller.abort(reason);
    await assert.rejects(left, reason);
    gate.open();
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
  });
});

describe('a storage that is down', () => {
  test('is left alone, while the registry that leads there is asked', async () => {
    const clock = clockAt();
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith({ now: clock.now }, { url: registry.url, name: 'hub' });
    const mend = registry.fault({ at: 'cdn' }, { status: 503, headers: { 'retry-after': '30' } });
    await failureOf(upstreams.openBlob(app, layer.digest), 'unavailable');
    const error = await failureOf(upstreams.openBlob(app, layer.digest), 'unavailable');
    assert.match(error.message, /^hub is not asked for blobs for another 30 s/);
    assert.equal(registry.count({ at: 'cdn' }), 1);
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
    assert.equal(upstreams.healthOf()[0]?.scope, 'blob');
    mend();
    clock.time += 30_000;
    assert.deepEqual(await readAll((await upstreams.openBlob(app, layer.digest)).body), layer.bytes);
    assert.equal(upstreams.healthOf()[0]?.state, 'closed');
  });

  test('that cannot be reached at all is no outage of the registry either', async () => {
    await using gone = new Comeback(serveIndex);
    await gone.up();
    const location = `${gone.url}/blob`;
    await gone.down();
    await using server = await serve((request, response) => {
      if (request.url?.includes('/manifests/') === true) return serveIndex(request, response);
      response.writeHead(307, { location }).end();
    });
    await using upstreams = connectUpstreamsWith({ now: clockAt().now }, { url: server.url });
    await failureOf(upstreams.openBlob(app, layer.digest), 'unavailable');
    assert.deepEqual(
      upstreams.health.map(({ scope, state }) => `${scope} ${state}`),
      ['blob open'],
    );
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
  });

  test('a good head shows that the registry is there, whatever becomes of the body', async () => {
    const clock = clockAt();
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith({ now: clock.now }, { url: registry.url });
    const mend = registry.fault({}, { status: 503, headers: { 'retry-after': '1' } });
    await failureOf(upstreams.openBlob(app, layer.digest), 'unavailable');
    mend();
    clock.time += 1000;
    const { body } = await upstreams.openBlob(app, layer.digest);
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
    body.cancel();
  });

  test('bodies that break off before a byte count, those that break off later do not', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams({ url: registry.url });
    const openAndRead = async (): Promise<Buffer> => readAll((await upstreams.openBlob(app, layer.digest)).body);
    const mend = registry.fault({ kind: 'blob' }, { cutAt: 100_000 });
    for (let i = 0; i < 4; i += 1) await assert.rejects(openAndRead(), { code: 'truncated' });
    mend();
    assert.deepEqual(upstreams.health, []);
  });

  test('bodies that break off before a byte count, three in a row, though their heads are good', async () => {
    await using server = await serve((request, response) => {
      if (request.url?.includes('/manifests/') === true) return serveIndex(request, response);
      response.writeHead(200, { 'content-length': layer.size }).flushHeaders();
      setImmediate(() => response.destroy());
    });
    await using upstreams = connectUpstreamsWith({ now: clockAt().now }, { url: server.url });
    for (let i = 0; i < 3; i += 1) {
      assert.deepEqual(upstreams.health, []);
      const { body } = await upstreams.openBlob(app, layer.digest);
      await assert.rejects(readAll(body), { code: 'truncated' });
    }
    assert.deepEqual(
      upstreams.health.map(({ scope, state }) => `${scope} ${state}`),
      ['blob open'],
    );
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
  });

  test('a body that is cancelled unread, or opened again and again, is no failure', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams({ url: registry.url });
    for (let i = 0; i < 5; i += 1) (await upstreams.openBlob(app, layer.digest)).body.cancel();
    assert.deepEqual(upstreams.health, []);
    assert.deepEqual(await readAll((await upstreams.openBlob(app, layer.digest)).body), layer.bytes);
  });
});

describe('an upstream that throttles', () => {
  test('is left alone as long as it says, for what it throttled, whatever its words', async () => {
    for (const body of ['Too Many Requests (HAP429)', '{"errors":[{"code":"TOOMANYREQUESTS"}]}']) {
      const clock = clockAt();
      await using registry = await startScriptedUpstream();
      registry.add(image, app.repository, ['latest']);
      await using upstreams = connectUpstreamsWith({ now: clock.now }, { url: registry.url, name: 'hub' });
      const target = { kind: 'manifest', method: 'GET' } as const;
      const mend = registry.fault(target, { status: 429, headers: { 'retry-after': '40' }, body });
      const first = await failureOf(upstreams.getManifest(app, latest), 'throttled');
      assert.deepEqual([first.status, first.retryAfter], [429, 40]);
      clock.time += 15_000;
      const second = await failureOf(upstreams.getManifest(app, latest), 'throttled');
      assert.equal(second.retryAfter, 25);
      assert.equal(registry.count(target), 1, 'it is not asked again');
      assert.equal((await upstreams.headManifest(app, latest)).digest, image.index.digest);
      assert.deepEqual(await readAll((await upstreams.openBlob(app, layer.digest)).body), layer.bytes);
      mend();
      clock.time += 25_000;
      assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
    }
  });

  test('without Retry-After, for a second, and for longer as it goes on', async () => {
    const clock = clockAt();
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreamsWith({ now: clock.now, random: () => 0.5 }, { url: registry.url });
    registry.fault({}, { status: 429 });
    const waits = [1000, 1500, 2500, 4500];
    for (const wait of waits) {
      const first = await failureOf(upstreams.getManifest(app, latest), 'throttled');
      assert.equal(first.retryAfter, undefined);
      const second = await failureOf(upstreams.getManifest(app, latest), 'throttled');
      assert.equal(second.retryAfter, Math.ceil(wait / 1000));
      clock.time += wait;
    }
    assert.deepEqual(
      upstreams.health.filter(({ state }) => state === 'open').map(({ retryAfterMs }) => retryAfterMs),
      waits,
    );
    assert.equal(registry.count(), waits.length);
  });

  test('a date a day away is a quarter of an hour', async () => {
    const clock = clockAt();
    await using registry = await startScriptedUpstream();
    await using upstreams = connectUpstreamsWith({ now: clock.now }, { url: registry.url });
    const tomorrow = new Date(clock.time + 86_400_000).toUTCString();
    registry.fault({}, { status: 429, headers: { 'retry-after': tomorrow } });
    await failureOf(upstreams.getManifest(app, latest), 'throttled');
    assert.equal(upstreams.health[0]?.retryAfterMs, 900_000);
  });
});

describe('an upstream that is slow', () => {
  test('has one time for all exchanges of a small question', async () => {
    await using server = await serve((request, response) => {
      // A challenge, then a token service that never answers.
      if (request.url?.startsWith('/token') === true) return;
      const realm = `http://${request.headers.host}/token`;
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s"` }).end();
    });
    await using upstreams = connectUpstreamsWith({ answerTimeout: 150 }, { url: server.url });
    const startedAt = performance.now();
    const error = await failureOf(upstreams.getManifest(app, latest), 'unavailable');
    assert.ok(performance.now() - startedAt < 2000);
    assert.match(error.message, /no whole answer within 0\.15 s/);
    assert.equal(upstreams.health[0]?.state, 'open', 'one such failure is enough');
  });

  test('trickles: it is cut as a whole, and no answer of it is kept for another', async () => {
    const dripping: NodeJS.Timeout[] = [];
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': image.index.mediaType, 'content-length': 1000 });
      dripping.push(setInterval(() => response.write(' '), 10));
      response.on('close', () => dripping.forEach((each) => clearInterval(each)));
    });
    await using upstreams = connectUpstreamsWith({ answerTimeout: 150 }, { url: server.url });
    await failureOf(upstreams.getManifest(app, latest), 'unavailable');
  });
});

describe('limits', () => {
  test('are read on HEAD and GET, and told, also in the metrics', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.add(image, app.repository, ['latest']);
    registry.limitPulls(77);
    await using upstreams = connectUpstreams({ url: registry.url, name: 'hub' });
    const all = () => upstreams.healthOf().map((each) => ({ registry: 'docker.io', ...each }));
    const metrics = createMetrics(upstreams.telemetry, { upstreams: all });
    assert.deepEqual(all(), [], 'who was not asked has nothing to say');
    await upstreams.headManifest(app, latest);
    await upstreams.getManifest(app, latest);
    await readAll((await upstreams.openBlob(app, layer.digest)).body);
    const quota = { credential: 'anonymous', limit: 100, windowSeconds: 21_600 };
    assert.deepEqual(upstreams.quotas, [
      { registry: 'docker.io', upstream: 'hub', ...quota, remaining: 77 },
      { registry: 'docker.io', upstream: 'hub', ...quota, remaining: 76 },
    ]);
    assert.deepEqual(all(), [
      { registry: 'docker.io', upstream: 'hub', state: 'closed', scope: 'all', quota: [{ ...quota, remaining: 76 }] },
    ]);
    const lines = async (): Promise<string[]> => (await metrics.text()).body.split('\n');
    const before = await lines();
    assert.ok(
      before.includes('entrepot_upstream_pulls_left{registry="docker.io",upstream="hub",credential="anonymous"} 76'),
    );
    assert.ok(before.includes('entrepot_upstream_up{registry="docker.io",upstream="hub"} 1'));

    registry.limitPulls(0);
    await failureOf(upstreams.getManifest(app, latest), 'throttled');
    const throttled = await lines();
    assert.ok(throttled.includes('entrepot_upstream_up{registry="docker.io",upstream="hub"} 1'), 'it is still there');
    assert.ok(
      throttled.includes('entrepot_upstream_openings_total{registry="docker.io",upstream="hub",scope="pull"} 1'),
    );
    registry.fault({}, { status: 503, headers: { 'retry-after': '9' } });
    await failureOf(upstreams.headManifest(app, latest), 'unavailable');
    assert.ok((await lines()).includes('entrepot_upstream_up{registry="docker.io",upstream="hub"} 0'));
    metrics.close();
  });
});
