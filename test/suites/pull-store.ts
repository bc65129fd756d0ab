import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Figure, LastPull, PullPosition, PullRecord, PullStore, PullSummary } from '../../src/store/index.ts';

interface MadeWith {
  readonly limits?: {
    readonly pulls: number;
    readonly refused: number;
    readonly bytes: number;
    readonly figures: number;
    readonly lastPulls: number;
    readonly age: number;
  };
}

/** Makes an empty store that was begun at 5000, and cleans up after the test. */
export type MakePullStore = (context: TestContext, options?: MadeWith) => Promise<PullStore>;

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

const ROOMY = { pulls: 1000, refused: 1000, bytes: 10_000_000, figures: 1000, lastPulls: 1000, age: 400 * DAY };

/** One pull of alice with one request, unless a test wants another. */
export function pullRecord(over: Partial<PullRecord> = {}): PullRecord {
  const { id = 'aaaa-1', at = DAY } = over;
  return {
    id,
    at,
    registry: 'ghcr.io',
    repository: 'ours/app',
    reference: 'latest',
    client: '192.0.2.1',
    user: 'alice',
    userAgent: 'containerd/2.1',
    outcome: 'miss',
    requests: 1,
    hits: 0,
    bytes: 7,
    fetched: 9,
    durationMs: 12,
    requestList: [
      { id, at, method: 'GET', kind: 'manifest', reference: 'latest', status: 200, bytes: 7, totalMs: 1.5, asked: [] },
    ],
    omitted: 0,
    ...over,
  };
}

/** A pull of three requests in an hour, unless a test wants another. */
export function figure(over: Partial<Figure> = {}): Figure {
  const names = { registry: 'ghcr.io', repository: 'ours/app' };
  return { period: DAY, ...names, pulls: 1, requests: 3, hits: 2, failed: 1, bytes: 100, fetched: 40, ...over };
}

function lastPull(over: Partial<LastPull> = {}): LastPull {
  return { registry: 'ghcr.io', repository: 'ours/app', tag: 'latest', at: 10, by: 'alice', ...over };
}

/** What every {@link PullStore} must do. */
export function pullStoreSuite(name: string, make: MakePullStore): void {
  const idsOf = (pulls: readonly PullSummary[]): readonly string[] => pulls.map(({ id }) => id);
  const all = async (store: PullStore): Promise<readonly string[]> => idsOf(await store.list({ limit: 100_000 }));
  const figuresOf = (store: PullStore): Promise<readonly Figure[]> =>
    store.figures({ from: 0, to: Number.MAX_SAFE_INTEGER, limit: 100_000 });

  describe(`${name} as a pull store`, () => {
    test('knows nothing when it is new, and since when', async (t) => {
      const store = await make(t);
      assert.equal(store.since, 5000);
      await store.add([]);
      await store.count([], []);
      await store.trim(100 * DAY);
      assert.deepEqual(await all(store), []);
      assert.deepEqual(await figuresOf(store), []);
      assert.equal(await store.find('aaaa-1'), undefined);
      assert.deepEqual(await store.lastPulls({ registry: 'ghcr.io', repository: 'ours/app' }, 9), []);
      assert.equal(await store.lastPull({ registry: 'ghcr.io', repository: 'ours/app', tag: 'latest' }), undefined);
    });

    test('gives a pull back whole by the id of each of its requests, and by no part of one', async (t) => {
      const store = await make(t);
      const [first] = pullRecord().requestList;
      assert.ok(first !== undefined);
      const second = { ...first, id: 'aaaa-2b', asked: [], error: "it's \u{1f600} 100 %_" };
      const pull = pullRecord({
        requestList: [first, second],
        omitted: 3,
        rule: 'access.rules[0]',
        verdict: 'allowed',
      });
      await store.add([pull, pullRecord({ id: 'aaaa-9' })]);
      assert.deepEqual(await store.find('aaaa-1'), pull);
      assert.deepEqual(await store.find('aaaa-2b'), pull);
      for (const wrong of ['aaaa-2', 'aa-2b', '', ' ', 'aaaa-1 aaaa-2b', '%', "'"]) {
        assert.equal(await store.find(wrong), undefined, wrong);
      }
    });

    test('lists in pages, the newest first, each pull once and without its requests', async (t) => {
      const store = await make(t);
      const times = [3, 1, 2, 2, 2, 5, 4, 4];
      const pulls = times.map((at, index) => pullRecord({ at, id: `p-${index}` }));
      await store.add(pulls);
      const paged: PullSummary[] = [];
      for (let before: PullPosition | undefined; ; before = paged.at(-1)) {
        const page = await store.list({ before, limit: 2 });
        paged.push(...page);
        if (page.length < 2) break;
      }
      assert.deepEqual(idsOf(paged), ['p-5', 'p-7', 'p-6', 'p-0', 'p-4', 'p-3', 'p-2', 'p-1']);
      const { requestList: _, omitted: __, ...summary } = pulls[5] as PullRecord;
      assert.deepEqual(paged[0], summary);
    });

    test('finds by every word of the image and of the client, in any case, and by the outcome', async (t) => {
      const store = await make(t);
      await store.add([
        pullRecord({ id: 'a', at: 4 }),
        pullRecord({ id: 'b', at: 3, repository: 'ours/web', outcome: 'failed', client: '2001:db8::7' }),
        pullRecord({
          id: 'c',
          at: 2,
          registry: 'docker.io',
          repository: 'library/nginx',
          reference: '1.29',
          user: 'Bob',
        }),
        pullRecord({ id: 'd', at: 1, reference: `sha256:${'0'.repeat(64)}`, userAgent: "O'Reilly_%/1" }),
      ]);
      const find = async (filter: Parameters<PullStore['list']>[0]['filter']) =>
        idsOf(await store.list({ limit: 9, filter })).join('');
      assert.equal(await find({}), 'abcd');
      assert.equal(await find({ image: ['ours'] }), 'abd');
      assert.equal(await find({ image: ['ours/', 'app'] }), 'ad');
      assert.equal(await find({ image: ['nginx:1.29'] }), 'c');
      assert.equal(await find({ image: ['app@sha256:000'] }), 'd');
      assert.equal(await find({ image: ['%'] }), '');
      assert.equal(await find({ client: ['bob'] }), 'c');
      assert.equal(await find({ client: ['2001:db8'] }), 'b');
      assert.equal(await find({ client: ["o'reilly_%", 'alice'] }), 'd');
      assert.equal(await find({ outcome: 'failed' }), 'b');
      assert.equal(await find({ outcome: 'failed', client: ['bob'] }), '');
    });

    test('finds one of thousands behind others that do not fit', async (t) => {
      const store = await make(t, { limits: { ...ROOMY, pulls: 5000 } });
      await store.add(
        Array.from({ length: 1700 }, (_, at) => pullRecord({ id: `p-${at}`, at, repository: `r/${at}` })),
      );
      assert.deepEqual(idsOf(await store.list({ limit: 5, filter: { image: ['r/3:'] } })), ['p-3']);
    });

    test('keeps the newest pulls within its limits, in number and in bytes', async (t) => {
      const store = await make(t, { limits: { ...ROOMY, pulls: 3 } });
      for (let at = 1; at <= 7; at += 1) await store.add([pullRecord({ id: `p-${at}`, at })]);
      assert.deepEqual(await all(store), ['p-7', 'p-6', 'p-5']);
      const small = await make(t, { limits: { ...ROOMY, bytes: 40_000 } });
      const [request] = pullRecord().requestList;
      const large = Array.from(
        { length: 60 },
        () => ({ ...request, reason: 'x'.repeat(100) }) as NonNullable<typeof request>,
      );
      for (let at = 1; at <= 5; at += 1) await small.add([pullRecord({ id: `p-${at}`, at, requestList: large })]);
      const kept = await all(small);
      assert.ok(kept.length >= 1 && kept.length <= 3, kept.join());
      assert.equal(kept[0], 'p-5');
    });

    test('refused pulls drive no other one out', async (t) => {
      const store = await make(t, { limits: { ...ROOMY, pulls: 20, refused: 5 } });
      await store.add([pullRecord({ id: 'mine', at: 1 })]);
      for (let round = 0; round < 10; round += 1) {
        const refused = Array.from({ length: 40 }, (_, n) => {
          const at = 2 + round * 40 + n;
          return pullRecord({ id: `x-${at}`, at, outcome: 'refused' });
        });
        await store.add(refused);
      }
      assert.deepEqual(await all(store), ['x-401', 'x-400', 'x-399', 'x-398', 'x-397', 'mine']);
    });

    test('adds figures of the same key, and keeps others apart', async (t) => {
      const store = await make(t);
      await store.count([figure(), figure({ period: DAY + HOUR })], []);
      await store.count([figure({ pulls: 0, bytes: 5, fetched: 2 ** 40 }), figure({ repository: 'ours/ap' })], []);
      await store.count([figure({ registry: '', repository: '' })], []);
      assert.deepEqual(await figuresOf(store), [
        figure({ registry: '', repository: '' }),
        figure({ repository: 'ours/ap' }),
        figure({ pulls: 1, requests: 6, hits: 4, failed: 2, bytes: 105, fetched: 2 ** 40 + 40 }),
        figure({ period: DAY + HOUR }),
      ]);
    });

    test('reads the figures of a time in pages, without a row twice or left out', async (t) => {
      const store = await make(t);
      const rows = [1, 2, 3, 4].flatMap((hour) =>
        ['a', 'b', 'é'].map((repository) => figure({ period: hour * HOUR, repository })),
      );
      await store.count(rows, []);
      const paged: Figure[] = [];
      for (;;) {
        const page = await store.figures({ from: 2 * HOUR, to: 4 * HOUR, after: paged.at(-1), limit: 4 });
        paged.push(...page);
        if (page.length < 4) break;
      }
      assert.deepEqual(paged, rows.slice(3, 9));
    });

    test('drops figures that are too old, and joins the hours of older days', async (t) => {
      const store = await make(t, { limits: { ...ROOMY, age: 10 * DAY } });
      const now = 20 * DAY + 5 * HOUR;
      await store.count(
        [
          figure({ period: 10 * DAY, bytes: 1 }),
          figure({ period: 16 * DAY, bytes: 2 }),
          figure({ period: 16 * DAY + 3 * HOUR, bytes: 4 }),
          figure({ period: 16 * DAY + 23 * HOUR, bytes: 8 }),
          figure({ period: 17 * DAY + HOUR, bytes: 16 }),
          figure({ period: now - 5 * HOUR, bytes: 32 }),
        ],
        [],
      );
      await store.trim(now);
      await store.trim(now);
      const rows = (await figuresOf(store)).map(({ period, pulls, bytes }) => [period / HOUR, pulls, bytes]);
      assert.deepEqual(rows, [
        [16 * 24, 3, 14],
        [17 * 24 + 1, 1, 16],
        [20 * 24, 1, 32],
      ]);
    });

    test('holds no more figures and last pulls than its limits: the oldest go', async (t) => {
      const store = await make(t, { limits: { ...ROOMY, figures: 2, lastPulls: 2 } });
      for (let at = 1; at <= 5; at += 1) {
        await store.count([figure({ period: at * HOUR })], [lastPull({ tag: `v${at}`, at })]);
      }
      assert.deepEqual(
        (await figuresOf(store)).map(({ period }) => period / HOUR),
        [4, 5],
      );
      const kept = await store.lastPulls({ registry: 'ghcr.io', repository: 'ours/app' }, 9);
      assert.deepEqual(
        kept.map(({ tag }) => tag),
        ['v5', 'v4'],
      );
    });

    test('knows the last pull of each tag, the latest first', async (t) => {
      const store = await make(t);
      await store.count([], [lastPull(), lastPull({ tag: 'v1', at: 30, by: 'bob' }), lastPull({ tag: '', at: 5 })]);
      await store.count([], [lastPull({ at: 20, by: 'carol' }), lastPull({ tag: 'v1', at: 29, by: 'dave' })]);
      await store.count([], [lastPull({ repository: 'ours/ap', at: 99 })]);
      const name = { registry: 'ghcr.io', repository: 'ours/app' };
      assert.deepEqual(await store.lastPulls(name, 2), [
        lastPull({ tag: 'v1', at: 30, by: 'bob' }),
        lastPull({ at: 20, by: 'carol' }),
      ]);
      assert.deepEqual(await store.lastPull({ ...name, tag: '' }), lastPull({ tag: '', at: 5 }));
    });
  });
}
