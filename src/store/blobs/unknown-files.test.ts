import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { putBlob } from '../../../test/suites/blob-store.ts';
import { digestOf } from '../../oci/index.ts';
import { openFilesystemBlobStore } from './filesystem.ts';
import { layoutOf } from './layout.ts';

/** What a server and its commands leave in a cache directory. */
const OURS = [
  'entrepot-cache.json',
  'entrepot-cache.json.0123456789abcdef.new',
  'names.db',
  'names.db-wal',
  'names.db-shm',
  'names.db.new',
  'names.backup.db',
  'names.backup.db.new',
  'names.backup.db.new-journal',
  'names.db.corrupt-20260131T095500123Z',
  'names.db.corrupt-20260131T095500123Z-wal',
  'access.db',
  'access.db-journal',
  'access.db.new',
  'access.db.new-journal',
  'lock',
  'lock-journal',
  'owner.json',
  'owner.json.new',
  'clean-stop.json',
  'control.sock',
  'ca/ca.crt',
  'acme/ca.example-directory/account.key',
  'acme/ca.example-directory/mirror.example.com.pem',
  'acme/ca.example-directory/mirror.example.com.failure.json.new',
  'ca/ca.key',
  `ingest/${'0f'.repeat(16)}`,
  `quarantine/sha256-${'0f'.repeat(32)}.0123abcd`,
  `blobs/sha256/0f/${'0f'.repeat(32)}`,
  `blobs/sha512/0f/${'0f'.repeat(64)}`,
  'lost+found/#12',
  'hosted/hosted.db',
  'hosted/hosted.db-wal',
  'hosted/hosted.backup.db',
  'hosted/hosted.db.rebuild',
  'hosted/hosted.db.rebuild.new-journal',
  'hosted/hosted.db.corrupt-20260131T095500123Z',
  'hosted/uploads/6f1c-0a',
  'hosted/uploads/6f1c-0a.note',
  'hosted/uploads/alone.note',
  `hosted/uploads/a.note.${'0f'.repeat(8)}.new`,
  `hosted/ingest/${'0f'.repeat(16)}`,
  `hosted/quarantine/sha256-${'0f'.repeat(32)}.0123abcd`,
  `hosted/blobs/sha256/0f/${'0f'.repeat(32)}`,
  'hosted/repositories/apps+2Fweb/oci-layout',
  'hosted/repositories/apps+2Fweb/index.json',
  `hosted/repositories/apps+2Fweb/index.json.${'0f'.repeat(8)}.new`,
  `hosted/repositories/apps+2Fweb/blobs/sha256/${'0f'.repeat(32)}`,
  `hosted/repositories/apps+2Fweb/blobs/sha512/${'0f'.repeat(64)}`,
];

/** What none of them writes. */
const OTHERS = [
  '.nfs0001',
  'access.db.bak',
  'blobs/notes',
  'blobs/md5/0f/file',
  `blobs/sha256/0f/${'0e'.repeat(32)}`,
  `blobs/sha256/0f/${'0F'.repeat(32)}`,
  `blobs/sha256/xyz/${'0f'.repeat(32)}`,
  'blobs/sha256/file',
  'ca/notes',
  'foreign/anything',
  'hosted/blobs/notes',
  'hosted/names.db',
  'hosted/notes',
  'hosted/repositories/apps+2Fweb/blobs/md5/x',
  'hosted/repositories/apps+2Fweb/blobs/sha256/notes',
  'hosted/repositories/apps+2Fweb/notes',
  'hosted/repositories/notes',
  'hosted/uploads/without-a-note',
  'ingest/notes',
  'names.db.corrupt-by-me',
  'photo.jpg',
  'quarantine/notes.txt',
  'src/a',
  'src/b',
];

test('finds what other programs put into a cache directory, a directory as one, and touches nothing', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = await openFilesystemBlobStore(directory);
  await putBlob(store, Buffer.from('blob'));
  await plant(directory, OURS);
  assert.deepEqual(await store.unknownFiles(), { count: 0, names: [] });
  await plant(directory, OTHERS);
  const before = (await readdir(directory, { recursive: true })).sort();
  const { count, names } = await store.unknownFiles();
  assert.equal(count, OTHERS.length - 1);
  assert.equal(names.length, 10);
  assert.deepEqual(names.slice(0, 3), ['.nfs0001', 'access.db.bak', 'blobs/md5']);
  assert.deepEqual((await readdir(directory, { recursive: true })).sort(), before);
});

test('counts a directory in the place of a blob', async (t) => {
  const directory = await temporaryDirectory(t);
  const store = await openFilesystemBlobStore(directory);
  const path = layoutOf(directory).blob(digestOf(Buffer.from('x')));
  await mkdir(path, { recursive: true });
  assert.equal((await store.unknownFiles()).count, 1);
});

async function plant(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), 'planted');
  }
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-unknown-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
