import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DAY, observation, observationStoreSuite } from '../../../test/suites/observation-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { openObservationStore } from './sqlite.ts';

observationStoreSuite('sqlite', async (t, options) => {
  const store = await openObservationStore(await temporaryFile(t), {
    ...options,
    onDamage: assert.fail,
    now: () => 5000,
  });
  t.after(() => store.close());
  return store;
});

describe('openObservationStore()', () => {
  test('finds again what was added before, and when it was begun', async (t) => {
    const file = await temporaryFile(t);
    const first = await openObservationStore(file, { onDamage: assert.fail, now: () => 5000 });
    await first.add([observation()]);
    await first.close();
    const second = await openObservationStore(file, { onDamage: assert.fail });
    t.after(() => second.close());
    assert.deepEqual(await second.list({ limit: 9 }), [observation()]);
    assert.equal(second.since, 5000);
  });

  test('creates files that only this user can read', async (t) => {
    const file = await temporaryFile(t);
    const store = await openObservationStore(file, { onDamage: assert.fail });
    t.after(() => store.close());
    await store.add([observation()]);
    for (const each of [file, `${file}-wal`]) assert.equal((await stat(each)).mode & 0o777, 0o600, each);
  });

  const damages: readonly (readonly [title: string, make: (file: string) => Promise<unknown>])[] = [
    ['is no database', (file) => writeFile(file, 'not a database, and long enough to be seen as none'.repeat(40))],
    ['is that of another program', async (file) => withDatabase(file, 'CREATE TABLE mine (a)')],
    ['is of a newer release', async (file) => withDatabase(file, 'PRAGMA user_version = 99')],
    ['has other tables', async (file) => withDatabase(file, 'CREATE TABLE observations (a); PRAGMA user_version = 1')],
  ];
  for (const [title, make] of damages) {
    test(`sets a file aside that ${title}`, async (t) => {
      const file = await temporaryFile(t);
      await make(file);
      const before = await readFile(file);
      const warnings: string[] = [];
      const store = await openObservationStore(file, { onDamage: (message) => warnings.push(message), now: () => 7 });
      t.after(() => store.close());
      await store.add([observation()]);
      assert.deepEqual(await store.list({ limit: 9 }), [observation()]);
      assert.equal(store.since, 7);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /observations\.db could not be read \(.+\)/);
      assert.deepEqual(await readFile(`${file}.corrupt`), before);
    });
  }

  test('replaces a database that is damaged while it is open, and goes on', async (t) => {
    const file = await temporaryFile(t);
    const warnings: string[] = [];
    const store = await openObservationStore(file, { onDamage: (message) => warnings.push(message) });
    t.after(() => store.close());
    const rows = Array.from({ length: 20_000 }, (_, at) => observation({ target: `r/${at}` }));
    await store.add(rows);
    await withDatabase(file, 'PRAGMA wal_checkpoint(TRUNCATE)');
    await using handle = await open(file, 'r+');
    const { size } = await handle.stat();
    await handle.write(Buffer.alloc(size - 8192, 0xa5), 0, size - 8192, 8192);
    await Promise.all([store.add(rows.slice(0, 1000)), store.add(rows.slice(1000, 2000))]);
    assert.equal(warnings.length, 1);
    const kept = await store.list({ limit: 100_000 });
    assert.ok(kept.length > 0 && kept.length <= 2000, String(kept.length));
  });

  test('lets the event loop turn while it adds, drops and joins ten thousand rows', async (t) => {
    const limits = { rows: 5000, denied: 5000, age: 1000 * DAY };
    const store = await openObservationStore(await temporaryFile(t), { onDamage: assert.fail, limits });
    t.after(() => store.close());
    const rows = Array.from({ length: 10_000 }, (_, at) => observation({ period: DAY + 3_600_000, target: `r/${at}` }));
    for (const work of [() => store.add(rows), () => store.trim(100 * DAY)]) {
      let turns = 0;
      const working = work().then(() => 'done' as const);
      while ((await Promise.race([working, nextTurn()])) !== 'done') turns += 1;
      assert.ok(turns > 15, `${turns} turns`);
    }
    const kept = await store.list({ limit: 100_000 });
    assert.equal(kept.length, 5000);
    assert.ok(kept.every(({ period }) => period === DAY));
  });
});

async function withDatabase(file: string, sql: string): Promise<void> {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-observations-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'observations.db');
}
