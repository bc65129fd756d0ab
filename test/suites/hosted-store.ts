import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Digest, Repository } from '../../src/oci/index.ts';
import { type HostedBlob, type HostedStore, loadHostedStore, type PutManifestOptions } from '../../src/store/index.ts';
import { APP, blobOf, deletion, digestOf, how, INDEX, image, indexOf, OTHER, push } from '../support/hosted-records.ts';
import { hostedCollectionSuite } from './hosted-collection.ts';
import { repositorySearchSuite } from './repository-search.ts';

const { MAX_HOSTED_MOVES } = await loadHostedStore();

/** Makes an empty store, and cleans up after the test. */
export type MakeHostedStore = (context: TestContext) => Promise<HostedStore>;

/** What every {@link HostedStore} must do. */
export function hostedStoreSuite(name: string, make: MakeHostedStore): void {
  repositorySearchSuite(name, async (t) => {
    const store = await make(t);
    return {
      search: (search) => store.searchRepositories(search),
      add: (repository) => store.putBlob(repository, blobOf('a'), { at: 1 }),
    };
  });
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

    test('counts the tags that are there, up to a number', async (t) => {
      const store = await make(t);
      await push(store, 'a', how(['v1', 'v2', 'v3']));
      await store.deleteTag(APP, 'v2', { at: 2, by: 'alice' });
      assert.deepEqual(await store.countTags([OTHER, APP], 99), [0, 2]);
      assert.deepEqual(await store.countTags([APP], 1), [1]);
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

    test('lists all references that are missing, and then changes nothing', async (t) => {
      const store = await make(t);
      const { blobs, manifest } = image('a');
      const [config, layer] = blobs;
      assert.deepEqual(await store.putManifest(APP, manifest, how(['v1'])), {
        outcome: 'missing',
        references: blobs.map(({ digest }) => digest),
      });
      assert.equal(await store.hasRepository(APP), false);
      await store.putBlob(APP, config as HostedBlob, { at: 1 });
      await store.putBlob(OTHER, layer as HostedBlob, { at: 1 });
      assert.deepEqual(await store.putManifest(APP, manifest, how(['v1'])), {
        outcome: 'missing',
        references: [layer?.digest],
      });
      assert.deepEqual(await store.listTagNames(APP, { limit: 9 }), []);
      // A blob is no manifest, whatever its digest.
      const index = indexOf('i', [config?.digest as Digest]);
      assert.deepEqual(await store.putManifest(APP, index, how()), {
        outcome: 'missing',
        references: [config?.digest],
      });
    });

    test('stores a manifest whose references may be missing', async (t) => {
      const store = await make(t);
      const { manifest } = image('a');
      const index = indexOf('i', [manifest.digest]);
      assert.equal((await store.putManifest(APP, manifest, how([], { sparse: ['manifest'] }))).outcome, 'missing');
      assert.equal((await store.putManifest(APP, index, how([], { sparse: ['manifest'] }))).outcome, 'stored');
      assert.equal((await store.putManifest(APP, manifest, how([], { sparse: ['blob'] }))).outcome, 'stored');
      // What is named before it is there is kept when it comes.
      assert.deepEqual(await store.deleteManifest(APP, manifest.digest, deletion()), {
        outcome: 'needed',
        by: index.digest,
      });
    });

    test('takes the same manifest again, which moves its tags and keeps the time of its push', async (t) => {
      const store = await make(t);
      const { manifest } = await push(store, 'a', how(['v1']));
      await push(store, 'b', how(['v2']));
      assert.deepEqual(await store.putManifest(APP, manifest, how(['v1', 'v2'], { at: 2000 })), {
        outcome: 'stored',
        isNew: false,
        moved: [{ tag: 'v2', from: digestOf('b') }],
      });
      assert.equal((await store.getManifest(APP, manifest.digest))?.pushedAt, 1000);
      assert.equal((await store.getTag(APP, 'v1'))?.movedAt, 1000);
      assert.equal((await store.getTag(APP, 'v2'))?.movedAt, 2000);
    });

    test('has a manifest as it was pushed last, where its media type is another', async (t) => {
      const store = await make(t);
      const { manifest } = await push(store, 'a', how(['v1']));
      const again = { ...indexOf('a', []), size: manifest.size };
      assert.equal((await store.putManifest(APP, again, how([], { at: 9 }))).outcome, 'stored');
      assert.equal((await store.getTag(APP, 'v1'))?.mediaType, INDEX);
      assert.equal((await store.getManifest(APP, manifest.digest))?.pushedAt, 1000);
      // It names no blobs any more, and its tag keeps it.
      assert.equal(await store.deleteBlob(APP, digestOf('a layer')), 'deleted');
      const collected = await store.collect({ unusedSince: 0, untaggedSince: () => 9999, limit: 9 });
      assert.deepEqual(collected.removed, []);
      assert.deepEqual(await store.usage(APP), { digests: 2, bytes: 60 });
    });

    test('refuses a manifest for the first reason of missing, quota, immutable and conflict, over all tags', async (t) => {
      const store = await make(t);
      const { manifest: old } = await push(store, 'a', how(['fixed', 'other']));
      const { blobs, manifest } = image('b');
      const tags = [{ tag: 'new' }, { tag: 'other', expected: digestOf('x') }, { tag: 'fixed', immutable: true }];
      const pushIt = (more: Partial<PutManifestOptions>) =>
        store.putManifest(APP, manifest, { ...how(), tags, quota: 0, ...more });
      assert.equal((await pushIt({})).outcome, 'missing');
      for (const blob of blobs) await store.putBlob(APP, blob, { at: 1 });
      assert.deepEqual(await pushIt({}), { outcome: 'over quota' });
      assert.deepEqual(await pushIt({ quota: undefined }), {
        outcome: 'immutable',
        tag: 'fixed',
        digest: old.digest,
      });
      assert.deepEqual(await pushIt({ quota: undefined, tags: tags.slice(0, 2) }), {
        outcome: 'conflict',
        tag: 'other',
        digest: old.digest,
      });
      assert.equal(await store.getManifest(APP, manifest.digest), undefined);
      assert.deepEqual(await store.listTagNames(APP, { limit: 9 }), ['fixed', 'other']);
    });

    test('moves a tag only from where it is expected', async (t) => {
      const store = await make(t);
      const { manifest: a } = await push(store, 'a', how(['v1']));
      const { manifest: b } = await push(store, 'b', how());
      const moveTo = (digest: Digest, expected: Digest | null | undefined, tag = 'v1') =>
        store.moveTag(APP, { tag, digest, expected }, { at: 2000, by: 'bob' });
      assert.deepEqual(await moveTo(b.digest, null), { outcome: 'conflict', tag: 'v1', digest: a.digest });
      assert.deepEqual(await moveTo(b.digest, b.digest), { outcome: 'conflict', tag: 'v1', digest: a.digest });
      assert.deepEqual(await moveTo(b.digest, b.digest, 'v2'), { outcome: 'conflict', tag: 'v2', digest: undefined });
      assert.deepEqual(await moveTo(digestOf('x'), null), { outcome: 'missing', references: [digestOf('x')] });
      assert.deepEqual(await moveTo(b.digest, a.digest), {
        outcome: 'stored',
        isNew: false,
        moved: [{ tag: 'v1', from: a.digest }],
      });
      assert.equal((await moveTo(b.digest, null, 'v2')).outcome, 'stored');
      const immutable = { tag: 'v2', digest: a.digest, immutable: true };
      assert.deepEqual(await store.moveTag(APP, immutable, { at: 1, by: 'bob' }), {
        outcome: 'immutable',
        tag: 'v2',
        digest: b.digest,
      });
      const same = await store.moveTag(APP, { ...immutable, digest: b.digest }, { at: 1, by: 'bob' });
      assert.deepEqual(same, { outcome: 'stored', isNew: false, moved: [] });
      assert.deepEqual(await store.listTagMoves(APP, 'v1'), [
        { digest: b.digest, at: 2000, by: 'bob' },
        { digest: a.digest, at: 1000, by: 'alice' },
      ]);
    });

    test('deletes a tag and not its manifest, and remembers where it pointed', async (t) => {
      const store = await make(t);
      const { manifest } = await push(store, 'a', how(['v1', 'v2']));
      const { digest, mediaType, size } = manifest;
      const by = { at: 3000, by: 'bob' };
      assert.equal(await store.deleteTag(APP, 'v1', { ...by, expected: digestOf('x') }), 'conflict');
      assert.deepEqual(await store.deleteTag(APP, 'v1', { ...by, expected: digest }), {
        tag: 'v1',
        digest,
        mediaType,
        size,
        movedAt: 1000,
      });
      assert.equal(await store.deleteTag(APP, 'v1', by), undefined);
      assert.equal(await store.getTag(APP, 'v1'), undefined);
      assert.deepEqual(
        (await store.listTags(APP, { limit: 9 })).map(({ tag }) => tag),
        ['v2'],
      );
      assert.deepEqual(await store.listTagNames(APP, { limit: 9 }), ['v1', 'v2']);
      assert.deepEqual(await store.listTagMoves(APP, 'v1'), [
        { digest: undefined, at: 3000, by: 'bob' },
        { digest, at: 1000, by: 'alice' },
      ]);
      assert.ok(await store.getManifest(APP, digest));
      // A tag that was deleted is none: it may be made.
      assert.deepEqual(await store.moveTag(APP, { tag: 'v1', digest, expected: null, immutable: true }, by), {
        outcome: 'stored',
        isNew: false,
        moved: [{ tag: 'v1', from: undefined }],
      });
    });

    test('keeps the latest moves of a tag, in a number', async (t) => {
      const store = await make(t);
      const { manifest: a } = await push(store, 'a', how(['v1']));
      const { manifest: b } = await push(store, 'b', how());
      const moves = MAX_HOSTED_MOVES + 5;
      await Promise.all(
        Array.from({ length: moves }, (_, i) =>
          store.moveTag(APP, { tag: 'v1', digest: (i % 2 === 0 ? b : a).digest }, { at: i, by: `${i}` }),
        ),
      );
      const found = await store.listTagMoves(APP, 'v1');
      assert.equal(found.length, MAX_HOSTED_MOVES);
      assert.deepEqual([found[0]?.by, found.at(-1)?.by], [`${moves - 1}`, '5']);
    });

    test('deletes a manifest with its tags, unless an index names it or a tag of it is immutable', async (t) => {
      const store = await make(t);
      const { manifest } = await push(store, 'a', how(['v1', 'release']));
      const index = indexOf('i', [manifest.digest]);
      await store.putManifest(APP, index, how(['index']));
      assert.deepEqual(await store.deleteManifest(APP, manifest.digest, deletion()), {
        outcome: 'needed',
        by: index.digest,
      });
      assert.equal((await store.deleteManifest(APP, index.digest, deletion()))?.outcome, 'deleted');
      assert.deepEqual(
        await store.deleteManifest(
          APP,
          manifest.digest,
          deletion((tag) => tag === 'release'),
        ),
        {
          outcome: 'immutable',
          tag: 'release',
        },
      );
      const { references: _named, ...record } = manifest;
      assert.deepEqual(await store.deleteManifest(APP, manifest.digest, deletion()), {
        outcome: 'deleted',
        manifest: { ...record, pushedAt: 1000 },
        tags: ['release', 'v1'],
      });
      assert.deepEqual(await store.listTags(APP, { limit: 9 }), []);
      assert.deepEqual((await store.listTagMoves(APP, 'v1'))[0], { digest: undefined, at: 5000, by: 'carol' });
      assert.deepEqual(await store.listTagNames(APP, { limit: 9 }), ['index', 'release', 'v1']);
      // Its blobs are free.
      assert.equal(await store.deleteBlob(APP, digestOf('a layer')), 'deleted');
      assert.equal(await store.hasRepository(APP), true);
    });

    test('leaves a blob that a manifest of its repository names', async (t) => {
      const store = await make(t);
      await push(store, 'a', how());
      const layer = digestOf('a layer');
      assert.equal(await store.deleteBlob(APP, layer), 'in use');
      await store.mountBlob(OTHER, layer, { from: APP, at: 1 });
      assert.equal(await store.deleteBlob(OTHER, layer), 'deleted');
      assert.equal(await store.getBlob(OTHER, layer), undefined);
      assert.deepEqual(await store.getBlob(APP, layer), { digest: layer, size: 200 });
    });

    test('mounts a blob from a repository that has it and may be read', async (t) => {
      const store = await make(t);
      const blob = blobOf('x');
      const { digest } = blob;
      await store.putBlob(APP, blob, { at: 1 });
      assert.equal(await store.mountBlob(OTHER, digest, { from: OTHER, at: 1 }), undefined);
      assert.equal(await store.mountBlob(OTHER, digestOf('y'), { from: APP, at: 1 }), undefined);
      assert.equal(await store.mountBlob(OTHER, digest, { from: () => false, at: 1 }), undefined);
      assert.equal(await store.mountBlob(OTHER, digest, { from: APP, at: 1, quota: 99 }), 'over quota');
      assert.equal(await store.hasRepository(OTHER), false);
      const asked: string[] = [];
      const from = ({ repository }: Repository): boolean => asked.push(repository) > 0;
      assert.deepEqual(await store.mountBlob(OTHER, digest, { from, at: 1, quota: 100 }), blob);
      assert.deepEqual(asked, [APP.repository]);
      assert.deepEqual(await store.getBlob(OTHER, digest), blob);
      assert.deepEqual(await store.repositoriesOf(digest, 1), [APP]);
      assert.deepEqual(await store.repositoriesOf(digest, 9), [APP, OTHER]);
    });

    test('counts each digest of a repository once, and each digest of all once', async (t) => {
      const store = await make(t);
      const { manifest } = await push(store, 'a', how());
      // The bytes of the manifest as a blob too.
      await store.putBlob(APP, { digest: manifest.digest, size: manifest.size }, { at: 1 });
      await store.putBlob(OTHER, blobOf('a layer', 200), { at: 1 });
      await store.putBlob(OTHER, blobOf('b', 1), { at: 1 });
      assert.deepEqual(await store.usage(APP), { digests: 3, bytes: 260 });
      assert.deepEqual(await store.usage(OTHER), { digests: 2, bytes: 201 });
      assert.deepEqual(await store.totals(), { digests: 4, bytes: 261, repositories: 2 });
      const expected = [
        { digest: manifest.digest, size: 50 },
        blobOf('a config', 10),
        blobOf('a layer', 200),
        blobOf('b', 1),
      ].sort((a, b) => (a.digest < b.digest ? -1 : 1));
      assert.deepEqual(await store.listDigests({ limit: 9 }), expected);
      assert.deepEqual(await store.listDigests({ after: expected[1]?.digest, limit: 1 }), expected.slice(2, 3));
      assert.equal((await store.deleteManifest(APP, manifest.digest, deletion()))?.outcome, 'deleted');
      assert.deepEqual(await store.usage(APP), { digests: 3, bytes: 260 });
      for (const each of [manifest.digest, digestOf('a layer')]) await store.deleteBlob(APP, each);
      assert.deepEqual(await store.usage(APP), { digests: 1, bytes: 10 });
      assert.deepEqual(await store.totals(), { digests: 3, bytes: 211, repositories: 2 });
      assert.equal(await store.isReferenced(manifest.digest), false);
      assert.equal(await store.isReferenced(digestOf('a layer')), true);
    });

    test('holds a repository to its quota, and counts nothing twice', async (t) => {
      const store = await make(t);
      const { blobs, manifest } = image('a');
      const [config, layer] = blobs as [HostedBlob, HostedBlob];
      assert.equal(await store.putBlob(APP, layer, { at: 1, quota: 199 }), 'over quota');
      assert.equal(await store.hasRepository(APP), false);
      assert.equal(await store.putBlob(APP, layer, { at: 1, quota: 200 }), 'stored');
      assert.equal(await store.putBlob(APP, layer, { at: 1, quota: 200 }), 'stored');
      assert.equal(await store.putBlob(APP, layer, { at: 1, quota: 0 }), 'stored');
      assert.equal(await store.putBlob(APP, config, { at: 1, quota: 209 }), 'over quota');
      assert.equal(await store.putBlob(APP, config, { at: 1, quota: 210 }), 'stored');
      assert.deepEqual(await store.putManifest(APP, manifest, how([], { quota: 259 })), { outcome: 'over quota' });
      assert.equal((await store.putManifest(APP, manifest, how([], { quota: 260 }))).outcome, 'stored');
      assert.equal((await store.putManifest(APP, manifest, how(['v1'], { quota: 0 }))).outcome, 'stored');
      assert.equal(await store.putBlob(APP, { digest: manifest.digest, size: 50 }, { at: 1, quota: 260 }), 'stored');
    });

    test('lists repositories and tags in the order of their bytes, by pages', async (t) => {
      const store = await make(t);
      const repositories = ['a/b', 'a-b', 'B', 'z', 'zoë'].map((repository) => ({ registry: 'apps', repository }));
      repositories.push({ registry: 'Apps', repository: 'z' });
      for (const each of repositories) await store.putBlob(each, blobOf('x'), { at: 1 });
      const ordered = [repositories[5], ...[2, 1, 0, 3, 4].map((i) => repositories[i])];
      assert.deepEqual(await store.listRepositories({ limit: 99 }), ordered);
      assert.deepEqual(await store.listRepositories({ after: ordered[1], limit: 2 }), ordered.slice(2, 4));

      const tags = ['v10', 'v2', 'V1', '_x', 'v1.0-rc', 'a'];
      await push(store, 'a', how(tags));
      const sorted = ['V1', '_x', 'a', 'v1.0-rc', 'v10', 'v2'];
      const names = async (after: string | undefined, limit: number) =>
        (await store.listTags(APP, { after, limit })).map(({ tag }) => tag);
      assert.deepEqual(await names(undefined, 99), sorted);
      assert.deepEqual(await names('_x', 2), ['a', 'v1.0-rc']);
      // A page goes on from a name that is not there.
      assert.deepEqual(await names('v1', 2), ['v1.0-rc', 'v10']);
      assert.deepEqual(await store.listTagNames(APP, { after: 'v1.0-rc', limit: 1 }), ['v10']);
    });

    test('lists the referrers of a subject, which need not be there', async (t) => {
      const store = await make(t);
      const subject = digestOf('subject');
      const kinds = ['sbom', 'signature', 'sbom', undefined];
      const pushed = kinds.map((artifactType, i) =>
        image(`referrer ${i}`, { subject, artifactType, references: [], annotations: { i: `${i}`, 'ü"\\': '' } }),
      );
      for (const { manifest } of pushed) await store.putManifest(APP, manifest, how());
      await store.putManifest(OTHER, image('elsewhere', { subject, references: [] }).manifest, how());
      const expected = pushed
        .map(({ manifest: { references: _named, ...record } }) => ({ ...record, pushedAt: 1000 }))
        .sort((a, b) => (a.digest < b.digest ? -1 : 1));
      assert.deepEqual(await store.listReferrers(APP, subject, { limit: 9 }), expected);
      const page = { after: expected[0]?.digest, limit: 2 };
      assert.deepEqual(await store.listReferrers(APP, subject, page), expected.slice(1, 3));
      const sboms = expected.filter(({ artifactType }) => artifactType === 'sbom');
      const ofType = { limit: 9, artifactType: 'sbom' };
      assert.deepEqual(await store.listReferrers(APP, subject, ofType), sboms);
      assert.deepEqual(await store.listReferrers(APP, subject, { ...ofType, after: sboms[0]?.digest }), sboms.slice(1));
    });

    test('gives back nothing that its caller changed since', async (t) => {
      const store = await make(t);
      const annotations: Record<string, string> = { a: '1' };
      const { manifest } = image('a', { annotations, references: [] });
      await store.putManifest(APP, manifest, how());
      annotations['a'] = '2';
      assert.deepEqual((await store.getManifest(APP, manifest.digest))?.annotations, { a: '1' });
    });

    hostedCollectionSuite(make);
  });
}
