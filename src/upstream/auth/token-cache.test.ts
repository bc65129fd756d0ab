import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { TokenCache } from './token-cache.ts';

/** A service that gives out t1, t2, … and a clock. */
function play(life = 300_000) {
  const state = { now: 1000, fetched: 0, fail: false };
  const cache = new TokenCache(() => state.now);
  const fetch = async (): Promise<{ token: string; life: number; private: boolean }> => {
    state.fetched += 1;
    const token = `t${state.fetched}`;
    await setImmediate();
    if (state.fail) throw new Error('the service is down');
    return { token, life, private: false };
  };
  const get = (key = 'k', signal?: AbortSignal): Promise<string> =>
    cache.get(key, fetch, signal).then(({ token }) => token);
  return { state, cache, get };
}

describe('TokenCache', () => {
  test('fetches once for many who wait, and for who comes later', async () => {
    const { state, get } = play();
    const tokens = await Promise.all(Array.from({ length: 50 }, () => get()));
    assert.deepEqual([...new Set(tokens), await get(), state.fetched], ['t1', 't1', 1]);
  });

  test('keeps keys apart', async () => {
    const { get } = play();
    assert.notEqual(await get('a'), await get('b'));
  });

  test('renews beside who uses it past four fifths of its life', async () => {
    const { state, get } = play();
    await get();
    state.now += 239_999;
    assert.deepEqual([await get(), state.fetched], ['t1', 1]);
    state.now += 1;
    assert.deepEqual([await get(), state.fetched], ['t1', 2], 'no request waits');
    await setImmediate();
    await setImmediate();
    assert.deepEqual([await get(), state.fetched], ['t2', 2]);
  });

  test('goes on with the old one where renewing fails, until its end', async () => {
    const { state, get } = play();
    await get();
    state.fail = true;
    state.now += 250_000;
    assert.equal(await get(), 't1');
    await setImmediate();
    await setImmediate();
    assert.equal(await get(), 't1');
    state.now += 50_000;
    await assert.rejects(get(), /the service is down/);
  });

  test('does not send a token that is about to end', async () => {
    const { state, get } = play();
    await get();
    state.now += 290_000;
    assert.equal(await get(), 't2');
  });

  test('a token of a minute is used for most of it', async () => {
    const { state, get } = play(60_000);
    await get();
    state.now += 53_000;
    assert.equal(await get(), 't1');
    state.now += 2000;
    assert.equal(await get(), 't2');
  });

  test('who refuses a token that was replaced already does not throw away the new one', async () => {
    const { state, cache, get } = play();
    const old = await get();
    cache.refuse('k', old);
    assert.equal(await get(), 't2');
    for (let count = 0; count < 50; count += 1) cache.refuse('k', old);
    assert.deepEqual([await get(), state.fetched], ['t2', 2]);
  });

  test('a failure is not remembered', async () => {
    const { state, get } = play();
    state.fail = true;
    await assert.rejects(get());
    state.fail = false;
    assert.equal(await get(), 't2');
  });

  test('one who leaves does not take the token from the others', async () => {
    const { get } = play();
    const controller = new AbortController();
    const leaving = get('k', controller.signal);
    const staying = get();
    controller.abort(new Error('the client left'));
    await assert.rejects(leaving, /the client left/);
    assert.equal(await staying, 't1');
  });
});
