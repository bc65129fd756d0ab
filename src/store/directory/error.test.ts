import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DirectoryError, DirectoryInUseError, fullDisk } from './error.ts';

describe('DirectoryError', () => {
  const cases = [
    ['EACCES', /may not write there\. Change its owner/],
    ['EROFS', /read-only\. Mount it writable/],
    ['ENOTDIR', /is a file\. Move the file away/],
    ['EEXIST', /is a file, or a link that leads nowhere\. Move it away/],
    ['ENOENT', /no such directory, or none can be made there\. Choose another/],
    ['ENOSPC', /disk is full\. Free some space/],
    ['EMFILE', /ulimit -n/],
  ] as const;
  for (const [code, remedy] of cases) {
    test(`names the directory, the reason and the remedy for ${code}`, () => {
      const cause = Object.assign(new Error(`${code}: mkdir`), { code });
      const error = new DirectoryError('/srv/cache', cause);
      assert.match(error.message, /^Cannot use \/srv\/cache as the cache directory: /);
      assert.match(error.message, remedy);
      assert.equal(error.code, code);
      assert.equal(error.cause, cause);
    });
  }

  test('says the same of a full disk, whether the system or SQLite found it full', () => {
    const error = new DirectoryError('/srv/cache', fullDisk(new Error('database or disk is full')));
    assert.match(error.message, /its disk is full\. Free some space/);
    assert.equal(error.code, 'ENOSPC');
  });

  test('says of other errors what the system says', () => {
    assert.match(new DirectoryError('/srv/cache', new Error('EIO: i/o error')).message, /directory: EIO: i\/o error$/);
  });
});

describe('DirectoryInUseError', () => {
  test('names the owner where it is known', () => {
    const owner = { pid: 4711, host: 'mirror', startedAt: 0 };
    assert.match(new DirectoryInUseError('/srv/cache', owner).message, /process 4711 on mirror is using it/);
    assert.match(new DirectoryInUseError('/srv/cache', undefined).message, /another process is using it/);
  });
});
