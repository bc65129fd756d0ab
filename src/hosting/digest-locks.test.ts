import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '../oci/index.ts';
import { DigestLocks } from './digest-locks.ts';

const ONE = `sha256:${'1'.repeat(64)}` as Digest;
const TWO = `sha256:${'2'.repeat(64)}` as Digest;

describe('DigestLocks', () => {
  test('runs work on one digest in the order in which it came, never two at a time', async () => {
    const locks = new DigestLocks();
    const happened: string[] = [];
    const first = Promise.withResolvers<void>();
    const work = ['a', 'b', 'c'].map((name) =>
      locks.run(ONE, async () => {
        happened.push(`${name} begins`);
        if (name === 'a') await first.promise;
        await Promise.resolve();
        happened.push(`${name} ends`);
        return name;
      }),
    );
    await new Promise(setImmediate);
    assert.deepEqual(happened, ['a begins']);
    first.resolve();
    assert.deepEqual(await Promise.all(work), ['a', 'b', 'c']);
    assert.deepEqual(happened, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  test('does not let one digest wait for another', async () => {
    const locks = new DigestLocks();
    const held = Promise.withResolvers<void>();
    const one = locks.run(ONE, () => held.promise);
    assert.equal(await locks.run(TWO, async () => 'done'), 'done');
    held.resolve();
    await one;
  });

  test('goes on after work that failed, and keeps nothing of what has ended', async () => {
    const locks = new DigestLocks();
    const failed = locks.run(ONE, () => Promise.reject(new Error('the disk is full')));
    const next = locks.run(ONE, async () => 'done');
    await assert.rejects(failed, /the disk is full/);
    assert.equal(await next, 'done');
    assert.equal(locks.size, 0);
  });

  test('gives the lock back where work throws before its first await', async () => {
    const locks = new DigestLocks();
    const broken = locks.run(ONE, () => {
      throw new TypeError('broken');
    });
    await assert.rejects(broken, /broken/);
    assert.equal(await locks.run(ONE, async () => 'done'), 'done');
  });
});
