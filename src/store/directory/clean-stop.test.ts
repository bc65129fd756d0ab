import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { noteCleanStop, takeCleanStop } from './clean-stop.ts';

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'entrepot-test-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  await writeFile(join(path, 'names.db'), 'names');
  return path;
}

describe('takeCleanStop()', () => {
  test('finds nothing where no server has stopped', async (t) => {
    assert.equal(await takeCleanStop(await directory(t)), undefined);
  });

  test('finds the note once: after a crash there is none', async (t) => {
    const path = await directory(t);
    await noteCleanStop(path, { reconciledAt: 17 });
    assert.deepEqual(await takeCleanStop(path), { reconciledAt: 17 });
    assert.equal(await takeCleanStop(path), undefined);
    assert.deepEqual(await readdir(path), ['names.db']);
  });

  const changes: Record<string, (path: string) => Promise<unknown>> = {
    'the metadata database has changed': (path) => appendFile(join(path, 'names.db'), '!'),
    'the metadata database is missing': (path) => rm(join(path, 'names.db')),
    'its log was not merged': (path) => writeFile(join(path, 'names.db-wal'), 'log'),
    'the note is malformed': (path) => writeFile(join(path, 'clean-stop.json'), '[]'),
    'the note is cut short': (path) => writeFile(join(path, 'clean-stop.json'), '{"coun'),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`believes nothing where ${what}`, async (t) => {
      const path = await directory(t);
      await noteCleanStop(path, { reconciledAt: 17 });
      await change(path);
      assert.equal(await takeCleanStop(path), undefined);
    });
  }
});

test('noteCleanStop() writes no note without a metadata database', async (t) => {
  const path = await directory(t);
  await rm(join(path, 'names.db'));
  await noteCleanStop(path, { reconciledAt: 17 });
  assert.deepEqual(await readdir(path), []);
});
