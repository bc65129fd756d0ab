import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostedStoreSuite } from '../../../test/suites/hosted-store.ts';
import { image } from '../../../test/support/hosted-records.ts';
import { loadHostedStore } from '../../store/index.ts';
import { watchRecords } from './watched-records.ts';

const { MemoryHostedStore } = await loadHostedStore();

const APP = { registry: 'apps', repository: 'team/app' };
const OTHER = { registry: 'apps', repository: 'other' };

hostedStoreSuite('watched records', async () => watchRecords(new MemoryHostedStore(), () => {}));

test('watched records tell of every change, once it is stored, and of no look', async () => {
  const changed: string[] = [];
  const inner = new MemoryHostedStore();
  const records = watchRecords(inner, ({ repository }) => void changed.push(repository));
  const { blobs, manifest } = image('a');
  const [blob] = blobs;
  assert.ok(blob !== undefined);
  const { digest } = manifest;
  const how = { at: 1, by: 'alice' };
  const changes: readonly (readonly [string, () => Promise<unknown>])[] = [
    [APP.repository, () => records.putBlob(APP, blob, { at: 1 })],
    [OTHER.repository, () => records.mountBlob(OTHER, blob.digest, { from: APP, at: 1 })],
    [OTHER.repository, () => records.deleteBlob(OTHER, blob.digest)],
    [APP.repository, () => records.putManifest(APP, manifest, { ...how, tags: [{ tag: 'v1' }], sparse: ['blob'] })],
    [APP.repository, () => records.moveTag(APP, { tag: 'v2', digest }, how)],
    [APP.repository, () => records.deleteTag(APP, 'v2', how)],
    [APP.repository, () => records.deleteManifest(APP, digest, { ...how, immutable: () => false })],
    [APP.repository, () => records.collect({ unusedSince: 2, limit: 9 })],
  ];
  for (const [expected, change] of changes) {
    await change();
    assert.deepEqual(changed.splice(0), [expected], String(change));
  }
  await records.totals();
  await records.listTags(APP, { limit: 1 });
  await records.useBlob(APP, blob.digest, 5);
  assert.deepEqual(changed, []);

  inner.putBlob = () => Promise.reject(new Error('full'));
  await assert.rejects(records.putBlob(APP, blob, { at: 1 }), /full/);
  assert.deepEqual(changed, []);
});
