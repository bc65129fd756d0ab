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
  test('finds nothing where nobody stopped', async (t) => {
    assert.equal(await takeCleanStop(await directory(t)), undefined);
  });

  test('finds what was noted, once: whoever crashes next leaves none', async (t) => {
    const path = await directory(t);
    await noteCleanStop(path, { reconciledAt: 17 });
    assert.deepEqual(await takeCleanStop(path), { reconciledAt: 17 });
    assert.equal(await takeCleanStop(path), undefined);
    assert.deepEqual(await readdir(path), ['names.db']);
  });

  const changes: Record<string, (path: string) => Promise<unknown>> = {
    'the names were written to since': (path) => appendFile(join(path, 'names.db'), '!'),
    'the names are gone': (path) => rm(join(path, 'names.db')),
    'a log lies beside the names': (path) => writeFile(join(path, 'names.db-wal'), 'log'),
    'the note is none': (path) => writeFile(join(path, 'clean-stop.json'), '[]'),
    'the note is half of one': (path) => writeFile(join(path, 'clean-stop.json'), '{"coun'),
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

test('noteCleanStop() notes nothing of names that are gone', async (t) => {
  const path = await directory(t);
  await rm(join(path, 'names.db'));
  await noteCleanStop(path, { reconciledAt: 17 });
  assert.deepEqual(await readdir(path), []);
});
