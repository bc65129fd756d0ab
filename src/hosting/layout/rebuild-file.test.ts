import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { contentOfRecords, HostedContent } from '../../../test/support/hosted-content.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { loadHostedStore, openHostedBlobStore } from '../../store/index.ts';
import { LayoutWriter, rebuildRecordsFile } from './index.ts';

const { openHostedStore } = await loadHostedStore();

const APP = { registry: 'apps', repository: 'a' };

describe('rebuildRecordsFile', () => {
  test('makes a lost file again, also where its log is left', async (t) => {
    const { directory, file, expected } = await writeStage(t);
    await rm(file);
    await writeFile(`${file}-wal`, 'a log of another file');
    const report = await rebuildRecordsFile({ directory });
    assert.deepEqual([report.repositories, report.tags, report.problems], [1, 2, 0]);
    assert.match(report.damaged ?? '', /hosted\.db\.corrupt-\d{8}T\d{9}Z$/);
    assert.equal(await readFile(`${report.damaged}-wal`, 'utf8'), 'a log of another file');
    await assertRecords(t, file, expected);
    assert.deepEqual(await openUnknown(directory), { count: 0, names: [] });
  });

  test('moves a damaged file aside, and one that has no records', async (t) => {
    const { directory, file, expected } = await writeStage(t);
    await writeFile(file, 'no database at all, though it is long enough to be one');
    const report = await rebuildRecordsFile({ directory });
    assert.match(await readFile(report.damaged ?? '', 'utf8'), /^no database/);
    await assertRecords(t, file, expected);
    await rm(file);
    await (await openHostedStore(file, { isRebuild: true })).close();
    const again = await rebuildRecordsFile({ directory });
    assert.notEqual(again.damaged, undefined);
    await assertRecords(t, file, expected);
  });

  test('replaces no records that can be read, nor those of a newer release', async (t) => {
    const { directory, file } = await writeStage(t);
    await assert.rejects(rebuildRecordsFile({ directory }), {
      name: 'RebuildError',
      message: /it has the records of 1 repositories, and can be read\. Move it elsewhere first/,
    });
    const database = new DatabaseSync(file);
    database.exec('PRAGMA user_version = 99');
    database.close();
    const before = (await readdir(directory)).filter((name) => !/-(?:wal|shm)$/.test(name)).sort();
    await assert.rejects(rebuildRecordsFile({ directory }), {
      name: 'HostedStoreError',
      message: /version 99 and this release knows/,
    });
    assert.deepEqual((await readdir(directory)).filter((name) => !/-(?:wal|shm)$/.test(name)).sort(), before);
  });

  test('leaves everything as it was where it is ended, or there is nothing to rebuild from', async (t) => {
    const { directory, file } = await writeStage(t);
    await writeFile(file, 'damaged beyond all recognition, and quite a bit longer');
    const signal = AbortSignal.abort(new Error('enough'));
    const before = (await readdir(directory)).sort();
    await assert.rejects(rebuildRecordsFile({ directory, signal }), /enough/);
    assert.deepEqual((await readdir(directory)).sort(), before);
    await rename(join(directory, 'repositories'), join(directory, '..', 'moved'));
    await assert.rejects(rebuildRecordsFile({ directory }), {
      name: 'RebuildError',
      message: /there are no layouts of repositories in \S+\. Nothing was pushed there, or/,
    });
    assert.deepEqual(
      await readdir(directory),
      before.filter((name) => name !== 'repositories'),
    );
  });
});

/** A directory of hosted content with records, closed, and its layouts. */
async function writeStage(t: TestContext) {
  const parent = await mkdtemp(join(memoryDirectory(), 'entrepot-rebuild-'));
  t.after(() => rm(parent, { recursive: true, force: true }));
  const directory = join(parent, 'hosted');
  const file = join(directory, 'hosted.db');
  const store = await openHostedBlobStore(directory);
  const records = await openHostedStore(file);
  await new HostedContent(store, records).image(APP, 'image', { layers: ['layer'], tags: ['v1', 'latest'] });
  const writer = new LayoutWriter({ directory, records, store, warn: (message) => assert.fail(message) });
  await writer.start();
  await writer.settled();
  await writer.close();
  const expected = await contentOfRecords(records);
  await records.close();
  return { directory, file, expected };
}

async function assertRecords(t: TestContext, file: string, expected: unknown): Promise<void> {
  const records = await openHostedStore(file);
  t.after(() => records.close());
  assert.deepEqual(await contentOfRecords(records), expected);
  await records.close();
}

async function openUnknown(directory: string): Promise<unknown> {
  return (await openHostedBlobStore(directory)).unknownFiles();
}
