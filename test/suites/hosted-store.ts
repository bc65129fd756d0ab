import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import type { Digest, Repository } from '../../src/oci/index.ts';
import type { HostedBlob, HostedStore, NewManifest, PutManifestOptions } from '../../src/store/index.ts';

/** Makes an empty store, and cleans up after the test. */
export type MakeHostedStore = (context: TestContext) => Promise<HostedStore>;

const APP: Repository = { registry: 'apps', repository: 'team/app' };
const OTHER: Repository = { registry: 'apps', repository: 'team/other' };
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const how = (tags: readonly string[] = [], more: Partial<PutManifestOptions> = {}): PutManifestOptions => ({
  at: 1000,
  by: 'alice',
  tags: tags.map((tag) => ({ tag })),
  ...more,
});

/** What every {@link HostedStore} must do. */
export function hostedStoreSuite(name: string, make: MakeHostedStore): void {
  describe(`${name} as a store of hosted records`, () => {
    test('knows nothing when it is new', async (t) => {
      const store = await make(t);
      const digest = digestOf('x');
      assert.equal(await store.hasRepository(APP), false);
      assert.deepEqual(await store.usage(APP), { digests: 0, bytes: 0 });
      assert.deepEqual(await store.totals(), { digests: 0, bytes: 0, repositories: 0 });
      assert.equal(await store.getBlob(APP, digest), undefined);
      assert.equal(await store.useBlob(APP, digest, 1), undefined);
      assert.equal(await store.deleteBlob(APP, digest), undefined);
      assert.equal(await store.getManifest(APP, digest), undefined);
      assert.equal(await store.useManifest(APP, digest, 1), undefined);
      assert.equal(await store.deleteManifest(APP, digest, { at: 1, by: 'alice', immutable: () => false }), undefined);
      assert.equal(await store.getTag(APP, 'v1'), undefined);
      assert.equal(await store.deleteTag(APP, 'v1', { at: 1, by: 'alice' }), undefined);
      assert.equal(await store.isReferenced(digest), false);
      for (const list of [
        store.listRepositories({ limit: 9 }),
        store.listReferrers(APP, digest, { limit: 9 }),
        store.listTags(APP, { limit: 9 }),
        store.listTagMoves(APP, 'v1'),
        store.listTagNames(APP, { limit: 9 }),
        store.repositoriesOf(digest, 9),
        store.listDigests({ limit: 9 }),
        store.listBlobs(APP, { limit: 9 }),
        store.listManifests(APP, { limit: 9 }),
      ]) {
        assert.deepEqual(await list, []);
      }
    });

    test('stores a manifest with all that follows from it', async (t) => {
      const store = await make(t);
      const { blobs, manifest } = image('a');
      for (const blob of blobs) assert.equal(await store.putBlob(APP, blob, { at: 1 }), 'stored');
      assert.deepEqual(await store.putManifest(APP, manifest, how(['v1', 'latest'])), {
        outcome: 'stored',
        isNew: true,
        moved: [
          { tag: 'v1', from: undefined },
          { tag: 'latest', from: undefined },
        ],
      });
      const { references: _named, ...record } = manifest;
      assert.deepEqual(await store.getManifest(APP, manifest.digest), { ...record, pushedAt: 1000 });
      const { digest, mediaType, size } = manifest;
      assert.deepEqual(await store.listTags(APP, { limit: 9 }), [
        { tag: 'latest', digest, mediaType, size, movedAt: 1000 },
        { tag: 'v1', digest, mediaType, size, movedAt: 1000 },
      ]);
      assert.deepEqual(await store.listTagMoves(APP, 'v1'), [{ digest, at: 1000, by: 'alice' }]);
      assert.equal(await store.getBlob(OTHER, digest), undefined);
    });

    test('lists the blobs and the manifests of a repository in pages, with and without tags', async (t) => {
      const store = await make(t);
      const images = ['a', 'b', 'c'].map((text) => image(text));
      for (const { blobs, manifest } of images) {
        for (const blob of blobs) await store.putBlob(APP, blob, { at: 1 });
        await store.putManifest(APP, manifest, how(manifest === images[0]?.manifest ? ['v1'] : []));
      }
      await store.putBlob(OTHER, { digest: digestOf('other'), size: 5 }, { at: 1 });
      const blobs = images.flatMap((each) => each.blobs).sort((a, b) => (a.digest < b.digest ? -1 : 1));
      const manifests = images.map((each) => each.manifest).sort((a, b) => (a.digest < b.digest ? -1 : 1));
      const unique = blobs.filter(({ digest }, at) => digest !== blobs[at - 1]?.digest);
      assert.deepEqual(await store.listBlobs(APP, { limit: 99 }), unique);
      assert.deepEqual(await store.listBlobs(APP, { after: unique[0]?.digest, limit: 1 }), unique.slice(1, 2));
      const records = manifests.map(({ references: _named, ...record }) => ({ ...record, pushedAt: 1000 }));
      assert.deepEqual(await store.listManifests(APP, { limit: 99 }), records);
      assert.deepEqual(await store.listManifests(APP, { after: records[0]?.digest, limit: 1 }), records.slice(1, 2));
      assert.deepEqual(await store.listManifests(APP, { after: records[2]?.digest, limit: 1 }), []);
    });
  });
}

/** The digest of a text: another for each. */
export function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest;
}

export function blobOf(text: string, size = 100): HostedBlob {
  return { digest: digestOf(text), size };
}

/** A manifest of a config and a layer, which are not stored. */
export function image(
  text: string,
  more: Partial<NewManifest> = {},
): { readonly blobs: readonly HostedBlob[]; readonly manifest: NewManifest } {
  const blobs = [blobOf(`${text} config`, 10), blobOf(`${text} layer`, 200)];
  const manifest: NewManifest = {
    digest: digestOf(text),
    mediaType: IMAGE,
    size: 50,
    subject: undefined,
    artifactType: 'application/vnd.oci.image.config.v1+json',
    annotations: undefined,
    references: blobs.map(({ digest }) => ({ digest, kind: 'blob' })),
    ...more,
  };
  return { blobs, manifest };
}

/** An index of manifests. */
export function indexOf(text: string, manifests: readonly Digest[]): NewManifest {
  const references = manifests.map((digest) => ({ digest, kind: 'manifest' as const }));
  return image(text, { mediaType: INDEX, artifactType: undefined, references }).manifest;
}
