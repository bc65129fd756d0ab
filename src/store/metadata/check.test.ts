import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { checkMetadata } from './check.ts';

const MEBIBYTE = 1024 * 1024;

async function databaseOf(t: TestContext, rows: number): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-check-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'any.db');
  const database = new DatabaseSync(file);
  database.exec('CREATE TABLE rows (text TEXT PRIMARY KEY) WITHOUT ROWID; BEGIN');
  const insert = database.prepare('INSERT INTO rows VALUES (?)');
  for (let row = 0; row < rows; row += 1) insert.run(`${row}`.padStart(500, '0'));
  database.exec('COMMIT');
  database.close();
  return file;
}

describe('checkMetadata()', () => {
  for (const [size, rows] of [
    ['small', 100],
    ['large', 4000],
  ] as const) {
    test(`finds nothing in a ${size} database that is sound, and what is wrong with one that is not`, async (t) => {
      const file = await databaseOf(t, rows);
      assert.equal((await stat(file)).size > MEBIBYTE, size === 'large');
      assert.equal(await checkMetadata(file), undefined);
      const bytes = await readFile(file);
      await writeFile(file, bytes.fill(0xff, bytes.length - 4096));
      assert.match((await checkMetadata(file)) ?? '', /\S/);
      await writeFile(file, 'this is no database'.repeat(rows * 40));
      assert.equal(await checkMetadata(file), 'file is not a database');
    });
  }

  test('takes a file that is not there for damage', async () => {
    assert.equal(await checkMetadata('/nowhere/names.db'), 'unable to open database file');
  });
});
