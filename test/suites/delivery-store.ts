import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { DeliveryStore, StoredDelivery } from '../../src/store/index.ts';

/** Makes an empty store, and cleans up after the test. */
export type MakeDeliveryStore = (context: TestContext) => Promise<DeliveryStore>;

/** A delivery, unless a test wants another. */
export function delivery(over: Partial<StoredDelivery> = {}): StoredDelivery {
  return {
    id: '019ad000-0000-7000-8000-000000000001',
    hook: 'ci',
    event: 'push',
    body: '{"events":[]}',
    createdAt: 1000,
    attempts: 0,
    dueAt: 1000,
    ...over,
  };
}

/** What every {@link DeliveryStore} must do. */
export function deliveryStoreSuite(name: string, make: MakeDeliveryStore): void {
  describe(`${name} as a delivery store`, () => {
    test('holds nothing when it is new', async (t) => {
      const store = await make(t);
      assert.deepEqual(await store.list(), []);
      await store.save({ put: [], remove: [] });
      await store.save({ put: [], remove: ['unknown'] });
      assert.deepEqual(await store.list(), []);
    });

    test('lists what was put in the order of the ids, whatever the order of the puts', async (t) => {
      const store = await make(t);
      const [a, b, c] = ['a', 'b', 'c'].map((id) => delivery({ id, body: `{"events":["${id}", "é\u{1f600}"]}` }));
      assert.ok(a && b && c);
      await store.save({ put: [c, a], remove: [] });
      await store.save({ put: [b], remove: [] });
      assert.deepEqual(await store.list(), [a, b, c]);
    });

    test('replaces a delivery that is put a second time', async (t) => {
      const store = await make(t);
      await store.save({ put: [delivery()], remove: [] });
      await store.save({ put: [delivery({ attempts: 3, dueAt: 9000 })], remove: [] });
      assert.deepEqual(await store.list(), [delivery({ attempts: 3, dueAt: 9000 })]);
    });

    test('forgets what is removed, and nothing else', async (t) => {
      const store = await make(t);
      const put = ['a', 'b', 'c'].map((id) => delivery({ id }));
      await store.save({ put, remove: [] });
      await store.save({ put: [delivery({ id: 'd' })], remove: ['a', 'c', 'x'] });
      assert.deepEqual(
        (await store.list()).map(({ id }) => id),
        ['b', 'd'],
      );
    });

    test('holds thousands', async (t) => {
      const store = await make(t);
      const put = Array.from({ length: 3000 }, (_, at) => delivery({ id: String(at).padStart(5, '0') }));
      await store.save({ put, remove: [] });
      assert.deepEqual(await store.list(), put);
      await store.save({ put: [], remove: put.slice(1).map(({ id }) => id) });
      assert.deepEqual(await store.list(), put.slice(0, 1));
    });
  });
}
