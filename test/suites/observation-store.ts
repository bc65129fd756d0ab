import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Observation, ObservationStore } from '../../src/store/index.ts';

interface MadeWith {
  readonly limits?: { readonly rows: number; readonly denied: number; readonly age: number };
}

/** Makes an empty store that was begun at 5000, and cleans up after the test. */
export type MakeObservationStore = (context: TestContext, options?: MadeWith) => Promise<ObservationStore>;

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** One request of alice, unless a test wants another. */
export function observation(over: Partial<Observation> = {}): Observation {
  const { period = DAY } = over;
  return {
    period,
    principal: 'alice',
    action: 'pull',
    target: 'ghcr.io/ours/app',
    verdict: 'allowed',
    count: 1,
    lastAt: period + 7,
    ...over,
  };
}

const all = (store: ObservationStore): Promise<readonly Observation[]> => store.list({ limit: 1_000_000 });

/** What every {@link ObservationStore} must do. */
export function observationStoreSuite(name: string, make: MakeObservationStore): void {
  describe(`${name} as an observation store`, () => {
    test('knows nothing when it is new, and since when', async (t) => {
      const store = await make(t);
      assert.deepEqual(await all(store), []);
      assert.equal(store.since, 5000);
      await store.add([]);
      await store.trim(100 * DAY);
      assert.deepEqual(await all(store), []);
    });

    test('adds counts of the same key, and keeps the latest time', async (t) => {
      const store = await make(t);
      await store.add([observation({ count: 2, lastAt: DAY + 9 }), observation({ count: 3, lastAt: DAY + 1 })]);
      await store.add([observation({ count: 4, lastAt: DAY + 5 })]);
      assert.deepEqual(await all(store), [observation({ count: 9, lastAt: DAY + 9 })]);
    });

    test('keeps keys apart that differ in one part, or only in where their parts end', async (t) => {
      const store = await make(t);
      const rows = [
        observation(),
        observation({ period: 2 * DAY }),
        observation({ principal: 'bob' }),
        observation({ principal: 'alicep', action: 'ull' }),
        observation({ action: 'catalog' }),
        observation({ target: 'ghcr.io/ours/app2' }),
        observation({ target: '' }),
        observation({ verdict: 'denied' }),
        observation({ verdict: 'would-deny' }),
        observation({ principal: 'José', target: "x/'; DROP TABLE observations; --" }),
        observation({ principal: '\u{1f600}' }),
        observation({ principal: '\uffee' }),
      ];
      await store.add(rows);
      const kept = await all(store);
      assert.equal(kept.length, rows.length);
      for (const row of rows)
        assert.deepEqual(
          kept.filter((each) => isSame(each, row)),
          [row],
        );
    });

    test('lists in pages, oldest first, without a row twice or left out', async (t) => {
      const store = await make(t);
      const rows = ['\u{1f600}', '\uffee', 'a', 'b', ''].flatMap((principal) =>
        [3 * DAY, DAY, 2 * DAY].map((period) => observation({ principal, period })),
      );
      await store.add(rows);
      const paged: Observation[] = [];
      for (let after: Observation | undefined; ; after = paged.at(-1)) {
        const page = await store.list({ after, limit: 2 });
        paged.push(...page);
        if (page.length < 2) break;
      }
      assert.deepEqual(paged, await all(store));
      assert.deepEqual(paged.map(({ period }) => period / DAY).join(''), '111112222233333');
    });

    test('drops rows older than their age, and joins the hours of older days', async (t) => {
      const store = await make(t, { limits: { rows: 100, denied: 100, age: 10 * DAY } });
      const now = 20 * DAY + 5 * HOUR;
      await store.add([
        observation({ period: 10 * DAY }),
        observation({ period: 17 * DAY, count: 1 }),
        observation({ period: 17 * DAY + 3 * HOUR, count: 2 }),
        observation({ period: 17 * DAY + 23 * HOUR, count: 4 }),
        observation({ period: 18 * DAY + HOUR, count: 8 }),
        observation({ period: now - 5 * HOUR, count: 16 }),
      ]);
      await store.trim(now);
      await store.trim(now);
      assert.deepEqual(await all(store), [
        observation({ period: 17 * DAY, count: 7, lastAt: 17 * DAY + 23 * HOUR + 7 }),
        observation({ period: 18 * DAY + HOUR, count: 8 }),
        observation({ period: now - 5 * HOUR, count: 16 }),
      ]);
    });

    test('holds no more rows than its limits, and drops the oldest', async (t) => {
      const store = await make(t, { limits: { rows: 6, denied: 2, age: DAY * 1000 } });
      for (let day = 1; day <= 5; day += 1) {
        await store.add([
          observation({ period: day * DAY }),
          observation({ period: day * DAY, verdict: 'denied', target: `x/${day}` }),
        ]);
      }
      const kept = await all(store);
      assert.deepEqual(
        kept.map(({ period, verdict }) => `${period / DAY} ${verdict}`),
        ['2 allowed', '3 allowed', '4 allowed', '4 denied', '5 allowed', '5 denied'],
      );
    });

    test('refused requests drive no allowed one out', async (t) => {
      const store = await make(t, { limits: { rows: 40, denied: 10, age: DAY * 1000 } });
      await store.add([observation({ period: DAY })]);
      await store.add(
        Array.from({ length: 1000 }, (_, at) => observation({ period: 2 * DAY, verdict: 'denied', target: `x/${at}` })),
      );
      const kept = await all(store);
      assert.equal(kept.length, 11);
      assert.deepEqual(kept[0], observation({ period: DAY }));
    });
  });
}

function isSame(one: Observation, other: Observation): boolean {
  return (['period', 'principal', 'action', 'target', 'verdict'] as const).every((key) => one[key] === other[key]);
}
