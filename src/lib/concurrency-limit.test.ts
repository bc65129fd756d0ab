import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConcurrencyLimit } from './concurrency-limit.ts';

describe('ConcurrencyLimit', () => {
  test('runs no more than the limit at once, in the order asked, and gives each its result', async () => {
    const limit = new ConcurrencyLimit(2);
    const started: number[] = [];
    let running = 0;
    let most = 0;
    const results = [0, 1, 2, 3, 4, 5].map((number) =>
      limit.run(async () => {
        started.push(number);
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return number * 10;
      }),
    );
    assert.deepEqual(await Promise.all(results), [0, 10, 20, 30, 40, 50]);
    assert.deepEqual(started, [0, 1, 2, 3, 4, 5]);
    assert.equal(most, 2);
  });

  test('goes on after an operation that failed', async () => {
    const limit = new ConcurrencyLimit(1);
    const failed = limit.run(() => Promise.reject(new Error('this one')));
    const next = limit.run(() => Promise.resolve('next'));
    await assert.rejects(failed, /this one/);
    assert.equal(await next, 'next');
  });
});
