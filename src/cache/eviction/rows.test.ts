import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { blobRecord, memberRecord, numbered, tagRecord } from '../../../test/suites/metadata-store.ts';
import { cacheWorld, settle } from '../../../test/support/cache-world.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { smallImage, smallLayer } from '../../../test/support/small-image.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import type { Digest } from '../../oci/index.ts';
import { type MetadataStore, openSqliteMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { CacheCapacity } from './capacity.ts';
import { rowBudget, trimRows } from './rows.ts';

const APP = { registry: 'r', repository: `team/${'app'.repeat(40)}` };
const MIB = 1024 ** 2;
const URL_RECORD = { digest: numbered(3), size: 10, headers: { etag: '"v1"' }, freshUntil: 0 };

async function temporaryStore(t: TestContext) {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-rows-'));
  const store = await openSqliteMetadataStore(join(directory, 'names.db'));
  t.after(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return store;
}

/** @param most bytes of rows whose blobs are not stored @param all bytes of any rows */
function trim(
  metadata: MetadataStore,
  { most, all = Number.POSITIVE_INFINITY, retained = [] }: { most: number; all?: number; retained?: readonly Digest[] },
): Promise<number> {
  const budget = { evicted: most, all };
  return trimRows({ metadata, budget, retained: async () => new Set(retained), now: Date.now() + 5000 });
}

test('rowBudget() is a share of the size, and enough for a small cache', () => {
  assert.deepEqual(rowBudget(1e12), { evicted: 1e10, all: 1.25e11, most: 1.5625e11 });
  assert.deepEqual(rowBudget(1), { evicted: 2 * MIB, all: 8 * MIB, most: 10 * MIB });
  assert.equal(rowBudget(undefined).evicted, Number.POSITIVE_INFINITY);
});

describe('trimRows()', () => {
  test('deletes what is not stored, until the rest fits, and nothing that is stored', async (t) => {
    const store = await temporaryStore(t);
    await store.putMembers(
      APP,
      Array.from({ length: 2000 }, (_, i) => memberRecord(i + 1)),
    );
    for (let i = 1; i <= 100; i += 1) {
      await store.putTag(APP, `tag${i}`, tagRecord(i));
      if (i <= 50) await store.putBlob(blobRecord(i));
    }
    const { rowBytes } = await store.footprint();
    const some = await trim(store, { most: rowBytes / 2 });
    assert.ok(some > 900 && some < 1700, `${some}`);
    assert.ok((await store.footprint()).rowBytes <= rowBytes * 0.45);
    const rest = await trim(store, { most: 0 });
    assert.equal(some + rest, 1950 + 50);
    for (let i = 1; i <= 50; i += 1) {
      assert.ok(await store.getMember(APP, numbered(i)));
      assert.ok(await store.getTag(APP, `tag${i}`));
    }
    assert.equal(await store.getMember(APP, numbered(51)), undefined);
    assert.equal(await store.getTag(APP, 'tag51'), undefined);
  });

  test('counts nothing where every row is gone: a deletion takes off what its insertion put on', async (t) => {
    const store = await temporaryStore(t);
    for (let round = 0; round < 3; round += 1) {
      await store.putMembers(APP, [memberRecord(1), { ...memberRecord(1), mediaType: 'x'.repeat(round * 10) }]);
      await store.putTag(APP, 'a', tagRecord(1));
      await store.putTag(APP, 'a', { ...tagRecord(2), mediaType: 'y'.repeat(round) });
    }
    assert.ok((await store.footprint()).rowBytes > 0);
    await trim(store, { most: 0 });
    assert.equal((await store.footprint()).rowBytes, 0);
  });
});

describe('trimRows() above the budget of all rows', () => {
  test('deletes rows of stored blobs too, the oldest first, and none that is retained', async (t) => {
    const store = await temporaryStore(t);
    const now = Date.now();
    for (let i = 1; i <= 1000; i += 1) {
      const repository = { ...APP, repository: `${APP.repository}/${i}` };
      await store.putMembers(repository, [memberRecord(1), memberRecord(2)]);
      await store.putTag(repository, 'latest', { ...tagRecord(1), checkedAt: i <= 800 ? 0 : now });
      await store.putUrl({ route: 'site', url: `https://site/${i}` }, { ...URL_RECORD, checkedAt: now });
    }
    for (const i of [1, 2, 3]) await store.putBlob(blobRecord(i));
    await store.putTag(APP, 'pinned', { ...tagRecord(2), checkedAt: 0 });
    const { rowBytes } = await store.footprint();
    // The old tags alone are enough.
    await trim(store, { most: 0, all: rowBytes * 0.99, retained: [numbered(2)] });
    assert.equal(await store.getTag({ ...APP, repository: `${APP.repository}/1` }, 'latest'), undefined);
    assert.ok(await store.getTag({ ...APP, repository: `${APP.repository}/801` }, 'latest'));
    await trim(store, { most: 0, all: 0, retained: [numbered(2)] });
    assert.equal((await store.listUrls({ limit: 9 })).length, 0);
    assert.equal((await store.repositoriesOf(numbered(1), 9)).length, 0);
    assert.equal((await store.repositoriesOf(numbered(2), 2000)).length, 1000);
    assert.deepEqual(
      (await store.listTags({ limit: 9 })).map(({ tag }) => tag),
      ['pinned'],
    );
    await trim(store, { most: 0, all: 0 });
    assert.equal((await store.footprint()).rowBytes, 0);
  });

  test('leaves the record of a held tag, and with it the history of the tag', async (t) => {
    const store = await temporaryStore(t);
    for (const n of [1, 2]) for (const tag of ['held', 'over', 'free']) await store.putTag(APP, tag, tagRecord(n));
    const { checkedAt: heldAt, ...pointed } = tagRecord(1);
    await store.putHold(APP, 'held', { ...pointed, heldAt, until: undefined, reason: '' });
    await store.putHold(APP, 'over', { ...pointed, heldAt, until: 1, reason: '' });
    await trim(store, { most: 0, all: 0 });
    assert.deepEqual(
      (await store.listTags({ limit: 9 })).map(({ tag }) => tag),
      ['held'],
    );
    assert.equal((await store.listMoves(APP, 'held')).length, 2);
  });

  test('lets the event loop turn at least every few rows', async (t) => {
    const store = await temporaryStore(t);
    for (let i = 1; i <= 1000; i += 1) await store.putTag(APP, `tag${i}`, tagRecord(i));
    let turns = 0;
    const trimming = trim(store, { most: 0 }).then(() => 'done' as const);
    while ((await Promise.race([trimming, nextTurn()])) !== 'done') turns += 1;
    assert.ok(turns >= 1000 / 16, `${turns} turns`);
  });
});

describe('a cache with a limit', () => {
  test('keeps the rows of manifests within their budget, also while it is full', async (t) => {
    const store = await temporaryStore(t);
    let trims = 0;
    const capacity = new CacheCapacity({
      store: new MemoryBlobStore(),
      metadata: store,
      telemetry: new Telemetry(),
      limits: () => ({ maxSize: 10_000_000 }),
      transfers: () => [],
      retained: () => Promise.resolve(new Set()),
      isInUse: () => true,
      onTrim: () => {
        trims += 1;
      },
      prepare: () => Promise.resolve(),
      now: () => Date.now() + 5000,
    });
    t.after(() => capacity.close());
    // More than it may hold, and in use: it is full.
    await store.putBlob({ ...blobRecord(1), size: 11_000_000 });
    for (let round = 1; round <= 3; round += 1) {
      const members = Array.from({ length: 8000 }, (_, i) => memberRecord(round * 10_000 + i));
      await store.putMembers(APP, members);
      assert.ok((await store.footprint()).rowBytes > 2 * MIB);
      capacity.look();
      await capacity.decided();
      assert.ok((await store.footprint()).rowBytes <= 2 * MIB);
      assert.equal(trims, round);
    }
    assert.notEqual(capacity.pause, undefined);
  });

  test('trims again at the limit of rows, once what was retained is so no longer', async (t) => {
    const store = await temporaryStore(t);
    const clock = { now: Date.now() + 5000 };
    let retained: readonly Digest[] = [numbered(1)];
    const capacity = new CacheCapacity({
      store: new MemoryBlobStore(),
      metadata: store,
      telemetry: new Telemetry(),
      limits: () => ({ maxSize: 10_000_000 }),
      transfers: () => [],
      retained: async () => new Set(retained),
      isInUse: () => false,
      prepare: () => Promise.resolve(),
      now: () => clock.now,
    });
    t.after(() => capacity.close());
    const look = async (): Promise<number> => {
      capacity.look();
      await capacity.decided();
      return (await store.footprint()).rowBytes;
    };
    await look();
    await store.putBlob(blobRecord(1));
    const repository = (i: number) => ({ registry: 'r', repository: `${'r'.repeat(4000)}/${i}` });
    for (let i = 0; i < 2000; i += 1) await store.putMembers(repository(i), [memberRecord(1)]);
    const full = await look();
    assert.ok(full >= 10 * MIB && full < 10.1 * MIB, `${full} bytes: the limit holds, and what is retained stays`);
    retained = [];
    assert.equal(await look(), full, 'a trim reads every row: not at each look');
    clock.now += 10_000;
    assert.ok((await look()) < 8 * MIB);
    await store.putMembers(repository(2000), [memberRecord(1)]);
    assert.ok(await store.getMember(repository(2000), numbered(1)));
  });

  test('makes room for a database beyond its free part, and counts the files', async (t) => {
    const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-rows-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    const metadata = await openSqliteMetadataStore(join(directory, 'names.db'));
    t.after(() => metadata.close());
    const store = new MemoryBlobStore();
    const capacity = new CacheCapacity({
      store,
      metadata,
      telemetry: new Telemetry(),
      limits: () => ({ maxSize: 20 * MIB }),
      transfers: () => [],
      retained: async () => new Set<Digest>(),
      isInUse: () => false,
      prepare: () => Promise.resolve(),
    });
    t.after(() => capacity.close());
    for (let i = 1; i <= 19; i += 1) await metadata.putBlob({ ...blobRecord(i, { storedAt: i }), size: MIB });
    capacity.look();
    await capacity.decided();
    assert.equal((await metadata.totals()).blobs, 19);
    await writeFile(join(directory, 'names.backup.db'), Buffer.alloc(12 * MIB));
    capacity.look();
    await capacity.decided();
    const { blobs } = await metadata.totals();
    assert.ok(blobs >= 13 && blobs <= 15, `${blobs} blobs: four megabytes count, and a twentieth stays free`);
    assert.ok(await metadata.getBlob(numbered(19)), 'the least recently read went');
  });

  test('bounds the tags and repositories of one stored manifest, which requests add', async (t) => {
    const metadata = await temporaryStore(t);
    const clock = { now: Date.now() };
    const world = await cacheWorld(t, { metadata, maxSize: 10_000_000, tags: { freshFor: 0 }, now: () => clock.now });
    const { manifest } = smallImage('one', [smallLayer('never pulled')]);
    // As long as no name may be, so that few requests do.
    const name = 'r'.repeat(4000);
    let most = 0;
    for (let i = 0; i < 1200; i += 1) {
      const repository = { registry: 'r', repository: `${name}/${i}` };
      world.origin.addManifest(repository, manifest, 'latest');
      const { bytes } = await world.cache.manifest(repository, { kind: 'tag', tag: 'latest' }, {});
      assert.ok(bytes?.equals(manifest.bytes));
      most = Math.max(most, (await metadata.footprint()).rowBytes);
      clock.now += 1000;
    }
    assert.ok(most > 7 * MIB && most <= 10.1 * MIB, `${most} bytes`);
    await settle();
    await world.cache.collect({});
    const { rowBytes } = await metadata.footprint();
    assert.ok(rowBytes > 2 * MIB && rowBytes <= 8.8 * MIB, `${rowBytes} bytes: what is within the bound stays`);
  });

  test('counts the blocks of small files and the database', async (t) => {
    const store = await temporaryStore(t);
    const before = (await store.footprint()).overhead;
    for (let i = 1; i <= 1000; i += 1) await store.putBlob({ ...blobRecord(i), size: 100 });
    assert.ok((await store.footprint()).overhead - before >= 1000 * 3996);
    const most = (await store.footprint()).overhead;
    await store.putBlob({ ...blobRecord(1), size: 4096 });
    for (let i = 1; i <= 1000; i += 1) await store.deleteBlob(numbered(i));
    // The log may have grown by some pages meanwhile.
    assert.ok((await store.footprint()).overhead < most - 1000 * 2000);
    assert.deepEqual(await store.totals(), { blobs: 0, bytes: 0 });
  });
});
