import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOf } from '../../../test/suites/blob-store.ts';
import { contentOfRecords, HostedContent } from '../../../test/support/hosted-content.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { type Digest, digestHex, digestOf, MEDIA_TYPES, type Repository } from '../../oci/index.ts';
import { type HostedStore, type LinkableBlobStore, loadHostedStore, openHostedBlobStore } from '../../store/index.ts';
import {
  LayoutWriter,
  needsRebuild,
  type RebuildOptions,
  type RebuildProgress,
  type RebuildReport,
  rebuildRecords,
} from './index.ts';
import { layoutName } from './name.ts';

const { MemoryHostedStore, openHostedStore } = await loadHostedStore();

const APP: Repository = { registry: 'apps', repository: 'a' };
const LONG: Repository = { registry: 'apps', repository: `${'long/'.repeat(50)}x` };

describe('rebuildRecords', () => {
  test('restores tags, manifests, blobs and referrers, of each repository by its true name', async (t) => {
    const stage = await openStage(t);
    const image = await stage.content.image(APP, 'image', { layers: ['layer'], tags: ['v1', 'latest'] });
    await stage.content.image(APP, 'signature', { subject: image });
    await stage.content.index(APP, [image], ['all']);
    await stage.content.blob(APP, 'loose');
    await stage.content.image(LONG, 'image', { tags: ['v1'] });
    await stage.write();
    const { records, report, reasons } = await stage.rebuild();
    assert.deepEqual(await contentOfRecords(records), await contentOfRecords(stage.records));
    assert.deepEqual(reasons, []);
    assert.deepEqual(report, { repositories: 2, manifests: 4, blobs: 5, tags: 4, problems: 0 });
    assert.deepEqual(await records.listTagMoves(APP, 'v1'), [
      { digest: image, at: (await stage.records.getTag(APP, 'v1'))?.movedAt, by: 'rebuild' },
    ]);
  });

  test('fills records in a file', async (t) => {
    const stage = await openStage(t);
    const image = await stage.content.image(APP, 'image', { layers: ['layer'], tags: ['v1', 'latest'] });
    await stage.content.image(APP, 'signature', { subject: image });
    await stage.content.index(LONG, [image], ['all']);
    await stage.write();
    const records = await openHostedStore(join(stage.directory, 'hosted.db'), { isRebuild: true });
    t.after(() => records.close());
    await stage.rebuild({ records });
    assert.deepEqual(await stage.store.unknownFiles(), { count: 0, names: [] });
    assert.deepEqual(await contentOfRecords(records), await contentOfRecords(stage.records));
  });

  test('restores a repository that has nothing left as one', async (t) => {
    const stage = await openStage(t);
    const { digest } = await stage.content.blob(APP, 'deleted');
    await stage.records.deleteBlob(APP, digest);
    await stage.write();
    const { records } = await stage.rebuild();
    assert.equal(await records.hasRepository(APP), true);
    assert.deepEqual(await records.usage(APP), { digests: 0, bytes: 0 });
  });

  test('counts everything as used now, so that nothing is collected at once', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'untagged');
    await stage.content.blob(APP, 'loose');
    await stage.write();
    const { records } = await stage.rebuild({ now: () => 2_000_000_000_000 });
    const before = 2_000_000_000_000;
    const { removed } = await records.collect({ unusedSince: before, untaggedSince: () => before, limit: 9 });
    assert.deepEqual(removed, []);
  });

  test('gives the store back what it has lost, hashed, and nothing that is corrupt', async (t) => {
    const stage = await openStage(t);
    const image = await stage.content.image(APP, 'image', { layers: ['layer', 'corrupt'], tags: ['v1'] });
    await stage.write();
    const corrupt = digestOf(Buffer.from('corrupt'));
    await stage.corrupt(APP, corrupt, 'CORRUPT');
    await rm(join(stage.directory, 'blobs'), { recursive: true });
    const store = await openHostedBlobStore(stage.directory);
    const { records, reasons, report } = await stage.rebuild({ store });
    assert.equal((await contentOf(store, digestOf(Buffer.from('layer')))).toString(), 'layer');
    assert.equal(await store.stat(image), (await stage.records.getManifest(APP, image))?.size);
    assert.equal(await store.stat(corrupt), undefined);
    assert.equal(await records.getBlob(APP, corrupt), undefined);
    assert.equal((await records.getTag(APP, 'v1'))?.digest, image);
    assert.deepEqual(reasons, [
      `blobs/sha256/${digestHex(corrupt)}: it is corrupt, and the store has lost it`,
      `blobs/sha256/${digestHex(image)}: the blob ${corrupt} that it names is missing`,
    ]);
    assert.equal(report.problems, 2);
  });

  test('never gives a repository a blob that only another one has', async (t) => {
    const stage = await openStage(t);
    const other = { registry: 'apps', repository: 'other' };
    const { digest, size } = await stage.content.blob(other, 'a secret');
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size };
    const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [] };
    const naming = await stage.content.manifest(APP, manifest, ['v1']);
    await stage.write();
    const { records, reasons } = await stage.rebuild();
    assert.equal(await records.getBlob(APP, digest), undefined);
    assert.deepEqual(reasons, [`blobs/sha256/${digestHex(naming)}: the blob ${digest} that it names is missing`]);
    assert.deepEqual(await contentOfRecords(records), await contentOfRecords(stage.records));
  });

  test('does not restore a manifest whose bytes are wrong, nor its tags, and restores the others', async (t) => {
    const stage = await openStage(t);
    const kept = await stage.content.image(APP, 'kept', { tags: ['kept'] });
    const wrong = await stage.content.image(APP, 'wrong', { tags: ['wrong'] });
    const short = await stage.content.image(APP, 'short', { tags: ['short'] });
    const lost = await stage.content.image(APP, 'lost', { tags: ['lost'] });
    const ofStore = await stage.content.image(APP, 'of the store', { tags: ['of-the-store'] });
    const large = await stage.content.image(APP, 'large', { tags: ['large'] });
    await stage.write();
    const bytes = await contentOf(stage.store, wrong);
    await stage.corrupt(APP, wrong, bytes.toString().replace('wrong', 'WRONG'));
    await stage.corrupt(APP, short, '{}');
    await rm(stage.blob(APP, lost));
    for (const digest of [wrong, short, lost]) await stage.store.delete(digest);
    // What is right in the store is taken from there.
    await stage.corrupt(APP, ofStore, '{}');
    const index = await readFile(join(stage.root, 'apps+2Fa', 'index.json'), 'utf8');
    const { size: largeSize } = (await stage.records.getManifest(APP, large)) ?? {};
    await writeFile(
      join(stage.root, 'apps+2Fa', 'index.json'),
      index.replace(`${large}","size":${largeSize}`, `${large}","size":5242881`),
    );
    const { records, reasons } = await stage.rebuild();
    assert.deepEqual(
      (await records.listTags(APP, { limit: 9 })).map(({ digest }) => digest),
      [kept, ofStore],
    );
    const shortSize = (await stage.records.getManifest(APP, short))?.size;
    assert.deepEqual(
      reasons.toSorted(),
      [
        `blobs/sha256/${digestHex(wrong)}: the manifest is corrupt: it has another digest`,
        `blobs/sha256/${digestHex(short)}: the manifest has 2 bytes and not ${shortSize}`,
        `blobs/sha256/${digestHex(lost)}: the manifest is missing`,
        `blobs/sha256/${digestHex(large)}: the manifest has 5242881 bytes, and at most 5242880 are read`,
        ...Object.entries({ wrong, short, lost, large }).map(
          ([tag, digest]) => `index.json: the tag ${tag} points to ${digest}, which is not restored`,
        ),
      ].sort(),
    );
  });

  test('reports what is no layout, a layout that is not in its place, and an index that is broken', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'image', { tags: ['v1'] });
    for (const name of ['b', 'c', 'd']) await stage.content.image({ ...APP, repository: name }, name, { tags: ['v1'] });
    await stage.write();
    await cp(join(stage.root, 'apps+2Fa'), join(stage.root, 'copy'), { recursive: true });
    await rename(join(stage.root, 'apps+2Fb'), join(stage.root, 'apps+2Fmoved'));
    await writeFile(join(stage.root, 'apps+2Fc', 'index.json'), '{"schemaVersion":2');
    const index = await readFile(join(stage.root, 'apps+2Fd', 'index.json'), 'utf8');
    const escaping = { registry: 'apps', repository: '../d' };
    await mkdir(join(stage.root, layoutName(escaping)));
    await writeFile(
      join(stage.root, layoutName(escaping), 'index.json'),
      index.replace('repository":"d"', 'repository":"../d"'),
    );
    await writeFile(join(stage.root, 'notes.txt'), 'mine');
    await mkdir(join(stage.root, 'empty'));
    await symlink(join(stage.root, 'apps+2Fa'), join(stage.root, 'linked'));
    const before = (await readdir(stage.root, { recursive: true })).sort();
    const { records, problems, report } = await stage.rebuild();
    assert.deepEqual(
      problems.map(({ file, reason }) => `${file.slice(stage.root.length + 1)}: ${reason}`),
      [
        'apps+2F..+2Fd/index.json: "../d" is no repository\'s name',
        'apps+2Fc/index.json: it is not JSON',
        'apps+2Fmoved/index.json: it is the layout of apps/b, whose directory is apps+2Fb',
        'copy/index.json: it is the layout of apps/a, whose directory is apps+2Fa',
        'empty: it is no directory with an index.json',
        'linked: it is no directory with an index.json',
        'notes.txt: it is no directory with an index.json',
      ],
    );
    assert.deepEqual(report, { repositories: 2, manifests: 2, blobs: 2, tags: 2, problems: 7 });
    assert.deepEqual(
      (await records.listRepositories({ limit: 9 })).map(({ repository }) => repository),
      ['a', 'd'],
    );
    assert.deepEqual((await readdir(stage.root, { recursive: true })).sort(), before, 'something was deleted');
  });

  test('refuses records that have something, and ends when it is told to', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'image', { tags: ['v1'] });
    await stage.write();
    const { directory, store, records } = stage;
    assert.equal(await needsRebuild({ directory, records }), false);
    await assert.rejects(
      rebuildRecords({ directory, store, records }),
      /they are not empty\. Move them elsewhere first/,
    );
    const empty = new MemoryHostedStore();
    assert.equal(await needsRebuild({ directory, records: empty }), true);
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(rebuildRecords({ directory, store, records: empty, signal }), /enough/);
    const nothing = await temporaryDirectory(t);
    assert.equal(await needsRebuild({ directory: nothing, records: empty }), false);
    const report = await rebuildRecords({ directory: nothing, store, records: empty });
    assert.deepEqual(report, { repositories: 0, manifests: 0, blobs: 0, tags: 0, problems: 0 });
  });
});

type Problem = RebuildProgress & { readonly kind: 'problem' };

interface Rebuilt {
  readonly records: HostedStore;
  readonly report: RebuildReport;
  readonly problems: readonly Problem[];
  /** With their files, below the layout. */
  readonly reasons: readonly string[];
}

interface Stage {
  readonly directory: string;
  readonly root: string;
  readonly store: LinkableBlobStore;
  readonly records: HostedStore;
  readonly content: HostedContent;
  /** Writes every layout. */
  write(): Promise<void>;
  rebuild(options?: Partial<RebuildOptions>): Promise<Rebuilt>;
  blob(repository: Repository, digest: Digest): string;
  /** Gives the file of a digest in a layout other bytes, and not that of the store. */
  corrupt(repository: Repository, digest: Digest, text: string): Promise<void>;
}

async function openStage(t: TestContext): Promise<Stage> {
  const directory = await temporaryDirectory(t);
  const store = await openHostedBlobStore(directory);
  const records = new MemoryHostedStore();
  const root = join(directory, 'repositories');
  const blob = (repository: Repository, digest: Digest) =>
    join(root, layoutName(repository), 'blobs', 'sha256', digestHex(digest));
  return {
    directory,
    root,
    store,
    records,
    content: new HostedContent(store, records),
    async write() {
      const warnings: string[] = [];
      const writer = new LayoutWriter({
        directory,
        records,
        store,
        warn: (message) => warnings.push(message),
        rest: 0,
      });
      await writer.start();
      await writer.settled();
      await writer.close();
      assert.deepEqual(warnings, []);
    },
    async rebuild(options = {}) {
      const rebuilt = options.records ?? new MemoryHostedStore();
      const problems: Problem[] = [];
      const onProgress = (progress: RebuildProgress) => void (progress.kind === 'problem' && problems.push(progress));
      const report = await rebuildRecords({ directory, store, records: rebuilt, onProgress, ...options });
      const reasons = problems.map(
        ({ file, reason }) => `${file.slice(root.length).replace(/^\/[^/]*\//, '')}: ${reason}`,
      );
      return { records: rebuilt, report, problems, reasons };
    },
    blob,
    async corrupt(repository, digest, text) {
      await rm(blob(repository, digest));
      await writeFile(blob(repository, digest), text);
    },
  };
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-layout-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
