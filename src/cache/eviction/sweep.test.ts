import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { listed, putBlob } from '../../../test/suites/blob-store.ts';
import { type CacheWorld, cacheWorld, drain, LIBRARY, readSome, settle } from '../../../test/support/cache-world.ts';
import { type Content, content, noise } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { MemoryMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { sweep } from './sweep.ts';

const SIZE = 10_000;

/** So many blobs of SIZE bytes. */
function blobsOf(count: number): Content[] {
  return Array.from({ length: count }, (_, i) => content('layer', noise(`sweep ${i}`, SIZE)));
}

/** A store that holds blobs, the first read longest ago. */
async function stocked(blobs: readonly Content[]) {
  const store = new MemoryBlobStore();
  const metadata = new MemoryMetadataStore();
  for (const [i, { digest, bytes, size }] of blobs.entries()) {
    await putBlob(store, bytes);
    await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt: i });
  }
  return { store, metadata, telemetry: new Telemetry() };
}

async function kept(store: { list(): AsyncIterable<{ digest: string }> }): Promise<Set<string>> {
  const digests = new Set<string>();
  for await (const { digest } of store.list()) digests.add(digest);
  return digests;
}

async function pull(world: CacheWorld, blob: Content): Promise<void> {
  const { reader, outcome } = await world.cache.blob(LIBRARY, blob.digest, {});
  const finished = outcome === 'HIT' ? undefined : world.next('ingest.finished');
  assert.ok((await drain(reader)).equals(blob.bytes));
  await finished;
}

describe('sweep()', () => {
  test('takes nothing where nothing is wanted', async () => {
    const world = await stocked(blobsOf(3));
    assert.deepEqual(await sweep({ ...world, wanted: 0 }), { freed: 0, blobs: 0 });
    assert.equal((await listed(world.store)).length, 3);
  });

  test('takes what was read longest ago until as much is free as is wanted, and no more', async () => {
    const blobs = blobsOf(200);
    const world = await stocked(blobs);
    // More than one batch goes.
    assert.deepEqual(await sweep({ ...world, wanted: 105 * SIZE - 1 }), { freed: 105 * SIZE, blobs: 105 });
    assert.deepEqual(await kept(world.store), new Set(blobs.slice(105).map(({ digest }) => digest)));
    assert.deepEqual(await world.metadata.totals(), { blobs: 95, bytes: 95 * SIZE });
  });

  test('makes room on a disk without a free byte, where no row can be deleted before a file has gone', async () => {
    const blobs = blobsOf(3);
    const { store, metadata } = await stocked(blobs);
    const deleteBlob = metadata.deleteBlob.bind(metadata);
    // The first two files are too small for the change of the database.
    metadata.deleteBlob = async (digest) => {
      if ((await kept(store)).size > 0) throw Object.assign(new Error('database or disk is full'), { errcode: 13 });
      return deleteBlob(digest);
    };
    assert.deepEqual(await sweep({ store, metadata, wanted: 3 * SIZE }), { freed: 3 * SIZE, blobs: 3 });
    assert.deepEqual(await kept(store), new Set());
    assert.deepEqual(await metadata.totals(), { blobs: 0, bytes: 0 });
  });

  test('does not take the file of a row that the database refuses to delete for another reason', async () => {
    const { store, metadata } = await stocked(blobsOf(1));
    metadata.deleteBlob = () => Promise.reject(new Error('disk I/O error'));
    await assert.rejects(sweep({ store, metadata, wanted: SIZE }), /disk I\/O error/);
    assert.equal((await kept(store)).size, 1);
  });

  test('goes by when a blob was read, not by when it came', async () => {
    const blobs = blobsOf(4);
    const [first, second, third, last] = blobs as [Content, Content, Content, Content];
    const world = await stocked(blobs);
    await world.metadata.touchBlobs([
      { digest: first.digest, at: 100 },
      { digest: last.digest, at: 1 },
    ]);
    const evicted: string[] = [];
    await sweep({ ...world, wanted: 2 * SIZE, onEvict: ({ digest }) => evicted.push(digest) });
    assert.deepEqual(new Set(evicted), new Set([second.digest, last.digest]));
    assert.deepEqual(await kept(world.store), new Set([first.digest, third.digest]));
  });

  test('walks on behind what is spared, however much that is', async () => {
    const blobs = blobsOf(200);
    const world = await stocked(blobs);
    const retained = new Set(blobs.slice(0, 190).map(({ digest }) => digest));
    const swept = await sweep({ ...world, wanted: 1000 * SIZE, isRetained: (digest) => retained.has(digest) });
    assert.deepEqual(swept, { freed: 10 * SIZE, blobs: 10 });
    assert.deepEqual(await kept(world.store), retained);
  });

  test('only tells what would go where that is all that is asked for', async () => {
    const blobs = blobsOf(3);
    const world = await stocked(blobs);
    const told: string[] = [];
    const swept = await sweep({ ...world, wanted: 1, dryRun: true, onEvict: ({ digest }) => told.push(digest) });
    assert.deepEqual(swept, { freed: SIZE, blobs: 1 });
    assert.deepEqual(told, [blobs[0]?.digest]);
    assert.equal((await kept(world.store)).size, 3);
    assert.equal((await world.metadata.totals()).blobs, 3);
  });

  test('leaves what is hosted, even where that alone is too much', async () => {
    const blobs = blobsOf(3);
    const world = await stocked(blobs);
    const [first] = blobs as [Content];
    await world.metadata.putBlob({ digest: first.digest, size: SIZE, kind: 'hosted', storedAt: 0 });
    await sweep({ ...world, wanted: 3 * SIZE });
    assert.deepEqual(await kept(world.store), new Set([first.digest]));
  });

  test('takes the row of a blob whose file is gone', async () => {
    const blobs = blobsOf(2);
    const world = await stocked(blobs);
    for (const { digest } of blobs) await world.store.delete(digest);
    await sweep({ ...world, wanted: 2 * SIZE });
    assert.equal((await world.metadata.totals()).bytes, 0);
  });

  test('tries the others where one file cannot be removed, and says so', async () => {
    const blobs = blobsOf(3);
    const world = await stocked(blobs);
    const remove = world.store.delete.bind(world.store);
    world.store.delete = (digest) =>
      digest === blobs[0]?.digest ? Promise.reject(new Error('EPERM: not permitted')) : remove(digest);
    await assert.rejects(sweep({ ...world, wanted: 2 * SIZE }), /EPERM/);
    assert.deepEqual(await kept(world.store), new Set([blobs[0]?.digest]));
  });
});

describe('a cache that may hold so much', () => {
  test('makes room for each transfer, and leaves what is being read', async (t) => {
    const blobs = blobsOf(4);
    const [first, second, third, fourth] = blobs as [Content, Content, Content, Content];
    const world = await cacheWorld(t, { on: 'filesystem', maxSize: 3.2 * SIZE });
    world.origin.addBlobs(LIBRARY, ...blobs);
    for (const blob of [first, second, third]) await pull(world, blob);
    const reading = await world.cache.blob(LIBRARY, first.digest, {});
    await readSome(reading.reader, 10);
    // Read longest ago, but for the reader that has just opened it.
    await pull(world, second);
    await pull(world, third);
    const order = [first, second].map(({ digest }, at) => ({ digest, at }));
    await world.metadata.touchBlobs(order);
    const touch = world.metadata.touchBlobs.bind(world.metadata);
    world.metadata.touchBlobs = (reads) => touch([...reads, ...order]);
    const swept = world.next('cache.swept');
    await pull(world, fourth);
    assert.deepEqual(await swept, { freed: SIZE, left: 2 * SIZE, blobs: 1 });
    assert.deepEqual(await kept(world.store), new Set([first.digest, third.digest, fourth.digest]));
    assert.ok((await drain(reading.reader)).equals(first.bytes.subarray(10)));
    assert.deepEqual(await world.cache.totals(), { blobs: 3, bytes: 3 * SIZE });
    const again = await world.cache.blob(LIBRARY, second.digest, {});
    assert.equal(again.outcome, 'MISS');
    assert.ok((await drain(again.reader)).equals(second.bytes));
  });

  test('knows of every read before it decides', async (t) => {
    const blobs = blobsOf(3);
    const [first, second, third] = blobs as [Content, Content, Content];
    const world = await cacheWorld(t, { maxSize: 2.2 * SIZE });
    world.origin.addBlobs(LIBRARY, ...blobs);
    await pull(world, first);
    await pull(world, second);
    await new Promise((resolve) => setTimeout(resolve, 2));
    await pull(world, first);
    const swept = world.next('cache.swept');
    await pull(world, third);
    await swept;
    assert.deepEqual(await kept(world.store), new Set([first.digest, third.digest]));
  });

  test('shrinks at a start with a lower limit', async (t) => {
    const blobs = blobsOf(10);
    const shared = await stocked(blobs);
    const world = await cacheWorld(t, { store: shared.store, metadata: shared.metadata, maxSize: 5 * SIZE });
    await world.next('cache.swept');
    assert.deepEqual(await kept(world.store), new Set(blobs.slice(6).map(({ digest }) => digest)));
  });

  test('goes on where a file cannot be removed', async (t) => {
    const blobs = blobsOf(3);
    const world = await cacheWorld(t, { maxSize: 1.2 * SIZE });
    world.origin.addBlobs(LIBRARY, ...blobs);
    world.store.before = (step) => {
      if (step === 'delete') throw Object.assign(new Error('EPERM: not permitted'), { code: 'EPERM' });
    };
    for (const blob of blobs) await pull(world, blob);
    await settle();
    assert.match(String(world.seen('warning')[0]?.message), /make room/);
    for (const blob of blobs) await pull(world, blob);
  });
});
