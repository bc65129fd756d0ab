import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { blobStoreSuite, contentOf, listed, putBlob } from '../../../test/suites/blob-store.ts';
import { resumableStoreSuite } from '../../../test/suites/resumable-store.ts';
import { mountSmallDisk } from '../../../test/support/small-disk.ts';
import { digestOf } from '../../oci/index.ts';
import { openFilesystemBlobStore } from './filesystem.ts';
import { openHostedBlobStore } from './hosted.ts';
import { layoutOf } from './layout.ts';

blobStoreSuite('hosted', async (t) => openHostedBlobStore(await temporaryDirectory(t)));
resumableStoreSuite('hosted', async (t) => openHostedBlobStore(await temporaryDirectory(t)));

describe('openHostedBlobStore', () => {
  test('keeps named files over a restart, and removes the others that were growing', async (t) => {
    const directory = await temporaryDirectory(t);
    const before = await openHostedBlobStore(directory);
    const named = await before.beginNamed('kept', 'note');
    await named.write(Buffer.from('half'), 0);
    const plain = await before.begin();
    await plain.write(Buffer.from('gone'), 0);
    t.after(() => Promise.all([named.close(), plain.close()]));
    for (const name of ['kept', 'kept.note']) {
      assert.equal((await stat(join(directory, 'uploads', name))).mode & 0o777, 0o600);
    }

    const messages: string[] = [];
    const after = await openHostedBlobStore(directory, { onUnknown: (message) => messages.push(message) });
    assert.deepEqual(messages, []);
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
    const again = await after.reopen('kept');
    assert.deepEqual([again?.size, again?.note], [4, 'note']);
    await again?.file.write(Buffer.from(' and half'), 4);
    await again?.file.commit(digestOf(Buffer.from('half and half')));
    await again?.file.close();
    assert.equal((await contentOf(after, digestOf(Buffer.from('half and half')))).toString(), 'half and half');
    assert.deepEqual(await readdir(join(directory, 'uploads')), []);
  });

  test('removes what a kill leaves of named files, and nothing of another program', async (t) => {
    const directory = await temporaryDirectory(t);
    const uploads = join(directory, 'uploads');
    const store = await openHostedBlobStore(directory);
    for (const name of ['ended', 'whole']) await (await store.beginNamed(name, '')).close();
    await rm(join(uploads, 'ended'));
    await writeFile(join(uploads, `begun.note.${'0f'.repeat(8)}.new`), '{"entre');
    const others = ['notes', 'a.txt', 'lonely.note', 'paired', 'paired.note'];
    for (const name of others) await writeFile(join(uploads, name), 'mine');
    await mkdir(join(uploads, 'folder'));
    await symlink(join(uploads, 'whole'), join(uploads, 'linked'));
    await writeFile(join(uploads, 'linked.note'), await readFile(join(uploads, 'whole.note')));

    const messages: string[] = [];
    const again = await openHostedBlobStore(directory, { onUnknown: (message) => messages.push(message) });
    const expected = [...others, 'folder', 'linked', 'linked.note', 'whole', 'whole.note'].sort();
    assert.deepEqual((await readdir(uploads)).sort(), expected);
    assert.match(messages.join('\n'), /^\S+\/uploads holds files of another program \(7\), which are left there\./);
    assert.deepEqual(
      (await again.listNamed()).map(({ name }) => name),
      ['whole'],
    );
    for (const name of ['notes', 'paired', 'linked', 'folder']) assert.equal(await again.reopen(name), undefined, name);
    await assert.rejects(again.beginNamed('notes', ''), /is there already/);
    assert.equal(await readFile(join(uploads, 'notes'), 'utf8'), 'mine');
    const { names } = await again.unknownFiles();
    // By the names alone: a pair of them is taken for a named file.
    assert.deepEqual(names, ['uploads/a.txt', 'uploads/folder', 'uploads/linked', 'uploads/notes']);
  });

  test('goes on with a file that a commit made read-only before it was killed', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openHostedBlobStore(directory);
    const named = await store.beginNamed('killed', '');
    await named.write(Buffer.from('by'), 0);
    await named.close();
    await chmod(join(directory, 'uploads', 'killed'), 0o400);
    const again = await store.reopen('killed');
    await again?.file.write(Buffer.from('bytes'), 0);
    await again?.file.commit(digestOf(Buffer.from('bytes')));
    await again?.file.close();
    assert.equal((await contentOf(store, digestOf(Buffer.from('bytes')))).toString(), 'bytes');
  });

  test('never writes to a blob that has the name of a growing file as well', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openHostedBlobStore(directory);
    const bytes = Buffer.from('published');
    await putBlob(store, bytes);
    await (await store.beginNamed('twice', '')).close();
    await rm(join(directory, 'uploads', 'twice'));
    await link(layoutOf(directory).blob(digestOf(bytes)), join(directory, 'uploads', 'twice'));
    assert.equal(await store.reopen('twice'), undefined);
    assert.deepEqual(await readdir(join(directory, 'uploads')), []);
    assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
  });

  test('removes a named file whose commit failed, as its bytes may be lost', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openHostedBlobStore(directory);
    const digest = digestOf(Buffer.from('x'));
    await writeFile(layoutOf(directory).shard(digest), 'in the way');
    const named = await store.beginNamed('failing', '');
    await named.write(Buffer.from('x'), 0);
    await assert.rejects(named.commit(digest), { code: 'ENOTDIR' });
    assert.equal((await store.listNamed()).length, 1);
    await named.close();
    assert.deepEqual(await readdir(join(directory, 'uploads')), []);
  });

  test('keeps every corrupt blob', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openHostedBlobStore(directory);
    for (let number = 0; number < 20; number += 1) {
      await putBlob(store, Buffer.from(`corrupt ${number}`));
      await store.quarantine(digestOf(Buffer.from(`corrupt ${number}`)));
    }
    assert.equal((await readdir(join(directory, 'quarantine'))).length, 20);
  });

  test('leaves nothing of a begin that fails on a full disk, and goes on when there is room', async (t) => {
    const directory = await mountSmallDisk(t, 1024 * 1024);
    if (directory === undefined) return;
    const store = await openHostedBlobStore(directory);
    const named = await store.beginNamed('large', 'note');
    await assert.rejects(named.write(Buffer.alloc(2 * 1024 * 1024, 1), 0), { code: 'ENOSPC' });
    await assert.rejects(store.beginNamed('second', 'x'.repeat(4000)), { code: 'ENOSPC' });
    assert.deepEqual((await readdir(join(directory, 'uploads'))).sort(), ['large', 'large.note']);
    const other = await openFilesystemBlobStore(await temporaryDirectory(t));
    const bytes = Buffer.from('no room for it');
    await putBlob(other, bytes);
    await assert.rejects(store.takeFrom(other, digestOf(bytes)), { code: 'ENOSPC' });
    // A rename takes no room, and the directory of the shard does.
    await named.abort();
    await named.close();
    const next = await store.beginNamed('second', 'x'.repeat(4000));
    await next.write(bytes, 0);
    await next.commit(digestOf(bytes));
    await next.close();
    assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
    assert.deepEqual(await readdir(join(directory, 'uploads')), []);
  });
});

describe('takeFrom', () => {
  test('links where both are directories of one file system, and the blob outlives its deletion there', async (t) => {
    const cache = await temporaryDirectory(t);
    const other = await openFilesystemBlobStore(cache);
    const store = await openHostedBlobStore(join(cache, 'hosted'));
    const bytes = randomBytes(50_000);
    const digest = digestOf(bytes, 'sha512');
    await putBlob(other, bytes, digest);
    const found = await Promise.all([1, 2, 3].map(() => store.takeFrom(other, digest)));
    assert.deepEqual(found, [bytes.length, bytes.length, bytes.length]);
    const paths = [layoutOf(cache).blob(digest), layoutOf(join(cache, 'hosted')).blob(digest)];
    const [there, here] = await Promise.all(paths.map((path) => stat(path)));
    assert.equal(here?.ino, there?.ino);
    assert.equal(here?.nlink, 2);
    await other.delete(digest);
    assert.deepEqual(await contentOf(store, digest), bytes);
    assert.deepEqual(await readdir(join(cache, 'hosted', 'ingest')), []);
    assert.deepEqual(await other.unknownFiles(), { count: 0, names: [] });
  });

  test('links what is corrupt as it is, for the caller to verify, and the other store can still replace it', async (t) => {
    const cache = await temporaryDirectory(t);
    const other = await openFilesystemBlobStore(cache);
    const store = await openHostedBlobStore(join(cache, 'hosted'));
    const bytes = Buffer.from('right');
    await putBlob(other, Buffer.from('wrong'), digestOf(bytes));
    assert.equal(await store.takeFrom(other, digestOf(bytes)), 5);
    await store.quarantine(digestOf(bytes));
    await putBlob(other, bytes);
    assert.equal(await store.takeFrom(other, digestOf(bytes)), 5);
    assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
  });

  test('copies from another file system', async (t) => {
    const elsewhere = await mountSmallDisk(t, 16 * 1024 * 1024);
    if (elsewhere === undefined) return;
    const other = await openFilesystemBlobStore(elsewhere);
    const directory = await temporaryDirectory(t);
    const store = await openHostedBlobStore(directory);
    const bytes = randomBytes(3_000_000);
    await putBlob(other, bytes);
    assert.equal(await store.takeFrom(other, digestOf(bytes)), bytes.length);
    assert.equal((await stat(layoutOf(directory).blob(digestOf(bytes)))).nlink, 1);
    assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
    const wrong = digestOf(Buffer.from('right'));
    await putBlob(other, Buffer.from('wrong'), wrong);
    assert.equal(await store.takeFrom(other, wrong), undefined);
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
  });

  test('never takes what a link leads to', async (t) => {
    const cache = await temporaryDirectory(t);
    const other = await openFilesystemBlobStore(cache);
    const store = await openHostedBlobStore(join(cache, 'hosted'));
    const bytes = Buffer.from('a secret of another user');
    const digest = digestOf(bytes);
    await writeFile(join(cache, 'secret'), bytes);
    const path = layoutOf(cache).blob(digest);
    await mkdir(dirname(path), { recursive: true });
    await symlink(join(cache, 'secret'), path);
    assert.equal(await store.takeFrom(other, digest), undefined);
    // Also where the link comes after the look.
    other.stat = () => Promise.resolve(bytes.length);
    assert.equal(await store.takeFrom(other, digest), undefined);
    assert.deepEqual(await listed(store), []);
    assert.deepEqual(await readdir(join(cache, 'hosted', 'ingest')), []);
  });

  test('takes nothing where the blob is deleted meanwhile', async (t) => {
    const cache = await temporaryDirectory(t);
    const other = await openFilesystemBlobStore(cache);
    const store = await openHostedBlobStore(join(cache, 'hosted'));
    other.stat = () => Promise.resolve(5);
    assert.equal(await store.takeFrom(other, digestOf(Buffer.from('gone'))), undefined);
    assert.equal(await store.takeFrom(store, digestOf(Buffer.from('gone'))), undefined);
  });
});

describe('linkTo', () => {
  test('gives a blob a second name, and replaces another file of that name', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openHostedBlobStore(directory);
    const bytes = Buffer.from('named twice');
    const digest = digestOf(bytes);
    const path = join(directory, 'second');
    assert.equal(await store.linkTo(digest, path), 'absent');
    await putBlob(store, bytes);
    assert.equal(await store.linkTo(digest, path), 'linked');
    assert.equal(await store.linkTo(digest, path), 'present');
    assert.deepEqual(await readFile(path), bytes);
    await putBlob(store, bytes);
    assert.equal(await store.linkTo(digest, path), 'linked');
    assert.equal((await stat(path)).ino, (await stat(layoutOf(directory).blob(digest))).ino);
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
    await store.delete(digest);
    assert.equal(await store.linkTo(digest, path), 'absent');
    assert.deepEqual(await readFile(path), bytes);
  });

  test('says what it cannot do', async (t) => {
    const directory = await temporaryDirectory(t);
    const store = await openHostedBlobStore(directory);
    const bytes = Buffer.from('named twice');
    const digest = digestOf(bytes);
    await putBlob(store, bytes);
    await mkdir(join(directory, 'folder'));
    await assert.rejects(store.linkTo(digest, join(directory, 'folder')), { code: 'EEXIST' });
    await symlink(layoutOf(directory).blob(digest), join(directory, 'link'));
    await assert.rejects(store.linkTo(digest, join(directory, 'link')), { code: 'EEXIST' });
    await assert.rejects(store.linkTo(digest, join(directory, 'none', 'second')), { code: 'ENOENT' });
    const elsewhere = await mountSmallDisk(t, 1024 * 1024);
    if (elsewhere !== undefined) assert.equal(await store.linkTo(digest, join(elsewhere, 'second')), 'impossible');
  });
});

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-hosted-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
