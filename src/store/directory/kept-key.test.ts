import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keptKey } from './kept-key.ts';

test('a key is made once, readable by its owner alone, and replaced where it cannot be one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-key-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const key = await keptKey(directory, 'push.key');
  assert.equal(key.length, 32);
  assert.ok((await keptKey(directory, 'push.key')).equals(key));
  assert.equal((await stat(join(directory, 'push.key'))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(directory), ['push.key']);
  await writeFile(join(directory, 'push.key'), 'cut');
  const other = await keptKey(directory, 'push.key');
  assert.ok(!other.equals(key) && (await keptKey(directory, 'push.key')).equals(other));
});

test('without a file a key lasts as long as its caller keeps it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-key-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  assert.equal((await keptKey(join(directory, 'missing'), 'push.key')).length, 32);
});
