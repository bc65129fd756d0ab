import assert from 'node:assert/strict';
import { test } from 'node:test';
import { piecesOf, placeIn, spanOf } from './waterfall.ts';

test('a span is from the first begin to the last end', () => {
  const requests = [
    { at: 1000, totalMs: 100 },
    { at: 1050, totalMs: 20 },
  ];
  assert.deepEqual(spanOf(requests), { from: 1000, to: 1100 });
  assert.deepEqual(spanOf([{ at: 5, totalMs: 0 }]), { from: 5, to: 6 });
  assert.deepEqual(spanOf([]), { from: 0, to: 1 });
});

test('the steps of a request follow one another, and the rest is sending', () => {
  const pieces = piecesOf({ at: 50, slotMs: 10, firstByteMs: 20, totalMs: 50 }, { from: 0, to: 200 });
  assert.deepEqual(pieces, [
    { kind: 'slot', ms: 10, start: 25, width: 5 },
    { kind: 'first', ms: 20, start: 30, width: 10 },
    { kind: 'body', ms: 20, start: 40, width: 10 },
  ]);
});

test('no piece leaves the span', () => {
  assert.deepEqual(placeIn({ from: 0, to: 100 }, -50, 500), { start: 0, width: 100 });
  assert.deepEqual(placeIn({ from: 0, to: 100 }, 90, 50), { start: 90, width: 10 });
  assert.deepEqual(placeIn({ from: 0, to: 100 }, 500, 50), { start: 100, width: 0 });
});
