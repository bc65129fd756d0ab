import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type RedirectTarget, SharedTargets } from './redirect-target.ts';

const START = Date.parse('2026-01-31T12:00:00Z');

function targetAt(query: string): RedirectTarget {
  const url = new URL(`https://cdn.example/x?${query}`);
  return { url, target: url.pathname + url.search, redirects: 1, privateNetwork: false, visibility: 'public' };
}

function setUp() {
  const clock = { now: START };
  const targets = new SharedTargets(() => clock.now);
  const transfer = {};
  return { clock, targets, transfer, shared: targets.of(transfer) };
}

describe('SharedTarget', () => {
  test('belongs to one transfer', () => {
    const { targets, transfer, shared } = setUp();
    const target = targetAt('sig=0');
    shared.learn(target);
    assert.equal(targets.of(transfer).current, target);
    assert.equal(targets.of({}).current, undefined);
  });

  for (const [what, query, seconds] of [
    ['five minutes', 'sig=0', 300],
    ['the time that the URL states', `Expires=${START / 1000 + 20}`, 20],
    ['five minutes where the URL states more', `Expires=${START / 1000 + 86_400}`, 300],
    ['no time where the URL has expired by this clock', `Expires=${START / 1000 - 1}`, 0],
  ] as const) {
    test(`lasts ${what}`, () => {
      const { clock, shared } = setUp();
      shared.learn(targetAt(query));
      clock.now += seconds * 1000 - 1;
      assert.equal(shared.current !== undefined, seconds > 0);
      clock.now += 1;
      assert.equal(shared.current, undefined);
    });
  }

  test('is dropped where it was refused, unless another has been learned since', () => {
    const { shared } = setUp();
    const [first, second] = [targetAt('sig=1'), targetAt('sig=2')];
    shared.learn(first);
    shared.drop(first);
    assert.equal(shared.current, undefined);
    shared.learn(second);
    shared.drop(first);
    assert.equal(shared.current, second);
  });

  test('is renewed by one request, which the others can wait for', async () => {
    const { shared } = setUp();
    const target = targetAt('sig=1');
    shared.learn(target);
    shared.drop(target);
    const answer = Promise.withResolvers<string>();
    const asking = shared.renewing(() => answer.promise);
    const { renewal } = shared;
    assert.ok(renewal !== undefined);
    assert.equal(await shared.renewing(() => Promise.resolve('in between')), 'in between');
    assert.equal(shared.renewal, renewal);
    answer.resolve('asked');
    assert.equal(await asking, 'asked');
    await renewal;
    assert.equal(shared.renewal, undefined);
  });

  test('is waited for no longer where the registry fails', async () => {
    const { shared } = setUp();
    shared.learn(targetAt('sig=1'));
    const answer = Promise.withResolvers<never>();
    const asking = shared.renewing(() => answer.promise);
    const { renewal } = shared;
    answer.reject(new Error('down'));
    await assert.rejects(asking, /down/);
    await renewal;
    assert.equal(shared.renewal, undefined);
  });

  test('is not waited for where the registry gives the bytes itself', async () => {
    const { shared } = setUp();
    shared.learn(undefined);
    const answer = Promise.withResolvers<void>();
    const asking = shared.renewing(() => answer.promise);
    assert.equal(shared.renewal, undefined);
    answer.resolve();
    await asking;
  });
});
