import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Repository } from '../../src/oci/index.ts';
import { loadHostedStore } from '../../src/store/index.ts';
import { APP, blobOf, digestOf, how, image, indexOf, OTHER, push, sorted } from '../support/hosted-records.ts';
import type { MakeHostedStore } from './hosted-store.ts';

const { HOSTED_USE_NOTED_AFTER, MIN_HOSTED_UNUSED } = await loadHostedStore();

/** What the collection of every {@link HostedStore} must do. */
export function hostedCollectionSuite(make: MakeHostedStore): void {
  const HOUR = HOSTED_USE_NOTED_AFTER;

  test('collects blobs that no manifest of their repository names, and that were not used of late', async (t) => {
    const store = await make(t);
    await push(store, 'a', how());
    for (const [repository, at] of [
      [APP, 10],
      [OTHER, 20],
    ] as const) {
      await store.putBlob(repository, blobOf('free'), { at });
    }
    await store.putBlob(OTHER, blobOf('a layer', 200), { at: 5 });
    const none = await store.collect({ unusedSince: 5, limit: 9 });
    assert.deepEqual(none, { removed: [], unreferenced: [] });
    const first = await store.collect({ unusedSince: 20, limit: 9 });
    assert.deepEqual(
      sorted(first.removed),
      sorted([
        { repository: APP, digest: digestOf('free'), size: 100 },
        { repository: OTHER, digest: digestOf('a layer'), size: 200 },
      ]),
    );
    assert.deepEqual(first.unreferenced, []);
    const second = await store.collect({ unusedSince: 21, limit: 9 });
    assert.deepEqual(second.removed, [{ repository: OTHER, digest: digestOf('free'), size: 100 }]);
    assert.deepEqual(second.unreferenced, [digestOf('free')]);
    assert.equal(await store.isReferenced(digestOf('free')), false);
    assert.deepEqual(await store.usage(APP), { digests: 3, bytes: 260 });
  });

  test('protects what was said to exist for an hour, and writes it once an hour', async (t) => {
    const store = await make(t);
    const blob = blobOf('x');
    const { manifest } = image('a', { references: [] });
    await store.putBlob(APP, blob, { at: 0 });
    await store.putManifest(APP, manifest, how([], { at: 0 }));
    for (const at of [HOUR - 1, 10 * HOUR, 11 * HOUR - 1]) {
      assert.deepEqual(await store.useBlob(APP, blob.digest, at), blob);
      assert.equal((await store.useManifest(APP, manifest.digest, at))?.digest, manifest.digest);
    }
    const collectAt = (now: number) =>
      store.collect({
        unusedSince: now - MIN_HOSTED_UNUSED,
        untaggedSince: (r) => (r ? now - MIN_HOSTED_UNUSED : r),
        limit: 9,
      });
    assert.deepEqual((await collectAt(12 * HOUR)).removed, []);
    assert.equal((await collectAt(12 * HOUR + 1)).removed.length, 2);
    // Where the clock was set back, a use shortens nothing.
    await store.putBlob(APP, blob, { at: 100 });
    await store.putBlob(APP, blob, { at: 50 });
    await store.useBlob(APP, blob.digest, 50);
    assert.deepEqual((await store.collect({ unusedSince: 100, limit: 9 })).removed, []);
  });

  test('collects untagged manifests where they may go, and what they kept', async (t) => {
    const store = await make(t);
    const { manifest: child } = await push(store, 'child', how([], { at: 1 }));
    const index = indexOf('index', [child.digest]);
    await store.putManifest(APP, index, how([], { at: 1 }));
    const signature = image('signature', { subject: index.digest, references: [] }).manifest;
    await store.putManifest(APP, signature, how([], { at: 1 }));
    const { manifest: tagged } = await push(store, 'tagged', how(['v1'], { at: 1 }));
    await store.putManifest(OTHER, image('kept', { references: [] }).manifest, how([], { at: 1 }));

    const untaggedSince = ({ repository }: Repository) => (repository === APP.repository ? 5 : undefined);
    assert.deepEqual((await store.collect({ unusedSince: 5, limit: 99 })).removed, []);
    const { removed, unreferenced } = await store.collect({ unusedSince: 5, untaggedSince, limit: 99 });
    const expected = [index, child, signature].map(({ digest, size }) => ({ repository: APP, digest, size }));
    const freed = [blobOf('child config', 10), blobOf('child layer', 200)].map((blob) => ({
      repository: APP,
      ...blob,
    }));
    assert.deepEqual(sorted(removed), sorted([...expected, ...freed]));
    assert.deepEqual(unreferenced.toSorted(), removed.map(({ digest }) => digest).toSorted());
    assert.ok(await store.getManifest(APP, tagged.digest));
    assert.deepEqual(await store.usage(APP), { digests: 3, bytes: 260 });
    assert.deepEqual(await store.usage(OTHER), { digests: 1, bytes: 50 });
  });

  test('keeps an untagged manifest for as long from when its tag left it', async (t) => {
    const store = await make(t);
    const { manifest } = await push(store, 'a', how(['v1', 'v2', 'v3'], { at: 1 }));
    const { manifest: next } = await push(store, 'b', how([], { at: 1 }));
    await store.moveTag(APP, { tag: 'v1', digest: next.digest }, { at: 100, by: 'bob' });
    await store.deleteTag(APP, 'v2', { at: 200, by: 'bob' });
    await push(store, 'b', how(['v3'], { at: 300 }));
    assert.deepEqual((await store.collect({ unusedSince: 0, untaggedSince: () => 300, limit: 9 })).removed, []);
    const { removed } = await store.collect({ unusedSince: 0, untaggedSince: () => 301, limit: 9 });
    assert.deepEqual(removed, [{ repository: APP, digest: manifest.digest, size: 50 }]);
  });

  test('collects no more than it is to, and says so by their number', async (t) => {
    const store = await make(t);
    const chain = ['1', '2', '3', '4'].map((text, i) =>
      image(text, { references: [], subject: i === 0 ? undefined : digestOf(`${i}`) }),
    );
    for (const { manifest } of chain) await store.putManifest(APP, manifest, how([], { at: 1 }));
    for (const text of ['x', 'y', 'z']) await store.putBlob(APP, blobOf(text), { at: 1 });
    const counts: number[] = [];
    do {
      const { removed } = await store.collect({ unusedSince: 9, untaggedSince: () => 9, limit: 3 });
      counts.push(removed.length);
    } while (counts.at(-1) === 3);
    assert.deepEqual(counts, [3, 3, 1]);
    assert.deepEqual(await store.totals(), { digests: 0, bytes: 0, repositories: 1 });
  });
}
