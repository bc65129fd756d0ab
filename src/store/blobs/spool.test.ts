import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { listed } from '../../../test/suites/blob-store.ts';
import { digestOf } from '../../oci/index.ts';
import { openSpoolBlobStore, removeSpool } from './spool.ts';

describe('openSpoolBlobStore', () => {
  test('lets a file grow and be read, with no name on the disk from the beginning', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openSpoolBlobStore(directory);
    const ingestion = await store.begin();
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
    const target = Buffer.alloc(10);
    await ingestion.write(Buffer.from('abc'), 0);
    assert.equal(await ingestion.read(target, 1), 2);
    await ingestion.write(Buffer.from('def'), 3);
    assert.equal(await ingestion.read(target, 0), 6);
    assert.equal(target.toString('latin1', 0, 6), 'abcdef');
    await ingestion.close();
    await assert.rejects(ingestion.read(target, 0), /closed/);
  });

  test('keeps nothing of what is committed, while its readers read on', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openSpoolBlobStore(directory);
    const bytes = Buffer.from('passing');
    const ingestion = await store.begin();
    await ingestion.write(bytes, 0);
    await ingestion.commit(digestOf(bytes));
    const target = Buffer.alloc(7);
    assert.equal(await ingestion.read(target, 0), 7);
    assert.deepEqual(target, bytes);
    assert.equal(await store.open(digestOf(bytes)), undefined);
    assert.equal(await store.stat(digestOf(bytes)), undefined);
    assert.equal(await store.delete(digestOf(bytes)), false);
    await store.quarantine(digestOf(bytes));
    assert.deepEqual(await listed(store), []);
    await ingestion.close();
    assert.deepEqual(await readdir(directory), ['ingest']);
  });

  test('removes what was left over, and touches no blob of a cache that was switched off', async (t) => {
    const directory = await temporaryDirectory(t);
    await mkdir(join(directory, 'ingest'));
    await writeFile(join(directory, 'ingest', 'f'.repeat(32)), 'over');
    await writeFile(join(directory, 'ingest', 'notes'), 'mine');
    await mkdir(join(directory, 'blobs'));
    await openSpoolBlobStore(directory);
    assert.deepEqual(await readdir(join(directory, 'ingest')), ['notes']);
    await removeSpool(directory);
    assert.deepEqual(await readdir(join(directory, 'ingest')), ['notes']);
    assert.deepEqual((await readdir(directory)).sort(), ['blobs', 'ingest']);
  });

  test('is removed whole where nothing else is in it, also where it is gone', async (t) => {
    const directory = join(await temporaryDirectory(t), 'spool');
    await openSpoolBlobStore(directory);
    for (let turn = 0; turn < 2; turn += 1) {
      await removeSpool(directory);
      await assert.rejects(readdir(directory), { code: 'ENOENT' });
    }
  });

  test('explains a directory that is a file', async (t) => {
    const file = join(await temporaryDirectory(t), 'file');
    await writeFile(file, '');
    await assert.rejects(openSpoolBlobStore(file), { name: 'DirectoryError', message: /that is a file/ });
  });
});

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-spool-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
