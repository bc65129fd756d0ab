import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ownBytes, SharedBuffers } from './shared-buffers.ts';

const KiB = 1024;

/** Takes turns until one has to wait; gives the pieces. */
async function takeAll(turns: SharedBuffers): Promise<Buffer[]> {
  return Promise.all(Array.from({ length: 8 }, () => turns.take()));
}

describe('BodyTurns', () => {
  test('lends eight pieces of 256 KiB, and lets the others wait in order', async () => {
    const turns = new SharedBuffers();
    const pieces = await takeAll(turns);
    assert.equal(new Set(pieces).size, 8);
    assert.ok(pieces.every(({ length }) => length === 256 * KiB));
    const order: number[] = [];
    const later = [1, 2, 3].map(async (number) => {
      const piece = await turns.take();
      order.push(number);
      return piece;
    });
    await turn();
    assert.deepEqual(order, []);
    turns.giveBack(pieces[3] as Buffer);
    assert.equal(await later[0], pieces[3]);
    turns.giveBack(pieces[5] as Buffer);
    turns.giveBack(pieces[4] as Buffer);
    assert.deepEqual([await later[1], await later[2]], [pieces[5], pieces[4]].toReversed());
    assert.deepEqual(order, [1, 2, 3]);
  });

  test('does not wait for a client that does not take its chunk', async () => {
    const turns = new SharedBuffers();
    const pieces = await takeAll(turns);
    const next = turns.take();
    turns.markStalled(pieces[0] as Buffer);
    const piece = await next;
    assert.ok(!pieces.includes(piece));
    turns.giveBack(piece);
    turns.giveBack(pieces[0] as Buffer);
    for (const each of pieces.slice(1)) turns.giveBack(each);
    assert.equal(turns.lentBytes, 0);
    assert.equal((await takeAll(turns)).length, 8);
  });

  test('gives who is slow a small piece', async () => {
    assert.equal((await new SharedBuffers().take(true)).length, 32 * KiB);
  });

  test('costs at most 100 MiB where two thousand clients take nothing', async () => {
    const turns = new SharedBuffers();
    const pieces: Buffer[] = [];
    for (let client = 0; client < 2000; client += 1) {
      const piece = await turns.take();
      turns.markStalled(piece);
      // Saying it twice changes nothing.
      turns.markStalled(piece);
      pieces.push(piece);
    }
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    assert.equal(turns.lentBytes, bytes);
    assert.ok(bytes <= 100 * KiB * KiB, `${bytes} bytes`);
    assert.equal(new Set(pieces).size, 2000);
    for (const piece of pieces) turns.giveBack(piece);
    assert.equal(turns.lentBytes, 0);
    assert.equal((await turns.take()).length, 256 * KiB);
  });

  test('keeps hundreds waiting in order', async () => {
    const turns = new SharedBuffers();
    const pieces = await takeAll(turns);
    const order: number[] = [];
    const all = Array.from({ length: 500 }, async (_, number) => {
      const piece = await turns.take();
      order.push(number);
      await turn();
      turns.giveBack(piece);
    });
    for (const piece of pieces) turns.giveBack(piece);
    await Promise.all(all);
    assert.deepEqual(
      order,
      Array.from({ length: 500 }, (_, number) => number),
    );
  });
});

test('bytes cut from a larger buffer are copied, and hold no more than they are', () => {
  const cut = Buffer.from('a manifest');
  assert.ok(cut.buffer.byteLength > cut.length, 'Node cuts small buffers from a large one');
  const own = ownBytes(cut);
  assert.deepEqual(own, cut);
  assert.equal(own.buffer.byteLength, cut.length);
});

test('bytes that have their memory to themselves stay as they are', () => {
  const alone = Buffer.alloc(100, 'x');
  assert.equal(ownBytes(alone), alone);
});
