import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { putBlob } from '../../../test/suites/blob-store.ts';
import { HostedContent } from '../../../test/support/hosted-content.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { atOnce } from '../../lib/index.ts';
import { type Digest, digestHex, digestOf, type Repository } from '../../oci/index.ts';
import { type HostedStore, type LinkableBlobStore, loadHostedStore, openHostedBlobStore } from '../../store/index.ts';
import { parseIndex } from './layout-index.ts';
import { layoutName } from './name.ts';
import { LayoutWriter, type LayoutWriterOptions } from './writer.ts';

const { MemoryHostedStore } = await loadHostedStore();

const APP: Repository = { registry: 'apps', repository: 'a' };
const BELOW: Repository = { registry: 'apps', repository: 'a/blobs' };

describe('LayoutWriter', () => {
  test('writes what is there at the start, and what changes, as links that cost nothing', async (t) => {
    const stage = await openStage(t);
    const first = await stage.content.image(APP, 'first', { layers: ['layer'], tags: ['v1', 'latest'] });
    await stage.content.image(BELOW, 'below', { tags: ['v1'] });
    await stage.start();
    await stage.writer.settled();
    assert.deepEqual((await readdir(stage.root)).sort(), ['apps+2Fa', 'apps+2Fa+2Fblobs']);
    assert.equal(
      await readFile(join(stage.root, 'apps+2Fa', 'oci-layout'), 'utf8'),
      '{"imageLayoutVersion":"1.0.0"}\n',
    );
    assert.deepEqual(await stage.tags(APP), ['latest', 'v1']);
    const file = await stat(stage.blob(APP, first));
    assert.equal(file.nlink, 2);
    assert.equal(file.mode & 0o777, 0o400);

    await stage.content.image(APP, 'second', { tags: ['latest'] });
    await stage.records.deleteTag(APP, 'v1', { at: 1, by: 'bob' });
    stage.writer.changed(APP);
    await stage.writer.settled();
    assert.deepEqual(await stage.tags(APP), ['latest']);
    // The manifest that lost its tags is still there.
    assert.equal((await stage.index(APP)).manifests.length, 2);
    await stage.records.deleteManifest(APP, first, { at: 1, by: 'bob', immutable: () => false });
    stage.writer.changed(APP);
    await stage.writer.settled();
    await assert.rejects(stat(stage.blob(APP, first)), { code: 'ENOENT' });
    assert.equal((await stage.index(APP)).manifests.length, 1);
    assert.deepEqual(await stage.store.unknownFiles(), { count: 0, names: [] });
    assert.deepEqual(stage.warnings, []);
  });

  test('writes changes that come together once, and nothing where nothing differs', async (t) => {
    const stage = await openStage(t, { delay: 30 });
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    await stage.start();
    await stage.writer.settled();
    const before = await stat(stage.file(APP, 'index.json'));
    stage.listed.length = 0;
    for (let time = 0; time < 50; time += 1) stage.writer.changed(APP);
    await stage.writer.settled();
    assert.deepEqual(stage.listed, ['apps/a']);
    const after = await stat(stage.file(APP, 'index.json'));
    assert.deepEqual([after.ino, after.mtimeMs], [before.ino, before.mtimeMs]);
  });

  test('writes again what changes while it is written', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    let isFirst = true;
    stage.beforeLink = async () => {
      if (!isFirst) return;
      isFirst = false;
      await stage.content.image(APP, 'two', { tags: ['v2'] });
      stage.writer.changed(APP);
    };
    await stage.start();
    await stage.writer.settled();
    assert.deepEqual(await stage.tags(APP), ['v1', 'v2']);
  });

  test('lets a repository rest that takes long to write', async (t) => {
    const stage = await openStage(t, { delay: 0, rest: 1000 });
    await stage.start();
    await stage.writer.settled();
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    stage.writer.changed(APP);
    await stage.writer.settled();
    await stage.content.image(BELOW, 'other', { tags: ['v1'] });
    await stage.content.image(APP, 'two', { tags: ['v2'] });
    stage.writer.changed(APP);
    stage.writer.changed(BELOW);
    const written = stage.nextIndex(BELOW);
    await written;
    assert.deepEqual(await stage.tags(APP), ['v1'], 'it did not rest');
    // A stop does not wait for it.
    await stage.writer.close();
    assert.deepEqual(await stage.tags(APP), ['v1', 'v2']);
  });

  test('lets it rest also where it changed while it was written', async (t) => {
    const stage = await openStage(t, { delay: 0, rest: 1000 });
    await stage.start();
    await stage.writer.settled();
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    await stage.content.image(BELOW, 'other', { tags: ['v1'] });
    stage.beforeLink = async () => {
      stage.beforeLink = undefined;
      await stage.content.image(APP, 'two', { tags: ['v2'] });
      stage.writer.changed(APP);
      // Written next, unless the first one is due again.
      await new Promise((resolve) => setTimeout(resolve, 5));
      stage.writer.changed(BELOW);
    };
    stage.writer.changed(APP);
    await stage.nextIndex(BELOW);
    assert.deepEqual(stage.listed.slice(0, 2), ['apps/a', 'apps/a/blobs']);
  });

  test('replaces a link to a file that the store has replaced, and keeps one that the store has lost', async (t) => {
    const stage = await openStage(t);
    const text = 'replaced';
    const { digest } = await stage.content.blob(APP, text);
    await stage.start();
    await stage.writer.settled();
    const before = await stat(stage.blob(APP, digest));
    await putBlob(stage.store, Buffer.from(text));
    stage.writer.changed(APP);
    await stage.writer.settled();
    const after = await stat(stage.blob(APP, digest));
    assert.notEqual(after.ino, before.ino);
    await stage.store.delete(digest);
    stage.writer.changed(APP);
    await stage.writer.settled();
    assert.equal((await stat(stage.blob(APP, digest))).nlink, 1);
  });

  test('names no manifest in the index whose file is lost', async (t) => {
    const stage = await openStage(t);
    const digest = await stage.content.image(APP, 'lost', { tags: ['v1'] });
    await stage.store.delete(digest);
    await stage.start();
    await stage.writer.settled();
    assert.deepEqual((await stage.index(APP)).manifests, []);
    assert.deepEqual(await stage.tags(APP), []);
  });

  test('stays off where there are layouts and no records, and touches none', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'kept', { tags: ['v1'] });
    await stage.start();
    await stage.writer.settled();
    await stage.writer.close();
    const records = new MemoryHostedStore();
    const again = await openStage(t, { records, directory: stage.directory });
    await again.start();
    assert.match(again.warnings.join(), /repositories has OCI layouts .* records \(hosted\.db\) are empty/);
    await again.content.image(APP, 'new', { tags: ['v2'] });
    again.writer.changed(APP);
    await again.writer.settled();
    await again.writer.close();
    assert.deepEqual(await stage.tags(APP), ['v1']);
  });

  test('leaves and reports layouts of repositories that the records do not know', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'known', { tags: ['v1'] });
    await mkdir(join(stage.root, 'apps+2Fforgotten'), { recursive: true });
    await stage.start();
    await stage.writer.settled();
    assert.match(stage.warnings.join(), /has 1 entries \(apps\+2Fforgotten\) of no repository/);
    assert.deepEqual((await readdir(stage.root)).sort(), ['apps+2Fa', 'apps+2Fforgotten']);
  });

  test('is switched off with one warning where the file system makes no links', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    await stage.content.image(BELOW, 'two', { tags: ['v1'] });
    stage.outcome = 'impossible';
    await stage.start();
    await stage.writer.settled();
    stage.writer.changed(BELOW);
    await stage.writer.settled();
    assert.equal(stage.warnings.length, 1);
    assert.match(stage.warnings[0] ?? '', /makes no hard links .* cannot be rebuilt\. Back the records up, or move/);
    await assert.rejects(stat(stage.file(APP, 'index.json')), { code: 'ENOENT' });
  });

  test('says once that a file has too many names, and writes the rest', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    stage.outcome = 'too many';
    await stage.start();
    await stage.writer.settled();
    stage.writer.changed(APP);
    await stage.writer.settled();
    assert.equal(stage.warnings.length, 1);
    assert.match(stage.warnings[0] ?? '', /lacks 2 of 2 blobs .* as many names as the file system allows/);
    assert.deepEqual((await stage.index(APP)).manifests, []);
  });

  test('follows no link in the place of a directory, and says so once', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    await stage.content.image(BELOW, 'two', { tags: ['v1'] });
    const elsewhere = join(stage.directory, 'elsewhere');
    await mkdir(join(elsewhere, 'sha256'), { recursive: true });
    const other = join(elsewhere, 'sha256', digestHex(digestOf(Buffer.from('other'))));
    await writeFile(other, 'of another program');
    await mkdir(join(stage.root, 'apps+2Fa'), { recursive: true });
    await symlink(elsewhere, join(stage.root, 'apps+2Fa', 'blobs'));
    await stage.start();
    await stage.nextIndex(BELOW);
    await stage.writer.close();
    assert.match(stage.warnings.join(), /apps\+2Fa cannot be written \(\S+blobs is no directory\. Move it elsewhere\)/);
    assert.deepEqual(await readdir(join(elsewhere, 'sha256')), [digestHex(digestOf(Buffer.from('other')))]);
  });

  test('leaves files of other programs in a layout, and removes its own that were not finished', async (t) => {
    const stage = await openStage(t);
    const digest = await stage.content.image(APP, 'one', { tags: ['v1'] });
    const layout = join(stage.root, 'apps+2Fa');
    await mkdir(join(layout, 'blobs', 'sha256'), { recursive: true });
    const others = [join(layout, 'notes.txt'), join(layout, 'blobs', 'sha256', 'notes.txt')];
    for (const path of others) await writeFile(path, 'mine');
    await writeFile(join(layout, `index.json.${'0f'.repeat(8)}.new`), '{"schema');
    // A folder in the place of a blob.
    await mkdir(stage.blob(APP, digest));
    await stage.start();
    await stage.writer.settled();
    for (const path of others) assert.equal(await readFile(path, 'utf8'), 'mine');
    assert.deepEqual((await readdir(layout)).sort(), ['blobs', 'index.json', 'notes.txt', 'oci-layout']);
    assert.match(stage.warnings.join(), /lacks 1 of 2 blobs/);
  });

  test('tries a layout again that could not be written, after it said so', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    stage.beforeLink = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }));
    await stage.start();
    await stage.nextWarning();
    assert.match(stage.warnings.join(), /apps\+2Fa cannot be written \(ENOSPC: no space left\).* Free some space/);
    stage.beforeLink = undefined;
    await stage.writer.close();
    assert.deepEqual(await stage.tags(APP), ['v1'], 'the stop did not try it');
  });

  test('says once that a layout cannot be written', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'one', { tags: ['v1'] });
    let tried = 0;
    stage.beforeLink = () => {
      tried += 1;
      return Promise.reject(new Error('EIO: i/o error'));
    };
    await stage.start();
    await stage.nextWarning();
    await stage.writer.close();
    assert.ok(tried > 2, `${tried} tries`);
    assert.equal(stage.warnings.length, 1);
  });

  test('stops within its time though a layout is large', async (t) => {
    const stage = await openStage(t, { closeWithin: 20 });
    for (let number = 0; number < 10; number += 1) await stage.content.blob(APP, `${number}`);
    let links = 0;
    const begun = new Promise<void>((resolve) => {
      stage.beforeLink = async () => {
        links += 1;
        resolve();
        await new Promise((next) => setTimeout(next, 20));
      };
    });
    await stage.start();
    await begun;
    await stage.writer.close();
    assert.ok(links < 10, `${links} links`);
    assert.deepEqual(stage.warnings, []);
    await stage.writer.settled();
    stage.writer.changed(APP);
    await stage.writer.settled();
  });
});

interface Stage {
  readonly directory: string;
  readonly root: string;
  readonly store: LinkableBlobStore;
  readonly records: HostedStore;
  readonly content: HostedContent;
  readonly writer: LayoutWriter;
  readonly warnings: string[];
  /** Repositories whose tags were asked for. */
  readonly listed: string[];
  beforeLink: (() => Promise<unknown>) | undefined;
  /** What every link comes to, instead of a link. */
  outcome: 'impossible' | 'too many' | undefined;
  start(): Promise<void>;
  nextWarning(): Promise<void>;
  nextIndex(repository: Repository): Promise<void>;
  file(repository: Repository, name: string): string;
  blob(repository: Repository, digest: Digest): string;
  index(repository: Repository): Promise<ReturnType<typeof read>>;
  tags(repository: Repository): Promise<readonly string[]>;
}

const read = (text: string) => atOnce(parseIndex(text));

async function openStage(
  t: TestContext,
  options: Partial<LayoutWriterOptions> & { readonly records?: HostedStore } = {},
): Promise<Stage> {
  const directory = options.directory ?? (await temporaryDirectory(t));
  const store = await openHostedBlobStore(directory);
  const records = options.records ?? new MemoryHostedStore();
  const warnings: string[] = [];
  const listed: string[] = [];
  const waiting: (() => void)[] = [];
  const listTags = records.listTags.bind(records);
  records.listTags = (repository, page) => {
    listed.push(`${repository.registry}/${repository.repository}`);
    return listTags(repository, page);
  };
  const linkTo = store.linkTo.bind(store);
  store.linkTo = async (digest, path) => {
    await stage.beforeLink?.();
    return stage.outcome ?? linkTo(digest, path);
  };
  const warn = (message: string): void => {
    warnings.push(message);
    for (const resolve of waiting.splice(0)) resolve();
  };
  const writer = new LayoutWriter({ delay: 0, rest: 0, ...options, directory, records, store, warn });
  t.after(() => writer.close());
  const root = join(directory, 'repositories');
  const file = (repository: Repository, name: string) => join(root, layoutName(repository), name);
  const index = async (repository: Repository) => read(await readFile(file(repository, 'index.json'), 'utf8'));
  const stage: Stage = {
    directory,
    root,
    store,
    records,
    content: new HostedContent(store, records),
    writer,
    warnings,
    listed,
    beforeLink: undefined,
    outcome: undefined,
    start: () => writer.start(),
    nextWarning: () => new Promise((resolve) => waiting.push(resolve)),
    async nextIndex(repository) {
      while ((await readFile(file(repository, 'index.json')).catch(() => undefined)) === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    file,
    blob: (repository, digest) => file(repository, join('blobs', 'sha256', digestHex(digest))),
    index,
    tags: async (repository) => (await index(repository)).tags.map(({ tag }) => tag),
  };
  return stage;
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-layout-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
