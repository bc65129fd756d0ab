import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from '../faults/lib/stage.ts';
import { playCutPushes } from '../faults/rows/cut-pushes.ts';

// Fewer than the fault suite does, which has a hundred of each; `TEST_ROUNDS=…` does more.

const ROUNDS = Number(process.env['TEST_ROUNDS'] ?? 1);

test('pushes that are cut, and servers that are killed during pushes, at random bytes', {
  timeout: 60_000 * ROUNDS,
}, async (t) => {
  await using stage = await Stage.open({ rounds: 1, progress: () => undefined, signal: new AbortController().signal });
  const { figure, misses } = await playCutPushes(stage, {
    cuts: 24 * ROUNDS,
    kills: 15 * ROUNDS,
    waitsForGraces: false,
  });
  t.diagnostic(figure);
  assert.deepEqual(misses, []);
});
