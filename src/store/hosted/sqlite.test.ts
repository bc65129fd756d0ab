import assert from 'node:assert/strict';
import {
  chown,
  copyFile,
  mkdir,
  open as openFile,
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
import { hostedStoreSuite } from '../../../test/suites/hosted-store.ts';
import { APP, blobOf, digestOf, how, image, push, temporaryFile } from '../../../test/support/hosted-records.ts';
import { Checkpoints } from './checkpoint.ts';
import { REBUILD_REMEDY } from './error.ts';
import type { HostedStore } from './hosted-store.ts';
import { type OpenHostedStoreOptions, openHostedStore } from './open.ts';
import { MIGRATIONS, STATEMENTS } from './schema.ts';

hostedStoreSuite('sqlite', async (t) => open(t, await temporaryFile(t)));

describe('openHostedStore()', () => {
  test('finds again what was put before', async (t) => {
    const file = await temporaryFile(t);
    await fill(file);
    const store = await open(t, file);
    assert.equal((await store.getTag(APP, 'v1'))?.digest, digestOf('a'));
    assert.deepEqual(await store.totals(), { digests: 3, bytes: 260, repositories: 1 });
  });

  test('makes files that only this user can read, and removes the draft of a killed process', async (t) => {
    const file = await temporaryFile(t);
    for (const suffix of ['.new', '.new-journal']) await writeFile(`${file}${suffix}`, 'half');
    const store = await open(t, file);
    await store.putBlob(APP, blobOf('x'), { at: 1 });
    const names = (await readdir(dirname(file))).toSorted();
    assert.deepEqual(names, ['hosted.db', 'hosted.db-shm', 'hosted.db-wal']);
    for (const name of names) assert.equal((await stat(join(dirname(file), name))).mode & 0o777, 0o600, name);
    await store.close();
    assert.deepEqual(await readdir(dirname(file)), ['hosted.db']);
  });

  test('belongs to the owner of the directory, also where root makes it', {
    skip: process.getuid?.() !== 0,
  }, async (t) => {
    const file = await temporaryFile(t);
    await chown(dirname(file), 12_345, 12_346);
    await open(t, file);
    for (const each of [file, `${file}-wal`]) {
      const { uid, gid } = await stat(each);
      assert.deepEqual([uid, gid], [12_345, 12_346], each);
    }
  });

  test('takes away what others may read of a file that was put back, and not through a link', async (t) => {
    const file = await temporaryFile(t);
    await fill(file);
    await writeFile(`${file}.copy`, await readFile(file), { mode: 0o644 });
    await rm(file);
    await copyFile(`${file}.copy`, file);
    await (await openHostedStore(file)).close();
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await rm(file);
    await symlink(`${file}.copy`, file);
    await (await openHostedStore(file)).close();
    assert.equal((await stat(file)).mode & 0o777, 0o644);
  });

  for (const [what, damage, found] of [
    ['an empty file', (file: string) => truncate(file, 0), /it is empty/],
    ['a file that is no database', (file: string) => writeFile(file, 'a'.repeat(9000)), /it is not a database/],
    ['a file that was cut', (file: string) => truncate(file, 8192), /damaged|malformed/],
    ['pages of zeros', zeroPages, /damaged|malformed/],
    ['a table that is missing', (file: string) => edit(file, 'DROP TABLE moves'), /one of its tables is not as it/],
    ['totals that are missing', (file: string) => edit(file, 'DELETE FROM totals'), /its totals are missing/],
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
      new RegExp(`version 99 and this release knows ${MIGRATIONS.length}`),
    ],
  ] as const) {
    test(`refuses ${what} with a remedy, and leaves it as it was`, async (t) => {
      const file = await temporaryFile(t);
      await fill(file);
      await damage(file);
      const before = await readFile(file);
      await assert.rejects(openHostedStore(file), (error: Error) => {
        assert.equal(error.name, 'HostedStoreError');
        assert.match(error.message, found);
        assert.match(error.message, new RegExp(what === 'a newer version' ? 'Run the release' : REBUILD_REMEDY));
        assert.ok(error.message.includes(file));
        return true;
      });
      assert.deepEqual(await readFile(file), before);
    });
  }

  test('makes no empty records where they are lost beside layouts', async (t) => {
    const file = await temporaryFile(t);
    await mkdir(join(dirname(file), 'repositories'));
    await (await openHostedStore(file)).close();
    await rm(file);
    await mkdir(join(dirname(file), 'repositories', 'apps'));
    await assert.rejects(openHostedStore(file), /it is missing, and repositories\/ beside it is not empty.*rebuild/);
    assert.deepEqual(await readdir(dirname(file)), ['repositories']);
    const store = await open(t, file, { isRebuild: true });
    assert.equal((await store.totals()).repositories, 0);
  });

  test('explains damage that is found later, and a digest or annotations that no release wrote', async (t) => {
    const file = await temporaryFile(t);
    await fill(file);
    edit(file, `UPDATE manifests SET annotations = '{'; UPDATE digests SET digest = '../x' WHERE size = 10`);
    const store = await open(t, file);
    await assert.rejects(store.getManifest(APP, digestOf('a')), /malformed annotations. Put a copy/);
    await assert.rejects(store.listDigests({ limit: 9 }), /malformed digest. Put a copy/);
  });

  test('rejects a change while another program holds the file, with a remedy', async (t) => {
    const file = await temporaryFile(t);
    const store = await open(t, file);
    const other = new DatabaseSync(file);
    t.after(() => other.close());
    other.exec('BEGIN IMMEDIATE');
    await assert.rejects(
      store.putBlob(APP, blobOf('x'), { at: 1 }),
      /another process holds its lock\. End that process/,
    );
    other.exec('ROLLBACK');
    assert.equal(await store.putBlob(APP, blobOf('x'), { at: 1 }), 'stored');
  });
});

describe('the file of hosted records', () => {
  test('is copied while changes go on, into a new file that others cannot read', async (t) => {
    const file = await temporaryFile(t);
    const store = await open(t, file);
    await push(store, 'a', how(['v1']));
    const copy = `${file}.copy`;
    const copies = new AbortController();
    const going = (async () => {
      for (let i = 0; !copies.signal.aborted; i += 1) await push(store, `${i}`, how([`t${i}`]));
    })();
    // Each may begin between the statements of a change, and none waits for the changes to end.
    for (let i = 0; i < 20; i += 1) await store.backUp(i === 0 ? copy : `${copy}-${i}`);
    copies.abort();
    await going;
    assert.equal((await stat(copy)).mode & 0o777, 0o600);
    const copied = await open(t, copy);
    assert.equal((await copied.getTag(APP, 'v1'))?.digest, digestOf('a'));
    for (const { digest } of await copied.listTags(APP, { limit: 999 }))
      assert.ok(await copied.getManifest(APP, digest));
    const usage = await copied.usage(APP);
    assert.equal(usage.digests, (await copied.listDigests({ limit: 9999 })).length);
    await assert.rejects(store.backUp(copy), { code: 'EEXIST' });
    await assert.rejects(store.backUp(join(file, 'x')), { code: 'ENOTDIR' });
    // A stop waits for it.
    const last = store.backUp(`${file}.last`);
    await store.close();
    await last;
    assert.ok((await stat(`${file}.last`)).size > 0);
  });

  test('finds every row by an index, and walks no table', async (t) => {
    const file = await temporaryFile(t);
    await open(t, file);
    const database = new DatabaseSync(file);
    t.after(() => database.close());
    for (const [name, sql] of Object.entries(STATEMENTS)) {
      const plan = database
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map(({ detail }) => String(detail));
      for (const step of plan) {
        // The rows of a subquery are found by its own steps.
        assert.doesNotMatch(step, /^SCAN (?!holders|CONSTANT|1 |\(subquery)/, `${name}: ${plan.join('; ')}`);
        if (name !== 'namedBy') assert.doesNotMatch(step, /TEMP B-TREE/, `${name}: ${plan.join('; ')}`);
      }
    }
  });

  test('finds by an index what its triggers look for', async (t) => {
    const file = await temporaryFile(t);
    await open(t, file);
    const database = new DatabaseSync(file);
    t.after(() => database.close());
    const counted = [
      'SELECT count(*) FROM named WHERE repository = ? AND digest = ?',
      'SELECT count(*) FROM tags WHERE repository = ? AND digest = ?',
      'UPDATE manifests SET needs = needs - 1 WHERE repository = ? AND subject = ?',
      'DELETE FROM named WHERE manifest = ?',
    ];
    for (const sql of counted) {
      assert.ok(
        MIGRATIONS.some((each) => each.replaceAll(/(?:old|new)\.\w+/g, '?').includes(sql)),
        sql,
      );
      for (const { detail } of database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all())
        assert.match(String(detail), /^SEARCH/, sql);
    }
  });

  test('mounts from one of many repositories, with turns of the event loop in between', async (t) => {
    const store = await open(t, await temporaryFile(t));
    const { digest } = blobOf('x');
    const holders = Array.from({ length: 600 }, (_, i) => ({ registry: 'apps', repository: `r${i}` }));
    await Promise.all(holders.map((each) => store.putBlob(each, blobOf('x'), { at: 1 })));
    const from = ({ repository }: { readonly repository: string }): boolean => repository === 'r599';
    assert.deepEqual(await store.mountBlob(APP, digest, { from, at: 1 }), blobOf('x'));
    assert.equal((await store.repositoriesOf(digest, 9999)).length, 601);
    assert.equal(await store.mountBlob(APP, digest, { from: () => false, at: 1 }), undefined);
  });

  test('copies its log to the database in a thread, so that the log stays small', async (t) => {
    const file = await temporaryFile(t);
    const warnings: string[] = [];
    const store = await open(t, file, { onWarning: (message) => warnings.push(message) });
    const { size: before } = await stat(file);
    const annotations = { text: 'x'.repeat(100_000) };
    // The thread ends its copy when it can; a log that is copied as a whole begins again, and is cut.
    for (let added = 0, longest = 0, size = 0; size >= longest; added += 1) {
      assert.ok(added < 5000, `a log of ${size} bytes`);
      await store.putManifest(APP, image(`${added}`, { references: [], annotations }).manifest, how());
      longest = Math.max(longest, size);
      ({ size } = await stat(`${file}-wal`));
    }
    assert.ok((await stat(file)).size > before + 8_000_000);
    assert.deepEqual(warnings, []);
  });
});

test('a log that no thread can copy is reported once, and holds no change up', async (t) => {
  const file = await temporaryFile(t);
  const database = new DatabaseSync(file);
  t.after(() => database.close());
  database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE rows (x)');
  const warnings: string[] = [];
  const checkpoints = new Checkpoints(database, {
    file: join(dirname(file), 'missing', 'x.db'),
    onWarning: (message) => warnings.push(message),
  });
  const add = database.prepare('INSERT INTO rows VALUES (zeroblob(10000000))');
  for (let i = 0; i < 256; i += 1) {
    if (i % 64 === 0) add.run();
    checkpoints.noteChange();
    await checkpoints.settle();
  }
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /unable to open.*The log grows until it can\. See that the disk/);
});

async function open(t: TestContext, file: string, options?: OpenHostedStoreOptions): Promise<HostedStore> {
  const store = await openHostedStore(file, options);
  t.after(() => store.close());
  return store;
}

/** An image with the tag v1. */
async function fill(file: string): Promise<void> {
  const store = await openHostedStore(file);
  await push(store, 'a', how(['v1'], {}));
  await store.close();
}

function edit(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

/** Overwrites all pages but the first two. */
async function zeroPages(file: string): Promise<void> {
  const { size } = await stat(file);
  await using handle = await openFile(file, 'r+');
  await handle.write(Buffer.alloc(size - 8192), 0, size - 8192, 8192);
}
