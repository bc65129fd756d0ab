import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { orderedId } from './ordered-id.ts';

// Beyond what the clock says, so that ids that other tests make do not come between.
const LATER = Date.parse('2100-01-01T00:00:00Z');

describe('orderedId()', () => {
  test('is a UUID of version 7 that holds the time', () => {
    const id = orderedId(LATER);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), LATER);
  });

  test('sorts in the order in which ids were made: thousands in a millisecond, and with a clock that goes back', () => {
    const ids = [
      ...Array.from({ length: 10_000 }, () => orderedId(LATER + 1000)),
      ...Array.from({ length: 10 }, (_, at) => orderedId(LATER - at)),
      orderedId(LATER + 10_000),
    ];
    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, ids.length);
  });
});
