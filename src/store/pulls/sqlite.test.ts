import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DAY, figure, HOUR, pullRecord, pullStoreSuite } from '../../../test/suites/pull-store.ts';
import { replaceableStoreSuite, temporaryFile } from '../../../test/suites/replaceable-store.ts';
import { PULL_LIMITS } from './pull-store.ts';
import { openPullStore } from './sqlite.ts';

pullStoreSuite('sqlite', async (t, options) => {
  const store = await openPullStore(await temporaryFile(t, 'pulls.db'), {
    ...options,
    onDamage: assert.fail,
    now: () => 5000,
  });
  t.after(() => store.close());
  return store;
});

describe('openPullStore()', () => {
  replaceableStoreSuite({
    name: 'pulls.db',
    table: 'pulls',
    open: openPullStore,
    async addOne(store) {
      await store.add([pullRecord()]);
      await store.count([figure()], []);
    },
    async expectOne(store) {
      assert.deepEqual(await store.find('aaaa-1'), pullRecord());
      assert.deepEqual(await store.figures({ from: 0, to: 9 * DAY, limit: 9 }), [figure()]);
    },
    addRows: (store, from, to) => store.count(rowsOf(from, to), []),
    countRows: async (store) => (await store.figures({ from: 0, to: 9 * DAY, limit: 100_000 })).length,
  });

  test('lets the event loop turn while it adds, drops, joins and looks for much', async (t) => {
    const limits = { ...PULL_LIMITS, pulls: 1000, figures: 5000 };
    const store = await openPullStore(await temporaryFile(t, 'pulls.db'), { onDamage: assert.fail, limits });
    t.after(() => store.close());
    const figures = Array.from({ length: 10_000 }, (_, at) => figure({ period: DAY + HOUR, repository: `r/${at}` }));
    const pulls = Array.from({ length: 3000 }, (_, at) => pullRecord({ id: `p-${at}`, at }));
    await store.count(figures, []);
    const works: readonly (readonly [turns: number, work: () => Promise<unknown>])[] = [
      [15, () => store.add(pulls)],
      [15, () => store.trim(100 * DAY)],
      [1, () => store.list({ limit: 9, filter: { image: ['nothing'] } })],
    ];
    for (const [least, work] of works) {
      let turns = 0;
      const working = work().then(() => 'done' as const);
      while ((await Promise.race([working, nextTurn()])) !== 'done') turns += 1;
      assert.ok(turns > least, `${turns} turns`);
    }
    const kept = await store.figures({ from: 0, to: 9 * DAY, limit: 100_000 });
    assert.equal(kept.length, 5000);
    assert.ok(kept.every(({ period }) => period === DAY));
  });
});

function rowsOf(from: number, to: number) {
  return Array.from({ length: to - from }, (_, at) => figure({ repository: `r/${from + at}` }));
}
