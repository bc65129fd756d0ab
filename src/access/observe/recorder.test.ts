import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryObservationStore, type ObservationStore } from '../../store/index.ts';
import { type AccessOutcome, Telemetry } from '../../telemetry/index.ts';
import { needsOf } from './needs.ts';
import { Recorder } from './recorder.ts';

const HOUR = 3_600_000;

function stage(store: ObservationStore = new MemoryObservationStore({ since: 0 })) {
  const telemetry = new Telemetry();
  const warnings: string[] = [];
  telemetry.on('warning', ({ message }) => warnings.push(message));
  const clock = { now: 1000 * HOUR };
  const recorder = new Recorder({ store, telemetry, now: () => clock.now });
  const ask = (outcome: Partial<AccessOutcome> = {}): void => {
    telemetry.publish('access.decided', {
      principal: 'alice',
      action: 'pull',
      registry: 'ghcr.io',
      repository: 'ours/app',
      verdict: 'allowed',
      ...outcome,
    });
  };
  const rows = async () => (await recorder.read()).store.list({ limit: 1_000_000 });
  return { warnings, clock, recorder, ask, rows, store };
}

describe('Recorder', () => {
  test('counts requests by the hour, and adds to what it wrote before', async (t) => {
    const { recorder, ask, rows, clock } = stage();
    t.after(() => recorder.close());
    ask();
    ask({ verdict: 'would-deny' });
    ask();
    await recorder.write();
    clock.now += HOUR / 2;
    ask();
    await recorder.write();
    clock.now += HOUR;
    ask();
    const seen = (await rows()).map(({ period, verdict, count, lastAt }) => [
      period / HOUR,
      verdict,
      count,
      lastAt / HOUR,
    ]);
    assert.deepEqual(seen, [
      [1000, 'allowed', 3, 1000.5],
      [1000, 'would-deny', 1, 1000],
      [1001, 'allowed', 1, 1001.5],
    ]);
  });

  const targets: readonly (readonly [registry: string | undefined, repository: string | undefined, target: string])[] =
    [
      ['docker.io', 'library/nginx', 'docker.io/library/nginx'],
      ['docker.io', '', 'docker.io'],
      [undefined, undefined, ''],
      ['mirror:github', 'owner/app/releases/download/v1/app.tgz', 'mirror:github/owner/app/**'],
      ['mirror:github', 'owner/app', 'mirror:github/owner/app'],
      ['mirror:github', 'owner/app/', 'mirror:github/owner/app/**'],
      ['mirror:github', '.', 'mirror:github/.'],
    ];
  for (const [registry, repository, target] of targets) {
    test(`records ${registry} ${repository} as ${target}`, async (t) => {
      const { recorder, ask, rows } = stage();
      t.after(() => recorder.close());
      ask({ registry, repository });
      assert.deepEqual(
        (await rows()).map((row) => row.target),
        [target],
      );
    });
  }

  const unnamed: readonly (readonly [title: string, outcome: Partial<AccessOutcome>])[] = [
    ['a path with a wildcard', { registry: 'mirror:m', repository: 'a/**' }],
    ['a question mark', { registry: 'mirror:m', repository: '?/b/c' }],
    ['a path without end', { registry: 'mirror:m', repository: 'x'.repeat(8000) }],
    ['a name without end', { principal: 'x'.repeat(300) }],
  ];
  for (const [title, outcome] of unnamed) {
    test(`counts ${title} without its name`, async (t) => {
      const { recorder, ask, rows, store } = stage();
      t.after(() => recorder.close());
      ask(outcome);
      assert.deepEqual(
        (await rows()).map(({ principal, target, count }) => [principal, target, count]),
        [['', '', 1]],
      );
      assert.deepEqual(await needsOf(store, { since: 0 }), { needs: [], unnamed: { answered: 1, denied: 0 } });
    });
  }

  test('200,000 distinct names take a bounded part of it, refused ones no place of others', async (t) => {
    const { recorder, ask, rows, store } = stage();
    t.after(() => recorder.close());
    for (let at = 0; at < 100_000; at += 1) ask({ repository: `x/${at}`, verdict: 'denied' });
    for (let at = 0; at < 100_000; at += 1) ask({ repository: `y/${at}` });
    const kept = await rows();
    assert.ok(kept.length <= 10_002, String(kept.length));
    assert.equal(kept.filter(({ verdict, principal }) => verdict === 'denied' && principal !== '').length, 2000);
    const { needs, unnamed } = await needsOf(store, { since: 0 });
    const sum = (field: 'answered' | 'denied'): number =>
      needs.reduce((all, each) => all + each[field], unnamed[field]);
    assert.deepEqual([sum('answered'), sum('denied')], [100_000, 100_000]);
    ask();
    assert.ok((await rows()).some(({ target }) => target === 'ghcr.io/ours/app'));
  });

  test('keeps its counts where the disk refuses them, and warns once', async (t) => {
    const store = new MemoryObservationStore({ since: 0 });
    const add = t.mock.method(store, 'add', () => Promise.reject(new Error('disk full')));
    const { recorder, ask, rows, warnings } = stage(store);
    ask();
    await recorder.write();
    ask();
    await recorder.write();
    const { store: written, unwritten } = await recorder.read();
    const { needs } = await needsOf(written, { since: 0, unwritten });
    assert.deepEqual(
      needs.map(({ principal, answered }) => [principal, answered]),
      [['alice', 2]],
    );
    add.mock.restore();
    assert.deepEqual(
      (await rows()).map(({ count }) => count),
      [2],
    );
    assert.equal(warnings.length, 1);
    await recorder.close();
  });

  test('writes the rest when it is closed, and counts nothing afterwards', async () => {
    const { recorder, ask, store } = stage();
    ask();
    await recorder.close();
    ask();
    await recorder.write();
    assert.deepEqual(
      (await store.list({ limit: 9 })).map(({ count }) => count),
      [1],
    );
  });

  test('writes by itself', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { recorder, ask, store } = stage();
    t.after(() => recorder.close());
    ask();
    t.mock.timers.tick(60_000);
    await new Promise((done) => setImmediate(done));
    assert.equal((await store.list({ limit: 9 })).length, 1);
  });
});

describe('needsOf()', () => {
  test('sums up over hours and verdicts, from a time on', async () => {
    const store = new MemoryObservationStore({ since: 0 });
    const row = { principal: 'alice', action: 'pull', target: 'r/a', verdict: 'allowed' as const };
    await store.add([
      { ...row, period: 0, count: 100, lastAt: 5 },
      { ...row, period: HOUR, count: 1, lastAt: HOUR + 5 },
      { ...row, period: 2 * HOUR, count: 2, lastAt: 2 * HOUR },
      { ...row, period: HOUR, verdict: 'would-deny', count: 4, lastAt: HOUR },
      { ...row, period: HOUR, verdict: 'denied', count: 8, lastAt: HOUR + 1 },
    ]);
    const { needs } = await needsOf(store, { since: HOUR });
    assert.deepEqual(needs, [
      {
        principal: 'alice',
        action: 'pull',
        target: 'r/a',
        answered: 7,
        audited: 4,
        answeredAt: 2 * HOUR,
        denied: 8,
        deniedAt: HOUR + 1,
      },
    ]);
  });

  test('sums up what a token did with what the user did for whom it acts', async () => {
    const store = new MemoryObservationStore({ since: 0 });
    const row = { period: 0, action: 'pull', target: 'r/a', verdict: 'allowed' as const };
    await store.add([
      { ...row, principal: 'alice', count: 1, lastAt: 5 },
      { ...row, principal: 'token:laptop', count: 2, lastAt: 7 },
    ]);
    const ruledAs = (principal: string): string => (principal === 'token:laptop' ? 'alice' : principal);
    const { needs } = await needsOf(store, { since: 0, ruledAs });
    assert.deepEqual(
      needs.map(({ principal, answered, answeredAt }) => ({ principal, answered, answeredAt })),
      [{ principal: 'alice', answered: 3, answeredAt: 7 }],
    );
  });

  test('reads more than a page, each row once', async () => {
    const store = new MemoryObservationStore({ since: 0 });
    const rows = Array.from({ length: 2500 }, (_, at) => `r/${at}`);
    await store.add(
      rows.map((target) => ({
        period: 0,
        principal: 'a',
        action: 'pull',
        target,
        verdict: 'allowed',
        count: 1,
        lastAt: 1,
      })),
    );
    const { needs } = await needsOf(store, { since: 0 });
    assert.equal(needs.length, 2500);
    assert.ok(needs.every(({ answered }) => answered === 1));
  });
});
