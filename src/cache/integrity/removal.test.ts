import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { content, noise } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { type StoreStep, StrictStore } from '../../../test/support/strict-store.ts';
import { MemoryMetadataStore } from '../../store/index.ts';
import { adoptBlob, forgetWithoutFile, removeBlob } from './removal.ts';

const { digest, bytes, size } = content('layer', noise('removal', 100));

/** A blob that is stored, and what happens before the first step of a kind. */
async function stocked(
  step: StoreStep,
  happens: (disk: MemoryBlobStore, metadata: MemoryMetadataStore) => Promise<unknown>,
) {
  const disk = new MemoryBlobStore();
  disk.plant(digest, bytes);
  const metadata = new MemoryMetadataStore();
  await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt: 1 });
  const store = new StrictStore(disk);
  let isDone = false;
  store.before = async (taken) => {
    if (taken !== step || isDone) return;
    isDone = true;
    await happens(disk, metadata);
  };
  return { store, metadata };
}

describe('removeBlob()', () => {
  test('takes the row that an adoption gave the file just before it went', async () => {
    const { store, metadata } = await stocked('delete', (disk, rows) =>
      adoptBlob(digest, { size, at: 2 }, { store: disk, metadata: rows }),
    );
    await removeBlob(digest, { store, metadata });
    assert.deepEqual(await metadata.totals(), { blobs: 0, bytes: 0 });
  });
});

describe('forgetWithoutFile()', () => {
  test('leaves a blob that is stored again during the check', async () => {
    const store = new MemoryBlobStore();
    const metadata = new MemoryMetadataStore();
    await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt: 1 });
    store.stat = async () => {
      store.plant(digest, bytes);
      await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt: 2 });
      return undefined;
    };
    assert.equal(await forgetWithoutFile(digest, { store, metadata }), false);
    assert.equal((await metadata.getBlob(digest))?.storedAt, 2);
  });
});

describe('adoptBlob()', () => {
  test('gives a file its row', async () => {
    const { store, metadata } = await stocked('open', async () => {});
    await metadata.deleteBlob(digest);
    assert.equal(await adoptBlob(digest, { size, at: 2, verifiedAt: 2 }, { store, metadata }), true);
    assert.deepEqual(await metadata.totals(), { blobs: 1, bytes: size });
  });

  test('gives no row to a file that goes while it is given one', async () => {
    const { store, metadata } = await stocked('open', async () => {});
    await metadata.deleteBlob(digest);
    const put = metadata.putBlob.bind(metadata);
    metadata.putBlob = async (record) => {
      await removeBlob(digest, { store, metadata });
      await put(record);
    };
    assert.equal(await adoptBlob(digest, { size, at: 2 }, { store, metadata }), false);
    assert.deepEqual(await metadata.totals(), { blobs: 0, bytes: 0 });
  });
});
