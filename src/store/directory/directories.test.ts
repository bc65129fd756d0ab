import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createDirectory } from './directories.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-directories-'));
  await writeFile(join(directory, 'file'), '');
  await symlink(join(directory, 'nowhere'), join(directory, 'dangling'));
});
after(() => rm(directory, { recursive: true, force: true }));

describe('createDirectory()', () => {
  test('makes those above it too, all for this user alone, and finds what is there', async () => {
    const path = join(directory, 'a', 'b', 'c');
    for (let i = 0; i < 2; i++) await createDirectory(path);
    for (const made of [path, join(directory, 'a')]) assert.equal((await stat(made)).mode & 0o777, 0o700);
  });

  for (const [what, path, code] of [
    ['a file', ['file'], 'EEXIST'],
    ['below a file', ['file', 'a', 'b'], 'ENOTDIR'],
    ['a link that leads nowhere', ['dangling'], 'EEXIST'],
    ['below a link that leads nowhere', ['dangling', 'a'], 'EEXIST'],
  ] as const) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(createDirectory(join(directory, ...path)), { name: 'DirectoryError', code });
    });
  }

  test('comes to an end where a file system takes no directories', { skip: process.platform !== 'linux' }, async () => {
    for (const path of ['/proc/nope', '/proc/nope/a']) {
      await assert.rejects(createDirectory(path), { name: 'DirectoryError', code: 'ENOENT' });
    }
  });
});
