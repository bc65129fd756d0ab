import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Digest } from '../oci/index.ts';
import { loadPullStore, type PullStore } from '../store/index.ts';
import { type BodyMeter, type Events, type PullUnderWay, Telemetry } from '../telemetry/index.ts';
import { findPull, lastPullOfEach, lastPullsOf, listPulls, readFigures } from './reading.ts';
import { PullRecorder } from './recorder.ts';

const HOUR = 3_600_000;
const { MemoryPullStore } = await loadPullStore();
const DIGEST = `sha256:${'1'.repeat(64)}` as Digest;

/** Of no image in particular: it belongs to the pull before. */
const BLOB = { target: { kind: 'blob', digest: DIGEST } } as const;

type Asked = { -readonly [K in keyof PullUnderWay]: PullUnderWay[K] };

function stage(t: TestContext, { store }: { readonly store?: PullStore | 'none' } = {}) {
  const telemetry = new Telemetry();
  const warnings: string[] = [];
  telemetry.on('warning', ({ message }) => warnings.push(message));
  const clock = { now: 1000 * HOUR };
  // Longer than any test: what the timer does is asked for.
  const recorder = new PullRecorder({ telemetry, now: () => clock.now, lookEvery: 2 ** 30 });
  recorder.isOn = true;
  if (store !== 'none') recorder.keepIn(store ?? new MemoryPullStore({ since: 0 }));
  t.after(() => recorder.close());
  let count = 0;
  function begin(over: Partial<Asked> = {}, kind: 'pull.started' | 'pull.refused' = 'pull.started'): Asked {
    count += 1;
    const view: Asked = {
      id: `q-${count}`,
      method: 'GET',
      client: '192.0.2.1',
      user: undefined,
      userAgent: 'containerd/2.1',
      registry: 'ghcr.io',
      repository: 'ours/app',
      target: { kind: 'manifest', reference: { kind: 'tag', tag: 'latest' } },
      namedBy: 'ns',
      rule: undefined,
      access: undefined,
      bytes: 0,
      size: undefined,
      cache: undefined,
      reason: undefined,
      upstream: undefined,
      startedAt: performance.now(),
      slotAt: undefined,
      passedAt: undefined,
      answeredAt: undefined,
      recorded: undefined,
      ...over,
    };
    telemetry.publish(kind, view);
    return view;
  }
  function end(view: Asked, over: Partial<Events['request.finished']> = {}): void {
    const { id, method, client, user, userAgent, registry, repository, upstream } = view;
    const { bytes = 100, cache = 'HIT' } = over;
    Object.assign(view, { bytes, size: bytes, cache });
    telemetry.publish('request.finished', {
      id,
      method,
      path: '/v2/',
      status: 200,
      durationMs: 1.234,
      client,
      user,
      userAgent,
      route: 'registry',
      registry,
      repository,
      upstream,
      error: undefined,
      pull: view,
      ...over,
      bytes,
      cache,
    });
  }
  const pull = (over: Partial<Asked> = {}, ended: Partial<Events['request.finished']> = {}): Asked => {
    const view = begin(over);
    end(view, ended);
    return view;
  };
  function ask(
    request: string | undefined,
    body: BodyMeter | undefined,
    over: Partial<Events['upstream.request']> = {},
  ) {
    const about = {
      registry: 'ghcr.io',
      repository: 'ours/app',
      upstream: 'GHCR',
      method: 'GET',
      purpose: 'api',
    } as const;
    telemetry.publish('upstream.request', {
      ...about,
      url: 'https://ghcr.io/v2/',
      status: 200,
      durationMs: 5,
      request,
      body,
      ...over,
    });
  }
  const totals = async () => {
    const isSeen = () => true;
    const { repositories } = await readFigures(recorder, { from: 0, to: 1e15, step: HOUR, isSeen });
    return repositories.map(({ registry, repository, ...sums }) => [`${registry}/${repository}`, sums] as const);
  };
  const listed = async () => {
    const { pulls } = await listPulls(recorder, { limit: 500, filter: {}, isSeen: () => true });
    return pulls;
  };
  return { recorder, telemetry, clock, warnings, begin, end, pull, ask, totals, listed };
}

const SUMS = { pulls: 1, requests: 1, hits: 1, failed: 0, bytes: 100, fetched: 0 };

describe('PullRecorder', () => {
  test('makes one pull of the requests of one client for one repository, and others of other clients', async (t) => {
    const { pull, listed, clock } = stage(t);
    pull();
    clock.now += 9000;
    pull({ target: { kind: 'blob', digest: DIGEST } }, { cache: 'MISS', bytes: 900 });
    pull({ client: '192.0.2.2' });
    pull({ user: 'alice' });
    pull({ userAgent: 'docker/29' });
    pull({ repository: 'ours/web' });
    pull({ registry: 'docker.io' });
    const pulls = await listed();
    assert.equal(pulls.length, 6);
    const { id, ...first } = pulls.at(-1) ?? assert.fail('no pull');
    assert.equal(id, 'q-1');
    assert.deepEqual(first, {
      at: 1000 * HOUR,
      registry: 'ghcr.io',
      repository: 'ours/app',
      reference: 'latest',
      client: '192.0.2.1',
      userAgent: 'containerd/2.1',
      namedBy: 'ns',
      outcome: 'miss',
      requests: 2,
      hits: 1,
      bytes: 1000,
      size: 1000,
      fetched: 0,
      durationMs: 9000,
    });
  });

  test('ends a pull after a pause of ten seconds, but not while a request or a body of an upstream runs', async (t) => {
    const { begin, end, pull, ask, listed, clock, recorder } = stage(t);
    pull(BLOB);
    clock.now += 10_001;
    const running = begin(BLOB);
    clock.now += 60_000;
    recorder.look();
    pull(BLOB);
    end(running);
    const body = { bytes: 5, isOver: false };
    ask(running.id, body);
    clock.now += 60_000;
    recorder.look();
    pull(BLOB);
    body.isOver = true;
    recorder.look();
    clock.now += 10_001;
    recorder.look();
    pull(BLOB);
    assert.deepEqual(
      (await listed()).map(({ requests }) => requests),
      [1, 3, 1],
    );
  });

  test('a pull that never pauses takes no request after ten minutes', async (t) => {
    const { pull, listed, clock } = stage(t);
    for (let at = 0; at < 130; at += 1) {
      pull(BLOB);
      clock.now += 5000;
    }
    assert.deepEqual(
      (await listed()).map(({ requests }) => requests),
      [9, 121],
    );
  });

  test('ends a pull whose upstream never said the end of its body, and took no longer than its requests', async (t) => {
    const { begin, end, ask, listed, recorder, clock } = stage(t);
    const view = begin();
    const body = { bytes: 5, isOver: false };
    ask(view.id, body, { status: 0, error: 'connect' });
    clock.now += 300;
    end(view, { status: 502 });
    clock.now += 60_001;
    recorder.look();
    assert.deepEqual(recorder.open(), []);
    assert.deepEqual(
      (await listed()).map(({ durationMs }) => durationMs),
      [300],
    );
  });

  test('keeps no pull for a body that trickles, and finds room where every pull has one that never ends', async (t) => {
    const { begin, end, ask, recorder, clock } = stage(t);
    const slow = begin({ client: 'slow' });
    const body = { bytes: 0, isOver: false };
    ask(slow.id, body);
    end(slow);
    for (let at = 0; at <= 20; at += 1) {
      body.bytes += 1;
      recorder.look();
      clock.now += 30_000;
    }
    recorder.look();
    assert.deepEqual(recorder.open(), []);
    for (let at = 0; at < 2500; at += 1) {
      const view = begin({ client: `c-${at}` });
      ask(view.id, { bytes: 0, isOver: false });
      end(view);
    }
    assert.ok(recorder.open().length <= 2000, `${recorder.open().length} are open`);
    for (let at = 0; at < 2500; at += 1) begin({ client: `r-${at}` });
    assert.ok(recorder.open().length <= 2000, `${recorder.open().length} are open`);
  });

  const tagged = (tag: string, method = 'GET') =>
    ({ method, target: { kind: 'manifest', reference: { kind: 'tag', tag } } }) as const;

  test('makes a pull of each tag, and gives what is asked for by digest to the newest', async (t) => {
    const { pull, listed, totals } = stage(t);
    pull(tagged('1.0', 'HEAD'));
    pull(tagged('1.0'));
    pull(BLOB);
    pull(tagged('2.0', 'HEAD'));
    pull({ target: { kind: 'manifest', reference: { kind: 'digest', digest: DIGEST } } });
    pull(BLOB);
    pull(BLOB);
    assert.deepEqual(
      (await listed()).map(({ reference, requests }) => `${reference} ${requests}`),
      ['2.0 4', '1.0 3'],
    );
    assert.deepEqual(await totals(), [['ghcr.io/ours/app', { ...SUMS, pulls: 2, requests: 7, hits: 7, bytes: 700 }]]);
  });

  test('keeps two tags apart that one client pulls at once', async (t) => {
    const { begin, end, pull, listed } = stage(t);
    const first = begin(tagged('1.0'));
    const second = begin(tagged('2.0'));
    pull(tagged('1.0', 'HEAD'));
    end(first);
    end(second);
    assert.deepEqual(
      (await listed()).map(({ reference, requests }) => `${reference} ${requests}`),
      ['2.0 1', '1.0 2'],
    );
  });

  test('a tag that is asked for again after what it leads to was got is another pull, once nothing runs', async (t) => {
    const { begin, end, pull, listed } = stage(t);
    pull(tagged('1.0', 'HEAD'));
    pull(tagged('1.0'));
    pull(tagged('1.0'));
    const running = begin(BLOB);
    pull(tagged('1.0'));
    end(running);
    pull(tagged('1.0', 'HEAD'));
    pull(tagged('1.0'));
    pull(BLOB, { status: 404 });
    pull(tagged('1.0'));
    pull(BLOB);
    pull(tagged('1.0'));
    const counts = (await listed()).map(({ requests }) => requests);
    assert.deepEqual(
      counts.toSorted((one, other) => one - other),
      [1, 5, 5],
    );
  });

  test('what runs of a pull that was closed counts in the figures, and is let go at its end', async (t) => {
    const { begin, end, ask, pull, recorder, totals, clock } = stage(t);
    const long = begin(BLOB);
    const body = { bytes: 0, isOver: false };
    ask(long.id, body);
    clock.now += 600_001;
    pull(BLOB);
    Object.assign(long, { bytes: 300, cache: 'MISS' });
    await totals();
    body.bytes = 700;
    end(long, { bytes: 1000, cache: 'MISS' });
    body.isOver = true;
    assert.deepEqual(await totals(), [
      ['/', { ...SUMS, requests: 0, hits: 0, bytes: 0 }],
      ['ghcr.io/ours/app', { pulls: 1, requests: 2, hits: 1, failed: 0, bytes: 1100, fetched: 700 }],
    ]);
    assert.equal(recorder.findOpen(long.id), undefined);
  });

  test('keeps no secret, wherever a client or an upstream wrote one', async (t) => {
    const store = new MemoryPullStore({ since: 0 });
    const { begin, end, ask, recorder, clock } = stage(t, { store });
    const secret = 'CANARY0123456789';
    const url = `https://me:${secret}@ghcr.io/v2/?token=${secret}`;
    const view = begin({ userAgent: `x ${url}`, reason: `Bearer ${secret}` });
    ask(view.id, undefined, { url, error: `no answer from ${url}` });
    end(view, { status: 502, error: `Basic ${secret} for ${url}` });
    clock.now += 60_000;
    recorder.look();
    await recorder.write();
    const [summary] = await store.list({ limit: 9 });
    const found = await store.find(view.id);
    assert.equal(found?.requestList[0]?.asked[0]?.url, 'https://ghcr.io/v2/');
    assert.doesNotMatch(JSON.stringify([summary, found]), /CANARY/);
  });

  test('a fault of its own, or of a listener, reaches neither the publisher nor the timer', async (t) => {
    const { begin, end, pull, recorder, clock, warnings, listed } = stage(t);
    const seen: string[] = [];
    recorder.on('pull', () => {
      throw new Error('a listener with a fault');
    });
    recorder.on('pull', ({ id }) => seen.push(id));
    pull();
    recorder.look();
    assert.deepEqual(seen, ['q-1']);
    const { now } = clock;
    const fault = (): never => {
      throw new Error('a clock with a fault');
    };
    Object.defineProperty(clock, 'now', { get: fault, configurable: true });
    end(begin());
    recorder.look();
    Object.defineProperty(clock, 'now', { value: now, writable: true });
    pull(BLOB);
    assert.equal((await listed())[0]?.requests, 2);
    assert.deepEqual(warnings, [
      'Cannot tell of pulls to one who follows them',
      'Cannot record pulls: their record has gaps',
    ]);
  });

  const outcomes: readonly (readonly [string, readonly Partial<Events['request.finished']>[], object?])[] = [
    ['hit', [{}, { cache: 'REVALIDATED' }]],
    ['miss', [{ cache: 'JOIN' }, {}]],
    ['miss', [{ cache: 'PASS' }]],
    ['stale', [{ cache: 'MISS' }, { cache: 'STALE' }]],
    ['failed', [{ cache: 'STALE' }, { status: 503 }, {}]],
    ['failed', [{ cache: 'MISS', error: 'the digest is another' }]],
    ['hit', [{ status: 404 }, {}]],
    ['failed', [{ status: 404 }]],
    ['miss', [{ cache: 'MISS', error: 'the client left', hasLeft: true }]],
  ];
  for (const [expected, ends] of outcomes) {
    test(`is ${expected} after ${JSON.stringify(ends)}`, async (t) => {
      const { pull, listed } = stage(t);
      for (const each of ends) pull(BLOB, each);
      assert.deepEqual(
        (await listed()).map(({ outcome }) => outcome),
        [expected],
      );
    });
  }

  test('records what the gate refuses, and counts it in no figure', async (t) => {
    const { begin, end, listed, totals } = stage(t);
    end(begin({}, 'pull.refused'), { status: 403, cache: undefined as never });
    assert.deepEqual(
      (await listed()).map(({ outcome, requests }) => [outcome, requests]),
      [['refused', 1]],
    );
    assert.deepEqual(await totals(), []);
  });

  test('lists the first requests of a pull and counts the others, and finds room for those that fail', async (t) => {
    const { pull, recorder } = stage(t);
    for (let at = 1; at <= 100; at += 1) pull(BLOB);
    pull(BLOB, { status: 502, error: 'the upstream is down' });
    const found = await findPull(recorder, 'q-101');
    assert.equal(found?.requests, 101);
    assert.equal(found.requestList.length, 57);
    assert.equal(found.omitted, 44);
    assert.equal(found.requestList.at(-1)?.error, 'the upstream is down');
    assert.equal(await findPull(recorder, 'q-100'), undefined);
  });

  test('tells of each request how long its steps took and which upstreams it asked, at most eight', async (t) => {
    const { begin, end, ask, recorder, clock } = stage(t);
    const view = begin({ rule: 2, upstream: 'GHCR' });
    const { startedAt } = view;
    Object.assign(view, { slotAt: startedAt + 1, passedAt: startedAt + 3, answeredAt: startedAt + 10.123 });
    clock.now += 50;
    for (let at = 0; at < 12; at += 1) ask(view.id, undefined, { url: `https://ghcr.io/${at}`, error: 'reset' });
    view.reason = 'it is not stored';
    end(view, { cache: 'MISS' });
    const { requestList, rule } = (await findPull(recorder, view.id)) ?? assert.fail('no pull');
    assert.equal(rule, 'access.rules[2]');
    const { asked, ...request } = requestList[0] ?? assert.fail('no request');
    assert.deepEqual(request, {
      id: view.id,
      at: 1000 * HOUR,
      method: 'GET',
      kind: 'manifest',
      reference: 'latest',
      status: 200,
      cache: 'MISS',
      reason: 'it is not stored',
      upstream: 'GHCR',
      bytes: 100,
      size: 100,
      slotMs: 1,
      gateMs: 2,
      firstByteMs: 7.12,
      totalMs: 1.23,
    });
    assert.equal(asked.length, 8);
    assert.deepEqual(asked[0], {
      upstream: 'GHCR',
      purpose: 'api',
      method: 'GET',
      url: 'https://ghcr.io/0',
      status: 200,
      afterMs: 50,
      durationMs: 5,
      error: 'reset',
    });
  });

  test('shows a pull while it runs, with what has come so far', async (t) => {
    const { begin, ask, recorder, listed } = stage(t);
    const view = begin();
    Object.assign(view, { bytes: 40, size: 100, cache: 'MISS' });
    ask(view.id, { bytes: 60, isOver: false });
    const [pull] = await listed();
    assert.deepEqual(
      [pull?.running, pull?.bytes, pull?.size, pull?.fetched, pull?.outcome],
      [true, 40, 100, 60, 'miss'],
    );
    const { requestList } = (await findPull(recorder, view.id)) ?? assert.fail('no pull');
    assert.equal(requestList[0]?.running, true);
  });

  test('counts bytes while they come, each once, in the hour in which they come', async (t) => {
    const { begin, end, ask, recorder, clock, totals } = stage(t);
    const view = begin();
    const body = { bytes: 10, isOver: false };
    ask(view.id, body);
    Object.assign(view, { bytes: 30, cache: 'MISS' });
    recorder.look();
    await recorder.write();
    clock.now += HOUR;
    body.bytes = 500;
    recorder.look();
    await recorder.write();
    body.isOver = true;
    end(view, { cache: 'MISS', bytes: 400 });
    const { steps } = await readFigures(recorder, { from: 0, to: 1e15, step: HOUR, isSeen: () => true });
    assert.deepEqual(
      [...steps].map(([at, { bytes, fetched, requests }]) => [at / HOUR, bytes, fetched, requests]),
      [
        [1000, 30, 10, 0],
        [1001, 370, 490, 1],
      ],
    );
    assert.deepEqual(await totals(), [['ghcr.io/ours/app', { ...SUMS, hits: 0, bytes: 400, fetched: 500 }]]);
  });

  test('counts what an upstream sends after the client has left, and for no client at all', async (t) => {
    const { pull, ask, totals, recorder } = stage(t);
    const { id } = pull({}, { cache: 'MISS', error: 'the client left', hasLeft: true });
    const body = { bytes: 0, isOver: false };
    ask(id, body);
    body.bytes = 70;
    body.isOver = true;
    ask(undefined, { bytes: 7, isOver: true });
    assert.deepEqual(await totals(), [['ghcr.io/ours/app', { ...SUMS, hits: 0, fetched: 77 }]]);
    assert.equal((await findPull(recorder, id))?.fetched, 70);
  });

  test('a challenge counts for the repository once that was answered for, else for none', async (t) => {
    const { begin, end, ask, totals, clock, recorder } = stage(t);
    const known = begin();
    ask(known.id, { bytes: 60, isOver: true }, { status: 401 });
    end(known);
    const unknown = begin({ repository: 'no/such' });
    ask(unknown.id, { bytes: 5, isOver: true }, { status: 401, repository: 'no/such' });
    end(unknown, { status: 404, cache: undefined as never });
    clock.now += 20_000;
    recorder.look();
    assert.deepEqual(await totals(), [
      ['ghcr.io/ours/app', { ...SUMS, fetched: 60 }],
      ['/', { ...SUMS, hits: 0, bytes: 0, fetched: 5 }],
    ]);
  });

  test('counts failures and what was not answered', async (t) => {
    const { pull, totals } = stage(t);
    pull(BLOB);
    pull(BLOB, { status: 500 });
    pull(BLOB, { error: 'the digest is another' });
    pull(BLOB, { status: 0, bytes: 0, error: 'the client left', hasLeft: true });
    pull(BLOB, { error: 'the client left', hasLeft: true });
    assert.deepEqual(await totals(), [['ghcr.io/ours/app', { ...SUMS, requests: 4, hits: 3, failed: 2, bytes: 300 }]]);
  });

  test('counts no body of an error as content: it saves nothing', async (t) => {
    const { begin, end, recorder, totals, listed } = stage(t);
    const view = begin();
    Object.assign(view, { bytes: 182, size: 182 });
    recorder.look();
    end(view, { status: 503, bytes: 182, cache: undefined as never });
    assert.deepEqual(
      (await listed()).map(({ bytes, size }) => [bytes, size]),
      [[0, undefined]],
    );
    assert.equal((await findPull(recorder, view.id))?.requestList[0]?.bytes, 182);
    assert.deepEqual(
      (await totals()).map(([, { bytes, failed }]) => [bytes, failed]),
      [[0, 1]],
    );
  });

  test('knows the last pull of tags, and of digests as one', async (t) => {
    const { pull, recorder, clock } = stage(t);
    pull({ user: 'alice' });
    clock.now += 5;
    pull({ target: { kind: 'manifest', reference: { kind: 'digest', digest: DIGEST } } });
    await recorder.write();
    clock.now += 5;
    pull();
    pull({ repository: 'no/such' }, { status: 404 });
    const tags = await lastPullsOf(recorder, { registry: 'ghcr.io', repository: 'ours/app' });
    assert.deepEqual([...tags].map(([tag, { at, by }]) => `${tag} ${at - 1000 * HOUR} ${by}`).toSorted(), [
      ' 5 192.0.2.1',
      'latest 10 192.0.2.1',
    ]);
    const names = [
      { registry: 'ghcr.io', repository: 'no/such' },
      { registry: 'ghcr.io', repository: 'ours/app' },
    ];
    const last = await lastPullOfEach(recorder, names);
    assert.deepEqual(
      last.map((each) => each?.tag),
      [undefined, 'latest'],
    );
  });

  test('100,000 clients and names that do not exist stay within bounds', async (t) => {
    const { pull, recorder, totals, listed } = stage(t);
    for (let at = 0; at < 100_000; at += 1) {
      pull(
        { repository: `x/${at}`, client: `192.0.2.${at % 250}`, userAgent: 'x'.repeat(9000) },
        { status: 404, cache: undefined as never },
      );
    }
    assert.ok(recorder.open().length <= 2000);
    await recorder.write();
    const sums = await totals();
    assert.deepEqual(
      sums.map(([name, { requests, bytes }]) => [name, requests, bytes]),
      [['/', 100_000, 0]],
    );
    const pulls = await listed();
    assert.equal(pulls.length, 500);
    assert.ok(pulls.every(({ userAgent = '' }) => userAgent.length === 200));
    assert.ok(JSON.stringify(await findPull(recorder, pulls[0]?.id ?? '')).length < 3000);
  });

  test('counts a thousand repositories of an hour by name, and the others together', async (t) => {
    const { pull, totals, clock } = stage(t);
    for (let at = 0; at < 1500; at += 1) pull({ repository: `x/${at}` });
    const sums = await totals();
    assert.equal(sums.length, 1001);
    assert.deepEqual(sums.find(([name]) => name === '/')?.[1], {
      ...SUMS,
      pulls: 500,
      requests: 500,
      hits: 500,
      bytes: 50_000,
    });
    clock.now += HOUR;
    pull({ repository: 'x/1499' });
    assert.ok((await totals()).some(([name]) => name === 'ghcr.io/x/1499'));
  });

  test('counts on without names where a disk refuses ten thousand rows, and loses no figure', async (t) => {
    const store = new MemoryPullStore({ since: 0 });
    t.mock.method(store, 'count', () => Promise.reject(new Error('disk full')));
    const { pull, recorder, totals, clock } = stage(t, { store });
    for (let hour = 0; hour < 12; hour += 1) {
      for (let at = 0; at < 1000; at += 1) pull({ repository: `x/${hour}-${at}` });
      await recorder.write();
      clock.now += HOUR;
    }
    const sums = await totals();
    const requests = sums.reduce((total, [, each]) => total + each.requests, 0);
    assert.equal(requests, 12_000);
    assert.ok(sums.length > 9000 && sums.length <= 10_001, `${sums.length} rows`);
  });

  test('refused pulls take few places of a batch, and failed ones come first', async (t) => {
    const store = new MemoryPullStore({ since: 0 });
    const { begin, end, pull, recorder, clock } = stage(t, { store });
    pull({ client: 'first' }, { status: 502 });
    for (let at = 0; at < 1200; at += 1) pull({ client: `c-${at}` });
    for (let at = 0; at < 600; at += 1) end(begin({ client: `r-${at}` }, 'pull.refused'), { status: 403 });
    clock.now += 60_000;
    recorder.look();
    await recorder.write();
    const pulls = await store.list({ limit: 9999 });
    const of = (outcome: string): number => pulls.filter((each) => each.outcome === outcome).length;
    assert.deepEqual([pulls.length, of('failed'), of('refused')], [1000, 1, 100]);
    assert.deepEqual(recorder.omitted, { pulls: 801, from: clock.now, to: clock.now });
    t.mock.method(store, 'add', () => Promise.reject(new Error('disk full')));
    const from = clock.now;
    pull();
    clock.now += 60_000;
    recorder.look();
    await recorder.write();
    assert.deepEqual(recorder.omitted, { pulls: 802, from, to: clock.now });
  });

  test('keeps what it recorded before its store is open, and after the disk has refused it', async (t) => {
    const store = new MemoryPullStore({ since: 0 });
    const { pull, recorder, totals, listed, warnings, clock } = stage(t, { store: 'none' });
    pull();
    clock.now += 60_000;
    recorder.look();
    assert.equal((await listed()).length, 1);
    assert.deepEqual(await totals(), [['ghcr.io/ours/app', SUMS]]);
    const count = t.mock.method(store, 'count', () => Promise.reject(new Error('disk full')));
    recorder.keepIn(store);
    await recorder.write();
    pull();
    await recorder.write();
    assert.deepEqual(await totals(), [['ghcr.io/ours/app', { ...SUMS, pulls: 2, requests: 2, hits: 2, bytes: 200 }]]);
    assert.equal((await listed()).length, 2);
    assert.equal(warnings.length, 1);
    count.mock.restore();
    await recorder.write();
    assert.equal((await store.list({ limit: 9 })).length, 1);
    assert.equal((await listed()).length, 2);
  });

  test('writes the rest when it is closed, and records nothing afterwards', async (t) => {
    const store = new MemoryPullStore({ since: 0 });
    const { begin, pull, recorder } = stage(t, { store });
    pull();
    begin({ client: 'runs' });
    await recorder.close();
    pull();
    assert.deepEqual(
      (await store.list({ limit: 9 })).map(({ requests }) => requests),
      [1, 1],
    );
    const rows = await store.figures({ from: 0, to: 1e15, limit: 9 });
    assert.deepEqual(
      rows.map(({ repository, requests }) => [repository, requests]),
      [
        ['', 0],
        ['ours/app', 1],
      ],
    );
  });

  test('records nothing while it is off, and forgets what it has recorded', async (t) => {
    const store = new MemoryPullStore({ since: 0 });
    const closes = t.mock.method(store, 'close');
    const { begin, end, pull, recorder, listed, totals, telemetry, clock } = stage(t, { store });
    pull();
    await recorder.write();
    const view = begin({ client: 'other' });
    pull({ client: 'third' });
    clock.now += 5;
    recorder.isOn = false;
    assert.equal(telemetry.hears('pull.started'), false);
    assert.deepEqual([await listed(), await totals(), recorder.since], [[], [], clock.now]);
    assert.equal(await findPull(recorder, 'q-1'), undefined);
    assert.equal((await lastPullsOf(recorder, { registry: 'ghcr.io', repository: 'ours/app' })).size, 0);
    assert.equal(closes.mock.callCount(), 1);
    end(view);
    pull();
    recorder.isOn = true;
    pull();
    assert.deepEqual(
      (await listed()).map(({ id }) => id),
      ['q-5'],
    );
  });

  test('a write that fails after it was turned off brings nothing back', async (t) => {
    const store = new MemoryPullStore({ since: 0 });
    const refused = Promise.withResolvers<void>();
    t.mock.method(store, 'count', () => refused.promise);
    const { pull, recorder, listed, totals, clock } = stage(t, { store });
    pull();
    clock.now += 60_000;
    recorder.look();
    const writing = recorder.write();
    await Promise.resolve();
    recorder.isOn = false;
    refused.reject(new Error('disk full'));
    await writing;
    recorder.isOn = true;
    assert.deepEqual([await listed(), await totals(), recorder.omitted], [[], [], undefined]);
  });

  test('reports pulls that have changed, and rates every five seconds', async (t) => {
    const { begin, end, recorder, clock } = stage(t);
    const seen: unknown[] = [];
    const stops = [
      recorder.on('pull', ({ running = false, bytes }) => seen.push([running, bytes])),
      recorder.on('rates', ({ requests, hits, bytes }) => seen.push({ requests, hits, bytes })),
    ];
    const view = begin();
    recorder.look();
    recorder.look();
    Object.assign(view, { bytes: 50, cache: 'MISS' });
    recorder.look();
    end(view, { bytes: 500 });
    clock.now += 5000;
    recorder.look();
    for (const stop of stops) stop();
    begin();
    recorder.look();
    assert.deepEqual(seen, [[true, 0], [true, 50], { requests: 0.2, hits: 0.2, bytes: 100 }, [false, 500]]);
    assert.equal(recorder.rates.length, 1);
  });
});

describe('listPulls()', () => {
  test('gives those that run first, then the others, in pages without a pull twice', async (t) => {
    const { begin, pull, recorder, clock } = stage(t);
    for (let at = 0; at < 40; at += 1) {
      clock.now += 100;
      if (at % 4 === 0) begin({ client: `c-${at}` });
      else pull({ client: `c-${at}` });
      if (at === 20) {
        clock.now += 30_000;
        recorder.look();
        await recorder.write();
      }
    }
    const clients: string[] = [];
    for (let after: Parameters<typeof listPulls>[1]['after'], isLast = false; !isLast; ) {
      const isSeen = ({ repository }: { readonly repository: string }) => Promise.resolve(repository === 'ours/app');
      const { pulls, next } = await listPulls(recorder, { after, limit: 7, filter: {}, isSeen });
      clients.push(...pulls.map(({ client }) => client));
      after = next;
      isLast = next === undefined;
    }
    const numbers = Array.from({ length: 40 }, (_, at) => 39 - at);
    const expected = [...numbers.filter((at) => at % 4 === 0), ...numbers.filter((at) => at % 4 !== 0)];
    assert.deepEqual(
      clients,
      expected.map((at) => `c-${at}`),
    );
  });

  test('leaves out what the caller may not see, and asks once for each repository', async (t) => {
    const { pull, recorder } = stage(t);
    for (let at = 0; at < 10; at += 1) pull({ client: `c-${at}`, repository: at % 2 === 0 ? 'ours/app' : 'secret' });
    const asked: string[] = [];
    const isSeen = ({ repository }: { readonly repository: string }): boolean => {
      asked.push(repository);
      return repository !== 'secret';
    };
    const { pulls } = await listPulls(recorder, { limit: 100, filter: {}, isSeen });
    assert.equal(pulls.length, 5);
    assert.deepEqual(asked.toSorted(), ['ours/app', 'secret']);
  });
});
