import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { blobRecord, memberRecord, numbered, tagRecord } from '../../../test/suites/metadata-store.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { openSqliteMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { CacheCapacity } from './capacity.ts';
import { rowBudget, trimRows } from './rows.ts';

const APP = { registry: 'r', repository: `team/${'app'.repeat(40)}` };
const MIB = 1024 ** 2;

async function temporaryStore(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-rows-'));
  const store = await openSqliteMetadataStore(join(directory, 'names.db'));
  t.after(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return store;
}

test('rowBudget() is a hundredth of the size, and enough for a small cache', () => {
  assert.deepEqual([rowBudget(1e12), rowBudget(1), rowBudget(undefined)], [1e10, 2 * MIB, Number.POSITIVE_INFINITY]);
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
    const some = await trimRows({ metadata: store, budget: rowBytes / 2, now: Date.now() + 5000 });
    assert.ok(some > 900 && some < 1700, `${some}`);
    assert.ok((await store.footprint()).rowBytes <= rowBytes * 0.45);
    const rest = await trimRows({ metadata: store, budget: 0, now: Date.now() + 5000 });
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
    await trimRows({ metadata: store, budget: 0, now: Date.now() + 5000 });
    assert.equal((await store.footprint()).rowBytes, 0);
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
