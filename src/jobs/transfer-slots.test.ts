import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TransferSlots } from './transfer-slots.ts';

const { signal } = new AbortController();
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('transfer slots', () => {
  test('are as many as the registry takes, and pass on', async () => {
    const slots = new TransferSlots(() => 1);
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = slots.run('hub', () => gate.promise.then(() => void order.push('first')), signal);
    const second = slots.run('hub', async () => void order.push('second'), signal);
    await slots.run('other', async () => void order.push('other'), signal);
    gate.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(order, ['other', 'first', 'second']);
  });

  test('are waited for until the signal aborts, and then pass on', async () => {
    const slots = new TransferSlots(() => 1);
    const gate = Promise.withResolvers<void>();
    const first = slots.run('hub', () => gate.promise, signal);
    const cancelled = new AbortController();
    let hasRun = false;
    const second = slots.run('hub', async () => void (hasRun = true), cancelled.signal);
    cancelled.abort(new Error('cancelled'));
    await assert.rejects(second, { message: 'cancelled' });
    gate.resolve();
    await first;
    await slots.run('hub', async () => undefined, signal);
    assert.equal(hasRun, false);
  });

  test('of two registries are never waited for by two tasks that hold one each', async () => {
    const slots = new TransferSlots(() => 1);
    const done: string[] = [];
    const copy = (name: string, registries: readonly string[]) =>
      slots.runInAll(registries, () => settle().then(() => void done.push(name)), signal);
    await Promise.all([
      copy('there', ['a', 'b']),
      copy('back', ['b', 'a']),
      copy('same', ['a', 'a']),
      copy('none', []),
    ]);
    assert.deepEqual(done.toSorted(), ['back', 'none', 'same', 'there']);
  });

  test('fail with what the work fails with', async () => {
    const slots = new TransferSlots(() => 0);
    await assert.rejects(
      slots.runInAll(['a', 'b'], () => Promise.reject(new Error('broken')), signal),
      { message: 'broken' },
    );
    await slots.runInAll(['a', 'b'], async () => undefined, signal);
  });
});
