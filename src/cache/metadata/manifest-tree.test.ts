import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { putBlob } from '../../../test/suites/blob-store.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { smallImage, smallIndex, smallLayer } from '../../../test/support/small-image.ts';
import type { Digest } from '../../oci/index.ts';
import { addTree } from './manifest-tree.ts';

const amd = smallImage('amd64', [smallLayer('1', 10), smallLayer('2', 10)]);
const arm = smallImage('arm64', [smallLayer('3', 10)]);
const index = smallIndex({ 'linux/amd64': amd, 'linux/arm64': arm });

describe('addTree()', () => {
  test('goes as far down as manifests are stored', async () => {
    const store = new MemoryBlobStore();
    for (const { bytes } of [index, amd.manifest]) await putBlob(store, bytes);
    const into = new Set<Digest>();
    await addTree(index, { store, into, limit: 100 });
    assert.deepEqual(into, new Set([index, ...amd.parts, arm.manifest].map(({ digest }) => digest)));
  });

  test('stops at the limit', async () => {
    const store = new MemoryBlobStore();
    for (const { bytes } of [index, amd.manifest]) await putBlob(store, bytes);
    const into = new Set<Digest>();
    await addTree(index, { store, into, limit: 3 });
    assert.equal(into.size, 3);
  });

  test('takes what is rotten, gone or no manifest for a leaf', async () => {
    const store = new MemoryBlobStore();
    store.plant(index.digest, Buffer.from('{'));
    const into = new Set<Digest>();
    await addTree(index, { store, into, limit: 100 });
    await addTree(amd.manifest, { store, into, limit: 100 });
    store.open = () => Promise.reject(new Error('EIO'));
    await addTree(arm.manifest, { store, into, limit: 100 });
    assert.deepEqual(into, new Set([index.digest, amd.manifest.digest, arm.manifest.digest]));
  });
});
