import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOf, listed, putBlob } from '../../../test/suites/blob-store.ts';
import { digestAlgorithm, digestOf } from '../../oci/index.ts';
import { lockDirectory } from '../directory/lock.ts';
import { openSqliteMetadataStore } from '../metadata/sqlite.ts';
import { openFilesystemBlobStore } from './filesystem.ts';

const BEFORE = Buffer.from('stored before');
const BYTES = Buffer.alloc(300_000, 'stored while it died');

if (process.argv[2] === 'store') await storeOne(process.argv[3] ?? '');
else if (process.argv[2] === 'store on') await storeOn(process.argv[3] ?? '');
else runTests();

/** Takes one blob through its whole life, as the cache does; a crash point kills the process on the way. */
async function storeOne(directory: string): Promise<void> {
  await lockDirectory(directory);
  const store = await openFilesystemBlobStore(directory);
  const names = await openSqliteMetadataStore(join(directory, 'names.sqlite'));
  const ingestion = await store.begin();
  for (let position = 0; position < BYTES.length; position += 100_000) {
    await ingestion.write(BYTES.subarray(position, position + 100_000), position);
  }
  await ingestion.commit(digestOf(BYTES));
  await names.putBlob({ digest: digestOf(BYTES), size: BYTES.length, kind: 'mirrored', storedAt: 1 });
}

/** Stores blobs, three at a time, until it is killed. */
async function storeOn(directory: string): Promise<void> {
  await lockDirectory(directory);
  const store = await openFilesystemBlobStore(directory);
  const names = await openSqliteMetadataStore(join(directory, 'names.sqlite'));
  process.send?.('begun');
  async function writer(): Promise<void> {
    for (let round = 0; round < 1000; round += 1) {
      const bytes = randomBytes(1 + Math.floor(Math.random() * 200_000));
      await putBlob(store, bytes);
      await names.putBlob({ digest: digestOf(bytes), size: bytes.length, kind: 'mirrored', storedAt: 1 });
    }
  }
  await Promise.all([writer(), writer(), writer()]);
}

function runTests(): void {
  describe('a kill', () => {
    const points = [
      { point: 'ingest.created', visible: false, indexed: false },
      { point: 'ingest.written', visible: false, indexed: false },
      { point: 'ingest.written#3', visible: false, indexed: false },
      { point: 'commit.synced', visible: false, indexed: false },
      { point: 'commit.sharded', visible: false, indexed: false },
      { point: 'commit.renamed', visible: true, indexed: false },
      { point: 'commit.flushed', visible: true, indexed: false },
      { point: 'commit.indexed', visible: true, indexed: true },
    ];
    for (const { point, visible, indexed } of points) {
      test(`at ${point} leaves a blob that is ${visible ? 'whole' : 'not there'}, and nothing else`, async (t) => {
        const directory = await temporaryDirectory(t);
        await putBlob(await openFilesystemBlobStore(directory), BEFORE);
        const child = start(t, 'store', { directory, crashAt: point });
        const [code, signal] = await once(child, 'exit');
        assert.deepEqual([code, signal], [null, 'SIGKILL'], 'the point was not passed');

        await assertSound(t, directory, async (store, names) => {
          assert.deepEqual(await contentOf(store, digestOf(BEFORE)), BEFORE);
          assert.equal((await store.stat(digestOf(BYTES))) !== undefined, visible);
          assert.equal((await names.totals()).blobs, indexed ? 1 : 0);
          // The next attempt succeeds.
          await putBlob(store, BYTES);
          assert.deepEqual(await contentOf(store, digestOf(BYTES)), BYTES);
        });
      });
    }

    test('at any moment leaves nothing wrong and nothing behind', async (t) => {
      const directory = await temporaryDirectory(t);
      for (let round = 0; round < 8; round += 1) {
        const child = start(t, 'store on', { directory });
        await once(child, 'message');
        const exited = once(child, 'exit');
        // The kill may come at any moment: there is no event to wait for.
        setTimeout(() => child.kill('SIGKILL'), Math.random() * 80);
        await exited;
        await assertSound(t, directory);
      }
    });

    test('does not happen where no point is named', async (t) => {
      const directory = await temporaryDirectory(t);
      const child = start(t, 'store', { directory });
      assert.deepEqual(await once(child, 'exit'), [0, null]);
    });
  });
}

type Store = Awaited<ReturnType<typeof openFilesystemBlobStore>>;
type Names = Awaited<ReturnType<typeof openSqliteMetadataStore>>;

/** Opens the directory of a killed process, and checks that each digest has the right bytes and no other file is left. */
async function assertSound(
  t: TestContext,
  directory: string,
  further?: (store: Store, names: Names) => Promise<void>,
): Promise<void> {
  const lock = await lockDirectory(directory);
  const store = await openFilesystemBlobStore(directory);
  const names = await openSqliteMetadataStore(join(directory, 'names.sqlite'));
  t.after(() => names.close());
  assert.deepEqual(await readdir(join(directory, 'ingest')), []);
  for (const [name] of await listed(store)) {
    const digest = name as ReturnType<typeof digestOf>;
    assert.equal(digestOf(await contentOf(store, digest), digestAlgorithm(digest)), digest);
  }
  const records = await names.leastRecentlyUsed(10_000);
  for (const { digest, size } of records)
    assert.equal(await store.stat(digest), size, `${digest} is named, not stored`);
  const bytes = records.reduce((sum, record) => sum + record.size, 0);
  assert.deepEqual(await names.totals(), { blobs: records.length, bytes });
  await further?.(store, names);
  await names.close();
  await lock.release();
}

function start(t: TestContext, role: string, options: { directory: string; crashAt?: string }): ChildProcess {
  const argv = ['--disable-warning=ExperimentalWarning', import.meta.filename, role, options.directory];
  const env = { ...process.env, ENTREPOT_CRASH_AT: options.crashAt ?? '' };
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-crash-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
