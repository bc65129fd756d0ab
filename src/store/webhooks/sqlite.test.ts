import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { delivery, deliveryStoreSuite } from '../../../test/suites/delivery-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { openDeliveryStore } from './sqlite.ts';

deliveryStoreSuite('sqlite', async (t) => {
  const store = await openDeliveryStore(await temporaryFile(t), { onDamage: assert.fail });
  t.after(() => store.close());
  return store;
});

describe('openDeliveryStore()', () => {
  test('finds again what was saved before', async (t) => {
    const file = await temporaryFile(t);
    const first = await openDeliveryStore(file, { onDamage: assert.fail });
    await first.save({ put: [delivery()], remove: [] });
    await first.close();
    const second = await openDeliveryStore(file, { onDamage: assert.fail });
    t.after(() => second.close());
    assert.deepEqual(await second.list(), [delivery()]);
  });

  test('keeps a delivery that another process was killed after: it is in the log of the database', async (t) => {
    const file = await temporaryFile(t);
    const first = await openDeliveryStore(file, { onDamage: assert.fail });
    t.after(() => first.close());
    await first.save({ put: [delivery()], remove: [] });
    const second = await openDeliveryStore(file, { onDamage: assert.fail });
    t.after(() => second.close());
    assert.deepEqual(await second.list(), [delivery()]);
  });

  test('creates files that only this user can read: a body names private repositories', async (t) => {
    const file = await temporaryFile(t);
    const store = await openDeliveryStore(file, { onDamage: assert.fail });
    t.after(() => store.close());
    await store.save({ put: [delivery()], remove: [] });
    for (const each of [file, `${file}-wal`]) assert.equal((await stat(each)).mode & 0o777, 0o600, each);
  });

  test('saves all of the changes or none', async (t) => {
    const store = await openDeliveryStore(await temporaryFile(t), { onDamage: assert.fail });
    t.after(() => store.close());
    await store.save({ put: [delivery({ id: 'a' })], remove: [] });
    const wrong = { ...delivery({ id: 'c' }), body: null as unknown as string };
    await assert.rejects(store.save({ put: [delivery({ id: 'b' }), wrong], remove: ['a'] }), /NOT NULL/);
    assert.deepEqual(await store.list(), [delivery({ id: 'a' })]);
  });

  const damages: readonly (readonly [title: string, make: (file: string) => Promise<unknown>])[] = [
    ['is no database', (file) => writeFile(file, 'not a database, and long enough to be seen as none'.repeat(40))],
    ['is that of another program', async (file) => withDatabase(file, 'CREATE TABLE mine (a)')],
    ['is of a newer release', async (file) => withDatabase(file, 'PRAGMA user_version = 99')],
    ['has other tables', async (file) => withDatabase(file, 'CREATE TABLE deliveries (a); PRAGMA user_version = 1')],
  ];
  for (const [title, make] of damages) {
    test(`sets a file aside that ${title}`, async (t) => {
      const file = await temporaryFile(t);
      await make(file);
      const before = await readFile(file);
      const warnings: string[] = [];
      const store = await openDeliveryStore(file, { onDamage: (message) => warnings.push(message) });
      t.after(() => store.close());
      await store.save({ put: [delivery()], remove: [] });
      assert.deepEqual(await store.list(), [delivery()]);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /webhooks\.db could not be read \(.+\)/);
      assert.deepEqual(await readFile(`${file}.corrupt`), before);
    });
  }

  test('replaces a database that is damaged while it is open, and goes on', async (t) => {
    const file = await temporaryFile(t);
    const warnings: string[] = [];
    const store = await openDeliveryStore(file, { onDamage: (message) => warnings.push(message) });
    t.after(() => store.close());
    const put = Array.from({ length: 5000 }, (_, at) => delivery({ id: String(at).padStart(5, '0') }));
    await store.save({ put, remove: [] });
    withDatabase(file, 'PRAGMA wal_checkpoint(TRUNCATE)');
    await using handle = await open(file, 'r+');
    const { size } = await handle.stat();
    await handle.write(Buffer.alloc(size - 8192, 0xa5), 0, size - 8192, 8192);
    await store.save({ put: put.slice(0, 10), remove: put.slice(10).map(({ id }) => id) });
    assert.equal(warnings.length, 1);
    assert.deepEqual(await store.list(), put.slice(0, 10));
  });
});

function withDatabase(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-webhooks-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'webhooks.db');
}
