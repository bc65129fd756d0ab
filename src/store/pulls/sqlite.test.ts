import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DAY, figure, HOUR, pullRecord, pullStoreSuite } from '../../../test/suites/pull-store.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { PULL_LIMITS } from './pull-store.ts';
import { openPullStore } from './sqlite.ts';

pullStoreSuite('sqlite', async (t, options) => {
  const store = await openPullStore(await temporaryFile(t), { ...options, onDamage: assert.fail, now: () => 5000 });
  t.after(() => store.close());
  return store;
});

describe('openPullStore()', () => {
  test('finds again what was added before, and when it was begun', async (t) => {
    const file = await temporaryFile(t);
    const first = await openPullStore(file, { onDamage: assert.fail, now: () => 5000 });
    await first.add([pullRecord()]);
    await first.count([figure()], []);
    await first.close();
    const second = await openPullStore(file, { onDamage: assert.fail });
    t.after(() => second.close());
    assert.deepEqual(await second.find('aaaa-1'), pullRecord());
    assert.deepEqual(await second.figures({ from: 0, to: 9 * DAY, limit: 9 }), [figure()]);
    assert.equal(second.since, 5000);
  });

  test('creates files that only this user can read', async (t) => {
    const file = await temporaryFile(t);
    const store = await openPullStore(file, { onDamage: assert.fail });
    t.after(() => store.close());
    await store.add([pullRecord()]);
    for (const each of [file, `${file}-wal`]) assert.equal((await stat(each)).mode & 0o777, 0o600, each);
  });

  const damages: readonly (readonly [title: string, make: (file: string) => Promise<unknown>])[] = [
    ['is no database', (file) => writeFile(file, 'not a database, and long enough to be seen as none'.repeat(40))],
    ['is that of another program', async (file) => withDatabase(file, 'CREATE TABLE mine (a)')],
    ['is of a newer release', async (file) => withDatabase(file, 'PRAGMA user_version = 99')],
    ['has other tables', async (file) => withDatabase(file, 'CREATE TABLE pulls (a); PRAGMA user_version = 1')],
  ];
  for (const [title, make] of damages) {
    test(`sets a file aside that ${title}`, async (t) => {
      const file = await temporaryFile(t);
      await make(file);
      const before = await readFile(file);
      const warnings: string[] = [];
      const store = await openPullStore(file, { onDamage: (message) => warnings.push(message), now: () => 7 });
      t.after(() => store.close());
      await store.add([pullRecord()]);
      assert.deepEqual(await store.find('aaaa-1'), pullRecord());
      assert.equal(store.since, 7);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /pulls\.db could not be read \(.+\)/);
      assert.deepEqual(await readFile(`${file}.corrupt`), before);
    });
  }

  test('replaces a database that is damaged while it is open, and goes on', async (t) => {
    const file = await temporaryFile(t);
    const warnings: string[] = [];
    const store = await openPullStore(file, { onDamage: (message) => warnings.push(message) });
    t.after(() => store.close());
    const rows = Array.from({ length: 20_000 }, (_, at) => figure({ repository: `r/${at}` }));
    await store.count(rows, []);
    await withDatabase(file, 'PRAGMA wal_checkpoint(TRUNCATE)');
    await using handle = await open(file, 'r+');
    const { size } = await handle.stat();
    await handle.write(Buffer.alloc(size - 8192, 0xa5), 0, size - 8192, 8192);
    await Promise.all([store.count(rows.slice(0, 1000), []), store.count(rows.slice(1000, 2000), [])]);
    assert.equal(warnings.length, 1);
    const kept = await store.figures({ from: 0, to: 9 * DAY, limit: 100_000 });
    assert.ok(kept.length > 0 && kept.length <= 2000, String(kept.length));
  });

  test('lets the event loop turn while it adds, drops, joins and looks for much', async (t) => {
    const limits = { ...PULL_LIMITS, pulls: 1000, figures: 5000 };
    const store = await openPullStore(await temporaryFile(t), { onDamage: assert.fail, limits });
    t.after(() => store.close());
    const figures = Array.from({ length: 10_000 }, (_, at) => figure({ period: DAY + HOUR, repository: `r/${at}` }));
    const pulls = Array.from({ length: 3000 }, (_, at) => pullRecord({ id: `p-${at}`, at }));
    await store.count(figures, []);
    const works: readonly (readonly [turns: number, work: () => Promise<unknown>])[] = [
      [15, () => store.add(pulls)],
      [15, () => store.trim(100 * DAY)],
      [1, () => store.list({ limit: 9, filter: { image: ['nothing'] } })],
    ];
    for (const [least, work] of works) {
      let turns = 0;
      const working = work().then(() => 'done' as const);
      while ((await Promise.race([working, nextTurn()])) !== 'done') turns += 1;
      assert.ok(turns > least, `${turns} turns`);
    }
    const kept = await store.figures({ from: 0, to: 9 * DAY, limit: 100_000 });
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
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-pulls-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'pulls.db');
}
