import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BUFFER_BYTES, BufferPool, ByteRing, LARGE_BUFFER_BYTES } from './byte-ring.ts';

/** Puts `count` bytes of `value` where the ring says, over as many buffers as it takes. */
function put(ring: ByteRing, count: number, value: number): void {
  for (let left = count; left > 0; ) {
    const room = ring.room();
    assert.ok(room !== undefined && room.length > 0);
    const piece = Math.min(left, room.length);
    room.fill(value, 0, piece);
    ring.advance(piece);
    left -= piece;
  }
}

describe('BufferPool', () => {
  test('gives a buffer again, and keeps no more than its bound', () => {
    const pool = new BufferPool(1);
    const [one, two] = [pool.take(), pool.take()];
    pool.give(one);
    pool.give(two);
    assert.equal(pool.size, 1);
    assert.equal(pool.take(), one);
  });

  test('lends few large buffers at once, and small ones beyond that', () => {
    const pool = new BufferPool(4, { large: 2 });
    const [one, two, three] = [pool.take(true), pool.take(true), pool.take(true)];
    assert.deepEqual([one.length, two.length, three.length], [LARGE_BUFFER_BYTES, LARGE_BUFFER_BYTES, BUFFER_BYTES]);
    pool.give(one);
    assert.equal(pool.take(true), one);
    assert.equal(pool.take(true).length, BUFFER_BYTES);
    pool.forget(two);
    const next = pool.take(true);
    assert.equal(next.length, LARGE_BUFFER_BYTES);
    assert.notEqual(next, two);
  });
});

describe('ByteRing', () => {
  test('lays pieces back to back and hands them out as one', () => {
    const ring = new ByteRing(new BufferPool(4));
    put(ring, 16 * 1024, 1);
    put(ring, 16 * 1024, 2);
    assert.equal(ring.ripe, false);
    assert.equal(ring.take()?.length, 32 * 1024);
    assert.equal(ring.take(), undefined);
  });

  test('is ripe when a whole buffer is filled, and when nothing more comes', () => {
    const ring = new ByteRing(new BufferPool(4));
    put(ring, BUFFER_BYTES, 1);
    assert.equal(ring.ripe, true);
    ring.take();
    put(ring, 1, 2);
    ring.release();
    assert.equal(ring.ripe, false);
    ring.seal();
    assert.equal(ring.ripe, true);
  });

  test('is full when three buffers are, and still has the spare to give', () => {
    const ring = new ByteRing(new BufferPool(4));
    put(ring, 2 * BUFFER_BYTES, 1);
    assert.equal(ring.full, false);
    put(ring, BUFFER_BYTES, 2);
    assert.equal(ring.full, true);
    put(ring, 64 * 1024, 3);
    assert.equal(ring.full, true);
    ring.take();
    ring.release();
    assert.equal(ring.full, false);
  });

  test('gives no room rather than room that is in use', () => {
    const ring = new ByteRing(new BufferPool(4));
    put(ring, 4 * BUFFER_BYTES, 1);
    assert.equal(ring.room(), undefined);
  });

  test('fills large buffers only where a whole one comes before its first byte is read', () => {
    const ring = new ByteRing(new BufferPool(8, { large: 4 }));
    put(ring, BUFFER_BYTES, 1);
    ring.take();
    put(ring, BUFFER_BYTES, 2);
    assert.equal(ring.take()?.length, BUFFER_BYTES);
    put(ring, 2 * BUFFER_BYTES, 3);
    assert.equal(ring.take()?.length, BUFFER_BYTES);
    put(ring, LARGE_BUFFER_BYTES, 4);
    assert.equal(ring.take()?.length, LARGE_BUFFER_BYTES);
  });

  test('never writes over what the reader holds', () => {
    const ring = new ByteRing(new BufferPool(4));
    put(ring, 100_000, 1);
    const held = ring.take();
    assert.ok(held);
    put(ring, 3 * BUFFER_BYTES, 2);
    assert.ok(held.every((byte) => byte === 1));
  });

  test('gives its buffers back once all is read, the last when nothing more can come', () => {
    const pool = new BufferPool(8);
    const ring = new ByteRing(pool);
    put(ring, BUFFER_BYTES + 10, 1);
    ring.take();
    ring.take();
    ring.release();
    assert.equal(pool.size, 1);
    ring.seal();
    ring.release();
    assert.equal(pool.size, 2);
  });

  test('keeps the buffer the reader may hold out of the pool when it is cleared', () => {
    const pool = new BufferPool(8);
    const ring = new ByteRing(pool);
    put(ring, 2 * BUFFER_BYTES, 1);
    const held = ring.take();
    ring.clear();
    assert.equal(pool.size, 1);
    assert.notEqual(pool.take().buffer, held?.buffer);
    assert.equal(ring.readable, false);
  });

  test('gives out what was put in, in order, however filling and reading alternate', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 400_000 })), { maxLength: 60 }),
        (steps) => {
          const pool = new BufferPool(8, { large: 2 });
          const ring = new ByteRing(pool);
          let written = 0;
          let read = 0;
          let held: { region: Buffer; from: number } | undefined;
          const check = (): void => {
            if (held === undefined) return;
            for (let i = 0; i < held.region.length; i += 997) assert.equal(held.region[i], (held.from + i) % 251);
          };
          for (const [fill, count] of steps) {
            if (fill && !ring.full) {
              const room = ring.room();
              assert.ok(room);
              const piece = Math.min(count, room.length);
              for (let i = 0; i < piece; i++) room[i] = (written + i) % 251;
              ring.advance(piece);
              written += piece;
            } else {
              check();
              const region = ring.take();
              held = region && { region, from: read };
              read += region?.length ?? 0;
            }
            check();
          }
          ring.seal();
          for (let region = ring.take(); region !== undefined; region = ring.take()) read += region.length;
          assert.equal(read, written);
        },
      ),
      { numRuns: 50 },
    );
  });
});
