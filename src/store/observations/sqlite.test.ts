import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DAY, observation, observationStoreSuite } from '../../../test/suites/observation-store.ts';
import { replaceableStoreSuite, temporaryFile } from '../../../test/suites/replaceable-store.ts';
import { openObservationStore } from './sqlite.ts';

observationStoreSuite('sqlite', async (t, options) => {
  const store = await openObservationStore(await temporaryFile(t, 'observations.db'), {
    ...options,
    onDamage: assert.fail,
    now: () => 5000,
  });
  t.after(() => store.close());
  return store;
});

describe('openObservationStore()', () => {
  replaceableStoreSuite({
    name: 'observations.db',
    table: 'observations',
    open: openObservationStore,
    addOne: (store) => store.add([observation()]),
    expectOne: async (store) => assert.deepEqual(await store.list({ limit: 9 }), [observation()]),
    addRows: (store, from, to) => store.add(rowsOf(from, to)),
    countRows: async (store) => (await store.list({ limit: 100_000 })).length,
  });

  test('lets the event loop turn while it adds, drops and joins ten thousand rows', async (t) => {
    const limits = { rows: 5000, denied: 5000, age: 1000 * DAY };
    const store = await openObservationStore(await temporaryFile(t, 'observations.db'), {
      onDamage: assert.fail,
      limits,
    });
    t.after(() => store.close());
    const rows = Array.from({ length: 10_000 }, (_, at) => observation({ period: DAY + 3_600_000, target: `r/${at}` }));
    for (const work of [() => store.add(rows), () => store.trim(100 * DAY)]) {
      let turns = 0;
      const working = work().then(() => 'done' as const);
      while ((await Promise.race([working, nextTurn()])) !== 'done') turns += 1;
      assert.ok(turns > 15, `${turns} turns`);
    }
    const kept = await store.list({ limit: 100_000 });
    assert.equal(kept.length, 5000);
    assert.ok(kept.every(({ period }) => period === DAY));
  });
});

function rowsOf(from: number, to: number) {
  return Array.from({ length: to - from }, (_, at) => observation({ target: `r/${from + at}` }));
}
