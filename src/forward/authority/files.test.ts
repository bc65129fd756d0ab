import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AuthorityError } from './certificates.ts';
import { findOrWriteAuthority, readAuthority, writeAuthority } from './files.ts';

describe('the files of an authority', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'entrepot-ca-'));
  });
  after(() => rm(root, { recursive: true, force: true }));

  const options = { host: 'mirror.test' };
  const failsWith = (pattern: RegExp) => (error: unknown) =>
    error instanceof AuthorityError && pattern.test(error.message);

  test('writeAuthority() writes a key that only its owner can read', async () => {
    const dir = join(root, 'deep', 'new');
    const files = await writeAuthority(dir, options);
    assert.equal((await stat(files.keyFile)).mode & 0o777, 0o600);
    assert.equal((await stat(dir)).mode & 0o777, 0o700);
    assert.match(await readFile(files.certFile, 'utf8'), /BEGIN CERTIFICATE/);
    assert.match((await readAuthority(files)).fingerprint, /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  });

  test('writeAuthority() overwrites nothing, and leaves nothing of its own behind', async () => {
    const dir = join(root, 'kept');
    const { certFile, keyFile } = await writeAuthority(dir, options);
    const key = await readFile(keyFile, 'utf8');
    await assert.rejects(writeAuthority(dir, options), failsWith(/ca\.key exists already, and clients may trust it/));
    assert.equal(await readFile(keyFile, 'utf8'), key);
    await rm(keyFile);
    await assert.rejects(writeAuthority(dir, options), failsWith(/ca\.crt exists already/));
    assert.deepEqual(await readdir(dir), ['ca.crt']);
    await assert.rejects(findOrWriteAuthority(dir, options), failsWith(/ca\.key does not exist/));
    assert.match(certFile, /ca\.crt$/);
  });

  test('findOrWriteAuthority() makes one at first, and finds it afterwards', async () => {
    const dir = join(root, 'found');
    const first = await findOrWriteAuthority(dir, options);
    const second = await findOrWriteAuthority(dir, options);
    assert.deepEqual([first.made, second.made], [true, false]);
    assert.equal(second.authority.fingerprint, first.authority.fingerprint);
  });

  test('readAuthority() names the file that is at fault', async () => {
    const one = await writeAuthority(join(root, 'one'), options);
    const other = await writeAuthority(join(root, 'other'), options);
    await assert.rejects(
      readAuthority({ ...one, keyFile: other.keyFile }),
      failsWith(/other\/ca\.key is not the key of .*one\/ca\.crt/),
    );
    await assert.rejects(
      readAuthority({ ...one, certFile: join(root, 'none') }),
      failsWith(/none does not exist; create an authority with `entrepot ca init`/),
    );
    await assert.rejects(readAuthority({ ...one, certFile: root }), failsWith(/cannot be read/));
    await writeFile(one.certFile, 'x'.repeat(300_000));
    await assert.rejects(readAuthority(one), failsWith(/300000 bytes/));
    if (process.getuid?.() === 0) return;
    await chmod(other.keyFile, 0);
    await assert.rejects(readAuthority(other), failsWith(/may not be read by this user/));
  });
});
