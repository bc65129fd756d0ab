import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillSteps } from './series.ts';

const HOUR = 3_600_000;

test('a step without a row has zeros, and no step is left out', () => {
  const rows = fillSteps([{ at: 101 * HOUR, bytes: 7 }], {
    from: 100 * HOUR,
    to: 103 * HOUR,
    step: 'hour',
    none: { bytes: 0 },
  });
  assert.deepEqual(rows, [
    { at: 100 * HOUR, bytes: 0 },
    { at: 101 * HOUR, bytes: 7 },
    { at: 102 * HOUR, bytes: 0 },
  ]);
});

test('a time that begins within a step has that step too', () => {
  const rows = fillSteps<{ at: number }>([], { from: 100.5 * HOUR, to: 101.5 * HOUR, step: 'hour', none: {} });
  assert.deepEqual(
    rows.map(({ at }) => at / HOUR),
    [100, 101],
  );
});
