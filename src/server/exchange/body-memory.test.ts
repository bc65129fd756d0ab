import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BlobReader } from '../../lib/index.ts';
import { BodyMemory } from './body-memory.ts';

const KiB = 1024;
const AT_HAND = { isAtHand: true } as BlobReader;
const GROWING = {} as BlobReader;

/** A socket that takes what it gets when it is told to. */
class FakeOutlet {
  #pending: PromiseWithResolvers<void> | undefined;

  get isTaken(): boolean {
    return this.#pending === undefined;
  }

  drained(): Promise<void> {
    return this.#pending?.promise ?? Promise.resolve();
  }

  write(): void {
    this.#pending = Promise.withResolvers();
    this.#pending.promise.catch(() => {});
  }

  take(): void {
    this.#pending?.resolve();
    this.#pending = undefined;
  }

  leave(): void {
    this.#pending?.reject(new Error('left'));
  }
}

function body(reader: BlobReader): { memory: BodyMemory; outlet: FakeOutlet } {
  const outlet = new FakeOutlet();
  return { memory: new BodyMemory(reader, outlet), outlet };
}

/** Bodies that take every private pair. */
function crowd(): Disposable {
  const first = Array.from({ length: 64 }, () => body(AT_HAND).memory);
  return {
    [Symbol.dispose]: () => {
      for (const memory of first) memory.release();
    },
  };
}

describe('BodyMemory', () => {
  test('of a few bodies has two buffers of its own for each', async () => {
    const { memory, outlet } = body(AT_HAND);
    const [one, two, three] = [await memory.next(), await memory.next(), await memory.next()];
    assert.notEqual(one, two);
    assert.equal(one, three);
    outlet.write();
    await memory.handedOver();
    memory.release();
    outlet.take();
  });

  test('of one among many takes turns, and gives its piece back when the socket has it', async () => {
    using _ = crowd();
    const [a, b] = [body(AT_HAND), body(AT_HAND)];
    const piece = await a.memory.next();
    assert.equal(piece.length, 256 * KiB);
    a.outlet.write();
    a.outlet.take();
    await a.memory.handedOver();
    assert.equal(await b.memory.next(), piece);
    for (const { memory } of [a, b]) memory.release();
  });

  test('of one that is slow keeps its piece until it is taken, and gets a small one next', async () => {
    using _ = crowd();
    const { memory, outlet } = body(AT_HAND);
    const piece = await memory.next();
    outlet.write();
    let isOver = false;
    const over = memory.handedOver().then(() => (isOver = true));
    const other = body(AT_HAND);
    for (let turns = 0; turns < 20; turns += 1) {
      assert.notEqual(await other.memory.next(), piece);
      other.outlet.write();
      other.outlet.take();
      await other.memory.handedOver();
    }
    assert.equal(isOver, false);
    outlet.take();
    await over;
    assert.equal((await memory.next()).length, 32 * KiB);
    for (const each of [memory, other.memory]) each.release();
  });

  test('of one that waits for its upstream is never shared', async () => {
    using _ = crowd();
    const { memory } = body(GROWING);
    const pieces = [await memory.next(), await memory.next(), await memory.next()];
    assert.deepEqual(
      pieces.map(({ length }) => length),
      [32 * KiB, 32 * KiB, 32 * KiB],
    );
    memory.release();
  });

  test('comes back from those who left, whatever they were about', async () => {
    using _ = crowd();
    for (let round = 0; round < 50; round += 1) {
      const [reads, writes, waits] = [body(AT_HAND), body(AT_HAND), body(AT_HAND)];
      await reads.memory.next();
      await writes.memory.next();
      writes.outlet.write();
      const over = assert.rejects(writes.memory.handedOver(), /left/);
      await waits.memory.next();
      waits.outlet.write();
      for (const { memory } of [reads, waits]) memory.release();
      writes.outlet.leave();
      await over;
      writes.memory.release();
      waits.outlet.leave();
    }
    // Had any not come back, eight rounds would have been the end of it.
    const { memory } = body(AT_HAND);
    await memory.next();
    memory.release();
  });
});
