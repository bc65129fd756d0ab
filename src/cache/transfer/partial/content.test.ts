import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryBlobStore } from '../../../../test/support/memory-blob-store.ts';
import { type Digest, digestOf } from '../../../oci/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import { KEPT_FOR_MS, MOST_KEPT, PartialContent, partialLimit } from './content.ts';

const GB = 1024 ** 3;

interface Circumstances {
  readonly partialSize?: number;
  readonly store?: MemoryBlobStore;
}

/** Partial content whose clock a test moves, and whose limit it changes. */
function world({ partialSize, store = new MemoryBlobStore() }: Circumstances = {}) {
  const clock = { now: Date.now() };
  const limits: { partialSize: number | undefined } = { partialSize };
  const telemetry = new Telemetry();
  const content = new PartialContent({
    store: store.partials,
    limits: () => limits,
    telemetry,
    now: () => clock.now,
  });
  const keep = async (name: string, bytes: number): Promise<Digest> => {
    const digest = digestOf(Buffer.from(name));
    const file = await content.begin(digest);
    await file.write(Buffer.alloc(bytes), 0);
    await file.note('note');
    file.leave();
    await file.close();
    await content.left(digest, bytes);
    clock.now += 1000;
    return digest;
  };
  const kept = async (): Promise<readonly Digest[]> => (await store.partials.list()).map(({ digest }) => digest);
  return { clock, limits, content, keep, kept, store };
}

describe('the bounds of partial content', () => {
  test('are what is configured, half of the cache, or 32 GiB', () => {
    assert.equal(partialLimit({ partialSize: 5, maxSize: 100 }), 5);
    assert.equal(partialLimit({ partialSize: 0 }), 0);
    assert.equal(partialLimit({ maxSize: 101 }), 50);
    assert.equal(partialLimit({}), 32 * GB);
  });

  test('let the oldest go first, where there is too much', async () => {
    const { content, keep, kept } = world({ partialSize: 250 });
    await keep('a', 100);
    const [b, c] = [await keep('b', 100), await keep('c', 100)];
    assert.deepEqual(await kept(), [b, c]);
    assert.deepEqual(await content.totals(), { count: 2, bytes: 200 });
    const d = await keep('d', 250);
    assert.deepEqual(await kept(), [d]);
  });

  test('let go what is a week old, and what the last process left no later', async () => {
    const first = world();
    const a = await first.keep('a', 100);
    const second = world({ store: first.store });
    second.clock.now += KEPT_FOR_MS - 60_000;
    await second.content.trim();
    assert.deepEqual(await second.kept(), [a]);
    const b = await second.keep('b', 100);
    second.clock.now += 120_000;
    await second.content.trim();
    assert.deepEqual(await second.kept(), [b]);
  });

  test('let go what are too many', async () => {
    const { keep, kept, content } = world();
    const digests: Digest[] = [];
    for (let at = 0; at < MOST_KEPT + 3; at += 1) digests.push(await keep(`${at}`, 1));
    assert.deepEqual(await kept(), digests.slice(3));
    assert.equal((await content.totals()).count, MOST_KEPT);
  });

  test('let all go where it is turned off', async () => {
    const { limits, content, keep, kept } = world();
    await keep('a', 100);
    assert.ok(content.isOn);
    limits.partialSize = 0;
    assert.ok(!content.isOn);
    await content.trim();
    assert.deepEqual(await kept(), []);
  });

  test('leave what a transfer continues, and count it again when it is left', async () => {
    const { content, keep, kept } = world();
    const [a, b] = [await keep('a', 100), await keep('b', 100)];
    const found = await content.reopen(a);
    assert.ok(found !== undefined);
    assert.deepEqual(await content.totals(), { count: 1, bytes: 100 });
    assert.deepEqual(await content.evict(1000), { freed: 100, count: 1 });
    assert.equal(await content.remove(a), 0);
    found.file.leave();
    await found.file.close();
    await content.left(a, 100);
    assert.deepEqual(await kept(), [a]);
    assert.equal(await content.remove(a), 100);
    assert.equal(await content.remove(b), 0);
  });

  test('tell in advance what would be evicted: the oldest, and no more than is wanted', async () => {
    const { content, keep, kept } = world();
    await keep('a', 100);
    const b = await keep('b', 100);
    assert.deepEqual(await content.evict(50, { dryRun: true }), { freed: 100, count: 1 });
    assert.equal((await kept()).length, 2);
    assert.deepEqual(await content.evict(50), { freed: 100, count: 1 });
    assert.deepEqual(await kept(), [b]);
  });
});

test('what transfers have left is flushed where the server stops', async () => {
  const { content, keep, store } = world();
  const a = await keep('a', 100);
  await content.close();
  store.partials.cutPower();
  const found = await store.partials.reopen(a);
  assert.equal(found?.isIntact, true);
  await found?.file.close();
});
