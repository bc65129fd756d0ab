import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { blobStoreSuite, contentOf, listed, putBlob } from '../../../test/suites/blob-store.ts';
import { type Digest, digestOf } from '../../oci/index.ts';
import { openFilesystemBlobStore } from './filesystem.ts';
import { layoutOf } from './layout.ts';

blobStoreSuite('filesystem', async (t) => openFilesystemBlobStore(await temporaryDirectory(t)));

/** What other programs may leave in the place of a blob. */
const PLANTS: readonly ((path: string) => unknown)[] = [
  async (path) => {
    await mkdir(path);
    await writeFile(join(path, 'notes.txt'), 'mine');
  },
  (path) => symlink('/nowhere', path),
  (path) => execFileSync('mkfifo', [path]),
];

describe('openFilesystemBlobStore', () => {
  test('creates its directories for this user alone', async (t) => {
    const directory = join(await temporaryDirectory(t), 'a', 'b');
    await openFilesystemBlobStore(directory);
    assert.deepEqual((await readdir(directory)).sort(), ['blobs', 'ingest', 'quarantine']);
    for (const each of ['.', 'blobs', 'ingest']) {
      assert.equal((await stat(join(directory, each))).mode & 0o777, 0o700);
    }
  });

  test('explains a directory that is a file', async (t) => {
    const file = join(await temporaryDirectory(t), 'file');
    await writeFile(file, '');
    await assert.rejects(openFilesystemBlobStore(file), { name: 'DirectoryError', message: /that is a file/ });
    await assert.rejects(openFilesystemBlobStore(join(file, 'below')), {
      code: 'ENOTDIR',
      message: /part of that path/,
    });
  });

  test('finds again what was stored, and removes what was left half-written, and nothing else', async (t) => {
    const directory = await temporaryDirectory(t);
    const bytes = Buffer.from('stays');
    const before = await openFilesystemBlobStore(directory);
    await putBlob(before, bytes);
    const abandoned = await before.begin();
    t.after(() => abandoned.close());
    await abandoned.write(Buffer.from('half'), 0);
    await mkdir(join(directory, 'ingest', 'odd', 'thing'), { recursive: true });
    assert.equal((await readdir(join(directory, 'ingest'))).length, 2);

    const others = ['f'.repeat(31), `${'f'.repeat(32)}.txt`, 'F'.repeat(32), 'notes.txt'];
    for (const name of others) await writeFile(join(directory, 'ingest', name), 'mine');
    await symlink(join(directory, 'blobs'), join(directory, 'ingest', 'f'.repeat(32)));

    const messages: string[] = [];
    const after = await openFilesystemBlobStore(directory, { onUnknown: (message) => messages.push(message) });
    assert.deepEqual((await readdir(join(directory, 'ingest'))).sort(), [...others, 'f'.repeat(32), 'odd'].sort());
    assert.deepEqual(await readdir(join(directory, 'ingest', 'odd')), ['thing']);
    assert.match(messages.join('\n'), /^\S+\/ingest holds files of another program \(6\), which are left there\./);
    assert.deepEqual(await contentOf(after, digestOf(bytes)), bytes);
  });
});

describe('the filesystem store', () => {
  test('gives a file another mark once it was written to, though its size and time are put back', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const bytes = Buffer.from('marked');
    const digest = digestOf(bytes);
    await putBlob(store, bytes);
    const markNow = async () => {
      const blob = await store.open(digest);
      await blob?.close();
      return blob?.mark;
    };
    const before = await markNow();
    const path = layoutOf(directory).blob(digest);
    const { atime, mtime } = await stat(path);
    // A kernel's clock for files ticks every few milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await chmod(path, 0o600);
    await writeFile(path, 'Marked');
    await utimes(path, atime, mtime);
    assert.equal((await stat(path)).size, bytes.length);
    assert.notEqual(await markNow(), before);
  });

  test('keeps each blob read-only in the shard of its digest', async (t) => {
    const directory = await temporaryDirectory(t);
    const bytes = Buffer.from('placed');
    await putBlob(await openFilesystemBlobStore(directory), bytes);
    const hex = digestOf(bytes).slice(7);
    const path = join(directory, 'blobs', 'sha256', hex.slice(0, 2), hex);
    assert.deepEqual(await readFile(path), bytes);
    assert.equal((await stat(path)).mode & 0o777, 0o400);
  });

  test('leaves no ingest file behind, whichever way an ingest ends', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const bytes = Buffer.from('ended');
    for (const end of ['commit', 'commit again', 'abort', 'close', 'abort while committing'] as const) {
      const ingestion = await store.begin();
      assert.equal((await readdir(join(directory, 'ingest'))).length, 1, end);
      await ingestion.write(bytes, 0);
      if (end === 'commit' || end === 'commit again') await ingestion.commit(digestOf(bytes));
      if (end === 'abort') await ingestion.abort();
      if (end === 'abort while committing') {
        await Promise.all([ingestion.commit(digestOf(bytes)), ingestion.abort()]);
        assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
      }
      await ingestion.close();
      assert.deepEqual(await readdir(join(directory, 'ingest')), [], end);
    }
  });

  test('passes over whatever is planted in the place of a blob', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const secret = join(directory, 'secret');
    await writeFile(secret, 'not a blob');
    const plants: Record<string, (path: string) => Promise<void>> = {
      'symbolic link': (path) => symlink(secret, path),
      'dangling link': (path) => symlink(join(directory, 'nowhere'), path),
      directory: async (path) => void (await mkdir(join(path, 'inner'), { recursive: true })),
      'named pipe': async (path) => void execFileSync('mkfifo', [path]),
    };
    for (const [what, plant] of Object.entries(plants)) {
      const bytes = Buffer.from(what);
      const digest = digestOf(bytes);
      const path = layoutOf(directory).blob(digest);
      await mkdir(dirname(path), { recursive: true });
      await plant(path);
      assert.equal(await store.open(digest), undefined, `${what} was opened`);
      assert.equal(await store.stat(digest), undefined, `${what} has a size`);
      assert.equal(await store.delete(digest), false, `${what} was deleted`);
      assert.ok(!(await listed(store)).some(([each]) => each === digest), `${what} was listed`);
      await putBlob(store, bytes);
      assert.deepEqual(await contentOf(store, digest), bytes, `${what} stood in the way of a commit`);
    }
    assert.equal(await readFile(secret, 'utf8'), 'not a blob');
  });

  test('passes over a link, and a file, in the place of a shard directory', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const digest = digestOf(Buffer.from('x'));
    await writeFile(layoutOf(directory).shard(digest), 'a file');
    assert.equal(await store.open(digest), undefined);
    assert.equal(await store.stat(digest), undefined);
    assert.deepEqual(await listed(store), []);
  });

  test('lists nothing that is misnamed or misplaced', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const shard = join(directory, 'blobs', 'sha256', '00');
    await mkdir(shard);
    await writeFile(join(shard, 'README'), '');
    await writeFile(join(shard, 'ff'.repeat(32)), '');
    await writeFile(join(shard, '00'.repeat(31)), '');
    await writeFile(join(shard, '00'.repeat(32)), 'abc');
    assert.deepEqual(await listed(store), [[`sha256:${'00'.repeat(32)}`, 3]]);
  });

  test('builds no path that leaves the directory', () => {
    const layout = layoutOf('/cache');
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const digest = digestOf(Buffer.from('any'), algorithm);
      for (const path of [layout.blob(digest), layout.newQuarantined(digest), layout.newIngest()]) {
        assert.match(path, /^\/cache\/(blobs|quarantine|ingest)\/[a-z0-9/.-]+$/);
        assert.ok(!path.includes('..'));
      }
    }
  });

  test('keeps no more than two gigabytes in quarantine, the latest first', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    for (const name of ['first', 'second', 'third']) {
      const digest = digestOf(Buffer.from(name));
      await putBlob(store, Buffer.from(name));
      const path = layoutOf(directory).blob(digest);
      await chmod(path, 0o600);
      // Sparse: without a byte on the disk.
      await truncate(path, name === 'third' ? 3 * 1024 ** 3 : 1024 ** 3 + 1);
      await store.quarantine(digest);
      const kept = await readdir(join(directory, 'quarantine'));
      // A blob too large by itself does not evict the others.
      const expected = name === 'third' ? 'second' : name;
      assert.deepEqual(
        kept.map((each) => each.slice(7, 71)),
        [digestOf(Buffer.from(expected)).slice(7)],
        name,
      );
      // A kernel's clock for files ticks every few milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test('keeps the bytes of what it quarantines, up to sixteen of them', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const digest = digestOf(Buffer.from('wanted'));
    for (let round = 0; round < 20; round += 1) {
      await putBlob(store, Buffer.from(`wrong ${round}`), digest);
      await store.quarantine(digest);
    }
    const kept = await readdir(join(directory, 'quarantine'));
    assert.equal(kept.length, 16);
    assert.ok(kept.every((name) => name.startsWith(`sha256-${digest.slice(7)}.`)));
    const contents = await Promise.all(kept.map((name) => readFile(join(directory, 'quarantine', name), 'utf8')));
    assert.ok(contents.includes('wrong 19'), 'the latest was removed');
  });

  test('deletes nothing in the quarantine that it did not put there', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    await writeFile(join(directory, 'quarantine', 'notes.txt'), 'mine');
    for (let number = 0; number < 20; number += 1) {
      const bytes = Buffer.from(`corrupt ${number}`);
      await putBlob(store, bytes);
      await store.quarantine(digestOf(bytes));
    }
    const kept = await readdir(join(directory, 'quarantine'));
    assert.ok(kept.includes('notes.txt'));
    assert.equal(kept.length, 16 + 1);
  });

  for (const how of ['quarantine', 'commit'] as const) {
    test(`moves what is no file out of a blob's place at a ${how}, once, and says where it is`, async (t) => {
      const directory = await temporaryDirectory(t);
      const messages: string[] = [];
      const store = await openFilesystemBlobStore(directory, { onUnknown: (message) => messages.push(message) });
      const bytes = Buffer.from('replaced');
      const digest = digestOf(bytes);
      const path = layoutOf(directory).blob(digest);
      const moved: RegExp[] = [];
      for (const plant of PLANTS) {
        await mkdir(dirname(path), { recursive: true });
        await rm(path, { force: true });
        await plant(path);
        if (how === 'quarantine') await store.quarantine(digest);
        await putBlob(store, bytes);
        assert.deepEqual(await contentOf(store, digest), bytes);
        moved.push(/^\/.* was no file of the cache\. It is now \/.*\/foreign\/sha256-\S+, and is never deleted\.$/);
      }
      assert.equal(messages.length, PLANTS.length);
      for (const [index, pattern] of moved.entries()) assert.match(messages[index] ?? '', pattern);
      const foreign = await readdir(join(directory, 'foreign'), { recursive: true });
      assert.equal(foreign.filter((name) => name.endsWith('notes.txt')).length, 1);
      assert.equal(foreign.length, PLANTS.length + 1);
      assert.deepEqual(await readdir(join(directory, 'quarantine')), []);
      assert.equal((await store.unknownFiles()).count, PLANTS.length);
    });
  }

  test('leaves what is no file where it is once 256 of them were moved', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    await mkdir(join(directory, 'foreign'));
    for (let number = 0; number < 256; number += 1) await writeFile(join(directory, 'foreign', `${number}`), '');
    const bytes = Buffer.from('in its way');
    const digest = digestOf(bytes);
    const path = layoutOf(directory).blob(digest);
    await mkdir(path, { recursive: true });
    await assert.rejects(putBlob(store, bytes), /is no file of the cache, and \S+foreign is full\. Move what it holds/);
    await assert.rejects(store.quarantine(digest), /is full/);
    assert.ok((await stat(path)).isDirectory());
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
  });

  test('makes a shard directory again that was removed while it ran', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const bytes = Buffer.from('back');
    await putBlob(store, bytes);
    await rm(layoutOf(directory).shard(digestOf(bytes)), { recursive: true });
    await putBlob(store, bytes);
    assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
  });

  test('passes on the error of the system where a commit fails, and leaves nothing behind', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openFilesystemBlobStore(directory);
    const digest: Digest = digestOf(Buffer.from('x'));
    await writeFile(layoutOf(directory).shard(digest), 'in the way');
    const ingestion = await store.begin();
    await ingestion.write(Buffer.from('x'), 0);
    await assert.rejects(ingestion.commit(digest), { code: 'ENOTDIR' });
    await assert.rejects(ingestion.commit(digest), /committed before/);
    const target = Buffer.alloc(1);
    assert.equal(await ingestion.read(target, 0), 1, 'readers were cut off');
    await ingestion.close();
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
  });
});

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-store-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
