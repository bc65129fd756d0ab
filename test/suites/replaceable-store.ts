import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { memoryDirectory } from '../support/temporary.ts';

interface ReplaceableStore {
  /** When it was begun. Milliseconds since the epoch. */
  readonly since: number;
  close(): Promise<void>;
}

interface OpenOptions {
  readonly onDamage: (message: string) => void;
  readonly now?: () => number;
}

export interface ReplaceableCase<Store extends ReplaceableStore> {
  /** Of the file, such as `pulls.db`. */
  readonly name: string;
  /** A table of it. */
  readonly table: string;
  readonly open: (file: string, options: OpenOptions) => Promise<Store>;
  /** Adds what {@link ReplaceableCase.expectOne} finds. */
  readonly addOne: (store: Store) => Promise<void>;
  readonly expectOne: (store: Store) => Promise<void>;
  /** Adds rows of the numbers from `from` to before `to`; a row that is there is added to. */
  readonly addRows: (store: Store, from: number, to: number) => Promise<void>;
  readonly countRows: (store: Store) => Promise<number>;
}

/** What a database does that may be lost: it survives a restart, and gives way to an empty one where it is damaged. */
export function replaceableStoreSuite<Store extends ReplaceableStore>(of: ReplaceableCase<Store>): void {
  test('finds again what was added before, and when it was begun', async (t) => {
    const file = await temporaryFile(t, of.name);
    const first = await of.open(file, { onDamage: assert.fail, now: () => 5000 });
    await of.addOne(first);
    await first.close();
    const second = await of.open(file, { onDamage: assert.fail });
    t.after(() => second.close());
    await of.expectOne(second);
    assert.equal(second.since, 5000);
  });

  test('creates files that only this user can read', async (t) => {
    const file = await temporaryFile(t, of.name);
    const store = await of.open(file, { onDamage: assert.fail });
    t.after(() => store.close());
    await of.addOne(store);
    for (const each of [file, `${file}-wal`]) assert.equal((await stat(each)).mode & 0o777, 0o600, each);
  });

  const damages: readonly (readonly [title: string, make: (file: string) => Promise<unknown>])[] = [
    ['is no database', (file) => writeFile(file, 'not a database, and long enough to be seen as none'.repeat(40))],
    ['is that of another program', async (file) => withDatabase(file, 'CREATE TABLE mine (a)')],
    ['is of a newer release', async (file) => withDatabase(file, 'PRAGMA user_version = 99')],
    ['has other tables', async (file) => withDatabase(file, `CREATE TABLE ${of.table} (a); PRAGMA user_version = 1`)],
  ];
  for (const [title, make] of damages) {
    test(`sets a file aside that ${title}`, async (t) => {
      const file = await temporaryFile(t, of.name);
      await make(file);
      const before = await readFile(file);
      const warnings: string[] = [];
      const store = await of.open(file, { onDamage: (message) => warnings.push(message), now: () => 7 });
      t.after(() => store.close());
      await of.addOne(store);
      await of.expectOne(store);
      assert.equal(store.since, 7);
      assert.equal(warnings.length, 1);
      assert.ok(warnings.join().includes(`${of.name} could not be read (`), warnings.join());
      assert.deepEqual(await readFile(`${file}.corrupt`), before);
    });
  }

  test('replaces a database that is damaged while it is open, and goes on', async (t) => {
    const file = await temporaryFile(t, of.name);
    const warnings: string[] = [];
    const store = await of.open(file, { onDamage: (message) => warnings.push(message) });
    t.after(() => store.close());
    await of.addRows(store, 0, 20_000);
    withDatabase(file, 'PRAGMA wal_checkpoint(TRUNCATE)');
    await using handle = await open(file, 'r+');
    const { size } = await handle.stat();
    await handle.write(Buffer.alloc(size - 8192, 0xa5), 0, size - 8192, 8192);
    await Promise.all([of.addRows(store, 0, 1000), of.addRows(store, 1000, 2000)]);
    assert.equal(warnings.length, 1);
    const kept = await of.countRows(store);
    assert.ok(kept > 0 && kept <= 2000, String(kept));
  });
}

function withDatabase(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

/** A file of a name in a directory of its own, which goes with the test. */
export async function temporaryFile(t: TestContext, name: string): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-store-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, name);
}
