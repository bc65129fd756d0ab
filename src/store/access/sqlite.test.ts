import assert from 'node:assert/strict';
import {
  chown,
  copyFile,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { accessStoreSuite, tokenRecord, userRecord } from '../../../test/suites/access-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import type { AccessStore } from './access-store.ts';
import { openAccessStore, readAccessStore } from './sqlite.ts';

accessStoreSuite('sqlite', async (t) => create(t, await temporaryFile(t)));

describe('openAccessStore()', () => {
  test('makes no file unless it is to create one', async (t) => {
    const file = await temporaryFile(t);
    assert.equal(await openAccessStore(file, { create: false }), undefined);
    assert.deepEqual(await readdir(dirname(file)), []);
  });

  test('finds again what was put before', async (t) => {
    const file = await temporaryFile(t);
    await fill(file);
    const store = await openAccessStore(file, { create: false });
    t.after(() => store?.close());
    assert.deepEqual(await store?.listUsers(), [userRecord('alice')]);
    assert.deepEqual(await store?.listTokens(), [tokenRecord('ci')]);
  });

  test('has one file, which only this user can read, and none beside it between two changes', async (t) => {
    const file = await temporaryFile(t);
    // The draft of a killed process, and its journal.
    for (const name of ['.new', '.new-journal']) await writeFile(`${file}${name}`, 'half');
    const store = await create(t, file);
    await store.addUser(userRecord('alice'));
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(dirname(file)), ['access.db']);
  });

  test('belongs to the owner of the directory, also where root adds the first user', {
    skip: process.getuid?.() !== 0,
  }, async (t) => {
    const file = await temporaryFile(t);
    await chown(dirname(file), 12_345, 12_346);
    await create(t, file);
    const { uid, gid } = await stat(file);
    assert.deepEqual([uid, gid], [12_345, 12_346]);
  });

  test('takes away what others may read of a file that was put back', async (t) => {
    const file = await temporaryFile(t);
    await fill(file);
    await copyFile(file, `${file}.copy`);
    await rm(file);
    await writeFile(file, await readFile(`${file}.copy`), { mode: 0o644 });
    await (await openAccessStore(file, { create: false }))?.close();
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  test('changes the mode of no file that a link leads to', async (t) => {
    const file = await temporaryFile(t);
    const other = `${file}.other`;
    await writeFile(other, 'of another program', { mode: 0o644 });
    await symlink(other, file);
    await assert.rejects(openAccessStore(file, { create: false }), /not a database/);
    assert.equal((await stat(other)).mode & 0o777, 0o644);
  });

  for (const [what, damage, found] of [
    ['an empty file', (file: string) => truncate(file, 0), /it is empty/],
    ['a file that is no database', (file: string) => writeFile(file, 'a'.repeat(9000)), /it is not a database/],
    ['a file that was cut', (file: string) => truncate(file, 8192), /damaged|malformed/],
    ['pages of zeros', zeroPages, /damaged|malformed/],
    ['a table that is missing', (file: string) => edit(file, 'DROP TABLE tokens'), /one of its tables is missing/],
    [
      'the database of another program',
      async (file: string) => {
        await rm(file);
        edit(file, 'CREATE TABLE mine (x)');
      },
      /it is the database of another program/,
    ],
    [
      'a newer version',
      (file: string) => edit(file, 'PRAGMA user_version = 99'),
      /version 99 and this release knows 1/,
    ],
  ] as const) {
    test(`refuses ${what} with a remedy, and leaves it as it was`, async (t) => {
      const file = await temporaryFile(t);
      await fill(file);
      await damage(file);
      const before = await readFile(file);
      for (const create of [true, false]) {
        await assert.rejects(openAccessStore(file, { create }), (error: Error) => {
          assert.equal(error.name, 'AccessStoreError');
          assert.match(error.message, found);
          assert.match(error.message, /Put a copy from your backup|Run the release/);
          return true;
        });
      }
      assert.deepEqual(await readFile(file), before);
      await assert.rejects(readAccessStore(file), { name: 'AccessStoreError', message: found, isOfReader: false });
    });
  }

  test('says what to do where the file was removed under an open store, and makes no other', async (t) => {
    const file = await temporaryFile(t);
    const store = await create(t, file);
    await store.addUser(userRecord('alice'));
    await rm(file);
    await assert.rejects(store.addUser(userRecord('bob')), (error: Error) => {
      assert.equal(error.name, 'AccessStoreError');
      assert.match(error.message, /was moved or removed while it was open\. Stop the server, put the file back/);
      return true;
    });
    assert.deepEqual(await readdir(dirname(file)), []);
  });

  test('refuses a token whose scopes were made unreadable: without them it would do more', async (t) => {
    const file = await temporaryFile(t);
    await fill(file);
    for (const scopes of ['', '{}', '[1]', 'null']) {
      edit(file, `UPDATE tokens SET patterns = '${scopes}'`);
      const store = await openAccessStore(file, { create: false });
      await assert.rejects(async () => store?.listTokens(), /scopes of the token ci are malformed/);
      await store?.close();
    }
  });

  test('rejects a change while another program holds the file, with a remedy', async (t) => {
    const file = await temporaryFile(t);
    const store = await create(t, file);
    const other = new DatabaseSync(file);
    t.after(() => other.close());
    other.exec('BEGIN EXCLUSIVE');
    await assert.rejects(store.addUser(userRecord('alice')), /another process holds its lock/);
    other.exec('ROLLBACK');
    assert.equal(await store.addUser(userRecord('alice')), true);
  });
});

describe('readAccessStore()', () => {
  test('reads beside the owner, and writes nothing', async (t) => {
    const file = await temporaryFile(t);
    assert.deepEqual(await readAccessStore(file), { users: [], tokens: [] });
    const store = await create(t, file);
    await store.addUser(userRecord('alice'));
    await store.addToken(tokenRecord('ci'));
    assert.deepEqual(await readAccessStore(file), { users: [userRecord('alice')], tokens: [tokenRecord('ci')] });
    assert.deepEqual(await readdir(dirname(file)), ['access.db']);
  });
});

async function create(t: TestContext, file: string): Promise<AccessStore> {
  const store = await openAccessStore(file, { create: true });
  assert.ok(store);
  t.after(() => store.close());
  return store;
}

async function fill(file: string): Promise<void> {
  const store = await openAccessStore(file, { create: true });
  await store?.addUser(userRecord('alice'));
  await store?.addToken(tokenRecord('ci'));
  await store?.close();
}

function edit(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

/** Overwrites all pages but the first. */
async function zeroPages(file: string): Promise<void> {
  const { size } = await stat(file);
  await using handle = await open(file, 'r+');
  await handle.write(Buffer.alloc(size - 4096), 0, size - 4096, 4096);
}

async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-access-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'access.db');
}
