import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { blobStoreSuite, contentOf, listed, putBlob } from '../suites/blob-store.ts';
import { resumableStoreSuite } from '../suites/resumable-store.ts';
import { MemoryBlobStore, MemoryResumableBlobStore } from './memory-blob-store.ts';

blobStoreSuite('memory', () => Promise.resolve(new MemoryBlobStore()));
blobStoreSuite('resumable memory', () => Promise.resolve(new MemoryResumableBlobStore()));
resumableStoreSuite('resumable memory', () => Promise.resolve(new MemoryResumableBlobStore()));

describe('MemoryBlobStore', () => {
  test('is full at its capacity, and has room again after an abort or a delete', async () => {
    const store = new MemoryBlobStore({ capacity: 10 });
    const bytes = Buffer.from('12345678');
    await putBlob(store, bytes);
    const ingestion = await store.begin();
    await ingestion.write(Buffer.from('ab'), 0);
    await assert.rejects(ingestion.write(Buffer.from('c'), 2), { code: 'ENOSPC' });
    await ingestion.close();
    await store.delete(digestOf(bytes));
    await putBlob(store, Buffer.from('1234567890'));
    assert.equal((await listed(store)).length, 1);
  });

  test('can be made to rot, and keeps what was quarantined', async () => {
    const store = new MemoryBlobStore();
    const digest = digestOf(Buffer.from('right'));
    store.plant(digest, Buffer.from('wrong'));
    assert.equal((await contentOf(store, digest)).toString(), 'wrong');
    await store.quarantine(digest);
    assert.equal(await store.stat(digest), undefined);
    assert.equal(store.quarantined(digest)?.toString(), 'wrong');
  });
});
