import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOfRecords, HostedContent } from '../../test/support/hosted-content.ts';
import { memoryDirectory } from '../../test/support/temporary.ts';
import { digestHex, digestOf } from '../oci/index.ts';
import { loadAccessStore, loadHostedStore, openHostedBlobStore } from '../store/index.ts';
import { backUp, copyOwnRecords, restore } from './index.ts';

const { openHostedStore } = await loadHostedStore();
const { openAccessStore } = await loadAccessStore();

const APP = { registry: 'apps', repository: 'a' };

const [, , mode, root = ''] = process.argv;
if (mode === 'backup') await backUpIn(root);
else if (mode === 'restore') await restoreIn(root);
else runTests();

function backUpIn(root: string) {
  const cacheDir = join(root, 'cache');
  return backUp({ cacheDir, directory: join(root, 'backup'), copyRecords: copyOwnRecords(cacheDir), prune: true });
}

function restoreIn(root: string) {
  return restore({ directory: join(root, 'backup'), cacheDir: join(root, 'restored') });
}

/** Pushes a state over the one before, which then is garbage in part. */
async function push(root: string, state: string): Promise<unknown> {
  const hosted = join(root, 'cache', 'hosted');
  const store = await openHostedBlobStore(hosted);
  const records = await openHostedStore(join(hosted, 'hosted.db'));
  const content = new HostedContent(store, records);
  const before = (await records.getTag(APP, 'latest'))?.digest;
  await content.image(APP, state, { layers: ['both', `${state} 1`, `${state} 2`], tags: ['latest', state] });
  if (before !== undefined) {
    await records.deleteManifest(APP, before, { at: content.now(), by: 'bob', immutable: () => false });
    const { unreferenced } = await records.collect({ unusedSince: content.now(), limit: 99 });
    for (const digest of unreferenced) await store.delete(digest);
  }
  const found = await contentOfRecords(records);
  await records.close();
  return found;
}

async function contentIn(cacheDir: string): Promise<unknown> {
  const records = await openHostedStore(join(cacheDir, 'hosted', 'hosted.db'));
  try {
    for (const { digest } of await records.listDigests({ limit: 999 })) {
      const path = join(cacheDir, 'hosted/blobs/sha256', digestHex(digest).slice(0, 2), digestHex(digest));
      assert.equal(digestOf(await readFile(path)), digest);
    }
    return await contentOfRecords(records);
  } finally {
    await records.close();
  }
}

async function killed(t: TestContext, { mode, root, point }: { mode: string; root: string; point: string }) {
  const argv = ['--disable-warning=ExperimentalWarning', import.meta.filename, mode, root];
  const env = { ...process.env, ENTREPOT_CRASH_AT: point };
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'], 'the point was not passed');
}

async function temporaryRoot(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(memoryDirectory(), 'entrepot-backup-crash-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

function runTests(): void {
  describe('a kill of a second backup', () => {
    const points = [
      { point: 'ingest.written', left: 'first' },
      { point: 'commit.renamed#2', left: 'first' },
      { point: 'backup.snapshot', left: 'first' },
      { point: 'backup.copied', left: 'first' },
      { point: 'backup.before-records', left: 'first' },
      { point: 'backup.published', left: 'second' },
    ];
    for (const { point, left } of points) {
      test(`at ${point} leaves the ${left} state, whole, and the next one completes it`, async (t) => {
        const root = await temporaryRoot(t);
        const first = await push(root, 'first');
        await backUpIn(root);
        const second = await push(root, 'second');
        await killed(t, { mode: 'backup', root, point });
        assert.equal((await restoreIn(root)).restored, true);
        assert.deepEqual(await contentIn(join(root, 'restored')), left === 'first' ? first : second);
        await rm(join(root, 'restored'), { recursive: true });
        const again = await backUpIn(root);
        assert.deepEqual([again.problems, again.totalBlobs], [0, again.blobs]);
        await restoreIn(root);
        assert.deepEqual(await contentIn(join(root, 'restored')), second);
      });
    }
  });

  describe('a kill of a restore', () => {
    const points = [
      'restore.begun',
      'ingest.written',
      'commit.renamed#2',
      'backup.copied#3',
      'restore.before-access',
      'restore.before-records',
      'restore.published',
    ];
    for (const point of points) {
      test(`at ${point} leaves no half of it in use, and the next one goes on`, async (t) => {
        const root = await temporaryRoot(t);
        const access = join(root, 'cache', 'access.db');
        const state = await push(root, 'first');
        const users = await openAccessStore(access, { create: true });
        await users?.addUser({ name: 'alice', password: 'x', disabled: false, createdAt: 1, passwordAt: 1 });
        await users?.close();
        await backUpIn(root);
        await killed(t, { mode: 'restore', root, point });
        const restored = join(root, 'restored');
        const file = join(restored, 'hosted', 'hosted.db');
        if (point === 'restore.published') assert.deepEqual(await contentIn(restored), state);
        else await assert.rejects(openHostedStore(file), /a restore was interrupted/);
        if (point !== 'restore.published') {
          const report = await restoreIn(root);
          assert.deepEqual([report.restored, report.problems], [true, 0]);
        }
        assert.deepEqual(await contentIn(restored), state);
        const kept = await openAccessStore(join(restored, 'access.db'), { create: false });
        assert.deepEqual((await kept?.listUsers())?.length, 1);
        await kept?.close();
      });
    }

    test('at its very end is not repeated over what a server has changed since', async (t) => {
      const root = await temporaryRoot(t);
      const state = await push(root, 'first');
      await backUpIn(root);
      await killed(t, { mode: 'restore', root, point: 'restore.published' });
      const report = await restoreIn(root);
      assert.deepEqual([report.restored, report.copiedBlobs], [true, 0]);
      assert.deepEqual(await contentIn(join(root, 'restored')), state);
      await assert.rejects(restoreIn(root), /a restore never replaces any/);
    });
  });
}
