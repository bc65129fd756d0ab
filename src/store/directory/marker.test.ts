import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { openAccessStore } from '../access/index.ts';
import { openHostedStore } from '../hosted/index.ts';
import { openSqliteMetadataStore } from '../metadata/index.ts';
import { claimDirectory, MARKER, refuseForeign } from './marker.ts';

type Files = Readonly<Record<string, string>>;

/** Directories by what they hold: paths with their text, a path that ends in a slash being a directory. */
const FOREIGN: Readonly<Record<string, Files>> = {
  "a user's directory": { 'x/ingest/file': 'mine', 'blobs/': '', 'photo.jpg': 'photo' },
  'one file': { 'notes.txt': 'mine' },
  'one empty directory': { 'data/': '' },
  'a hidden file': { '.profile': 'mine' },
  'blobs without a lock': { 'blobs/sha256/': '', 'index.json': '{}', 'oci-layout': '{}' },
  'a lock without blobs': { lock: '' },
  'a file of the name of the database': { 'names.db': 'names' },
  'a volume with files': { 'lost+found/': '', photo: 'photo' },
  'a marker that is a directory': { [`${MARKER}/`]: '' },
  'a marker that was not finished, and files': { [MARKER]: '', photo: 'photo' },
  'a marker of another program': { [MARKER]: '{"cache":true}' },
  'what was pushed to a cache, which is a part of it': {
    'blobs/sha256/': '',
    'ingest/': '',
    'quarantine/': '',
    'uploads/': '',
    'hosted.db': 'records',
  },
  'a marker without a sense': { [MARKER]: 'hello' },
};

const EMPTY: Readonly<Record<string, Files>> = {
  'an empty directory': {},
  'an empty volume': { 'lost+found/': '' },
  'a marker that was not finished': { [MARKER]: '\0\0' },
  'a draft of a marker': { [`${MARKER}.0123456789abcdef.new`]: '{}' },
};

const CACHES: Readonly<Record<string, Files>> = {
  'a marked one': { [MARKER]: '{"format":1}' },
  'a marked one with files of others': { [MARKER]: '{"format":1,"more":true}\n', photo: 'photo' },
  'an older one whose database is lost': { lock: '', 'blobs/sha256/': '', 'owner.json': '{}' },
  'an older one whose lock is lost': { 'blobs/sha256/': '', 'ingest/': '', 'quarantine/': '' },
  'one of which what was pushed is left': { 'hosted/blobs/sha256/': '', 'hosted/uploads/': '' },
  'an older one whose database is damaged': { lock: '', 'blobs/sha256/': '', 'names.db': 'damaged' },
};

describe('claimDirectory()', () => {
  for (const [what, files] of Object.entries(FOREIGN)) {
    test(`refuses ${what}, and leaves it as it was`, async (t) => {
      const path = await directory(t, files);
      const before = await contents(path);
      for (const create of [true, false]) {
        await assert.rejects(claimDirectory(path, { create }), { name: 'DirectoryError', message: /--cache-dir/ });
      }
      await assert.rejects(refuseForeign(path), { name: 'DirectoryError' });
      assert.deepEqual(await contents(path), before);
    });
  }

  for (const [what, files] of Object.entries(EMPTY)) {
    test(`begins a cache in ${what}, but not for a command`, async (t) => {
      const path = await directory(t, files);
      const before = await contents(path);
      await refuseForeign(path);
      await assert.rejects(claimDirectory(path, { create: false }), /it is empty, so it is no cache/);
      assert.deepEqual(await contents(path), before);
      await claimDirectory(path, { create: true });
      await isMarked(path);
    });
  }

  for (const [what, files] of Object.entries(CACHES)) {
    test(`takes ${what}, and marks it`, async (t) => {
      const path = await directory(t, files);
      await refuseForeign(path);
      await claimDirectory(path, { create: false });
      await isMarked(path);
    });
  }

  test('takes an older cache by its database alone, which it does not touch', async (t) => {
    const path = await directory(t, {});
    const store = await openSqliteMetadataStore(join(path, 'names.db'));
    await store.close();
    const before = await contents(path);
    await refuseForeign(path);
    assert.deepEqual(await contents(path), before);
    await claimDirectory(path, { create: false });
    await isMarked(path);
  });

  test('takes a directory that has users and tokens alone, which it does not touch', async (t) => {
    const path = await directory(t, {});
    const store = await openAccessStore(join(path, 'access.db'), { create: true });
    await store?.close();
    const { mtimeMs } = await stat(join(path, 'access.db'));
    await claimDirectory(path, { create: false });
    await isMarked(path);
    assert.equal((await stat(join(path, 'access.db'))).mtimeMs, mtimeMs);
  });

  test('takes a directory that has the records of what was pushed alone', async (t) => {
    const path = await directory(t, { 'hosted/': '' });
    const store = await openHostedStore(join(path, 'hosted', 'hosted.db'));
    await store.close();
    await claimDirectory(path, { create: false });
    await isMarked(path);
  });

  test("refuses another program's database of the same name", async (t) => {
    const path = await directory(t, {});
    const database = new DatabaseSync(join(path, 'names.db'));
    database.exec('CREATE TABLE names (name TEXT); PRAGMA user_version = 3');
    database.close();
    await assert.rejects(claimDirectory(path, { create: true }), /it holds other files \("names.db"\)/);
  });

  test('refuses a newer release’s directory by its format', async (t) => {
    const path = await directory(t, { [MARKER]: '{"format":2}', 'ingest/0123456789abcdef0123456789abcdef': 'growing' });
    const before = await contents(path);
    await assert.rejects(claimDirectory(path, { create: true }), /newer release .* in format 2, .* knows format 1/);
    assert.deepEqual(await contents(path), before);
  });

  test('names the cache that lies below', async (t) => {
    const path = await directory(t, { [`data/${MARKER}`]: '{"format":1}' });
    await assert.rejects(
      refuseForeign(path),
      new RegExp(`Its subdirectory data is one: name ${join(path, 'data')}\\.`),
    );
  });

  test('makes an absent one for this user alone, but not for a command', async (t) => {
    const path = join(await directory(t, {}), 'deep', 'cache');
    await assert.rejects(claimDirectory(path, { create: false }), /no such directory/);
    await assert.rejects(stat(dirname(path)));
    await claimDirectory(path, { create: true });
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    await isMarked(path);
  });

  test('by two at once leaves one marker', async (t) => {
    const path = await directory(t, {});
    await Promise.all(Array.from({ length: 8 }, () => claimDirectory(path, { create: true })));
    await isMarked(path);
    assert.deepEqual(await readdir(path), [MARKER]);
  });
});

async function isMarked(path: string): Promise<void> {
  const marker = JSON.parse(await readFile(join(path, MARKER), 'utf8')) as { readonly format: unknown };
  assert.equal(marker.format, 1);
}

async function directory(t: TestContext, files: Files): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-marker-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    const file = join(path, name);
    await mkdir(name.endsWith('/') ? file : dirname(file), { recursive: true });
    if (!name.endsWith('/')) await writeFile(file, text);
  }
  return path;
}

/** Every entry with its time of change, and its text where it is a file. */
async function contents(path: string): Promise<readonly unknown[]> {
  const names = (await readdir(path, { recursive: true })).sort();
  return Promise.all(
    ['.', ...names].map(async (name) => {
      const stats = await stat(join(path, name));
      return [name, stats.mtimeMs, stats.isFile() ? await readFile(join(path, name), 'utf8') : undefined];
    }),
  );
}
