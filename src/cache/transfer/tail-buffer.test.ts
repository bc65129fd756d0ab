import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { noise } from '../../../test/support/image.ts';
import { TailBuffer } from './tail-buffer.ts';

const CAPACITY = 256 * 1024;
const LARGE_CAPACITY = 2 * 1024 * 1024;

describe('TailBuffer', () => {
  test('has nothing before anything came, and after it was released', () => {
    const recent = new TailBuffer();
    const target = Buffer.alloc(10);
    assert.equal(recent.read(target, 0), 0);
    recent.append(Buffer.from('abc'));
    assert.equal(recent.read(target, 3), 0);
    assert.equal(recent.read(target, 1), 2);
    assert.equal(target.toString('latin1', 0, 2), 'bc');
    recent.release();
    assert.equal(recent.read(target, 1), 0);
  });

  test('gives the bytes that came, or none, whatever the sizes of chunks and reads', () => {
    const all = noise('recent', 5 * LARGE_CAPACITY);
    const size = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: CAPACITY + 5000 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(size, size, fc.nat(LARGE_CAPACITY + 10)), { maxLength: 40 }),
        fc.boolean(),
        (steps, isLarge) => {
          const recent = new TailBuffer(isLarge);
          let capacity = isLarge ? LARGE_CAPACITY : CAPACITY;
          let start = 0;
          let end = 0;
          for (const [chunk, length, back] of steps) {
            if (end + chunk > all.length) break;
            const first = Math.max(0, end - back);
            // It keeps more from the first chunk on that is larger than it.
            if (chunk > capacity) capacity = LARGE_CAPACITY;
            assert.equal(recent.keeps(first, chunk), end + chunk - first <= capacity);
            recent.append(all.subarray(end, end + chunk));
            end += chunk;
            start = Math.max(start, end - capacity);
            assert.equal(recent.start, start);
            const position = Math.max(0, end - back);
            const target = Buffer.alloc(length);
            const count = recent.read(target, position);
            const isHere = position < end && position >= start;
            assert.equal(count, isHere ? Math.min(length, end - position) : 0);
            assert.ok(target.subarray(0, count).equals(all.subarray(position, position + count)));
          }
          recent.release();
        },
      ),
    );
  });
});
