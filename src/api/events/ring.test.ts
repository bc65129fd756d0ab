import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ring } from './ring.ts';

test('gives what came after a number, or tells that some of it is gone', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 200 }),
      fc.nat(70),
      (lengths, maxEvents, maxLength, from) => {
        const ring = new Ring({ maxEvents, maxLength });
        const all = lengths.map((length, at) => ({ number: at + 1, text: 'x'.repeat(length) }));
        for (const event of all) ring.add(event);
        const found = ring.after(from);
        const after = all.filter(({ number }) => number > from);
        if (found !== undefined) assert.deepEqual(found, after);
        else assert.ok(after.length > maxEvents || after.reduce((sum, { text }) => sum + text.length, 0) > maxLength);
        const kept = ring.after(all.length);
        assert.deepEqual(kept, []);
      },
    ),
  );
});

test('what was before it was cleared is gone', () => {
  const ring = new Ring();
  ring.add({ number: 1, text: 'a' });
  ring.clear(3);
  ring.add({ number: 3, text: 'c' });
  assert.equal(ring.after(1), undefined);
  assert.deepEqual(ring.after(2), [{ number: 3, text: 'c' }]);
});
