import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOfRecords, HostedContent } from '../../test/support/hosted-content.ts';
import { check } from '../../test/support/processes.ts';
import { mountSmallDisk } from '../../test/support/small-disk.ts';
import { memoryDirectory } from '../../test/support/temporary.ts';
import { type Digest, digestHex, digestOf } from '../oci/index.ts';
import { type HostedStore, loadAccessStore, loadHostedStore, openHostedBlobStore } from '../store/index.ts';
import { type BackUpOptions, backUp, copyOwnRecords, restore } from './index.ts';

const { openHostedStore } = await loadHostedStore();
const { openAccessStore } = await loadAccessStore();

const APP = { registry: 'apps', repository: 'team/web' };
const OTHER = { registry: 'apps', repository: 'team/other' };

/** A cache directory with hosted content, and places for its backup and what is restored from it. */
async function openStage(t: TestContext) {
  const root = await mkdtemp(join(memoryDirectory(), 'entrepot-backup-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const cacheDir = join(root, 'cache');
  const hosted = join(cacheDir, 'hosted');
  const store = await openHostedBlobStore(hosted);
  const records = await openHostedStore(join(hosted, 'hosted.db'));
  t.after(() => records.close());
  const content = new HostedContent(store, records);
  const directory = join(root, 'backup');
  const target = join(root, 'restored');
  return {
    root,
    cacheDir,
    directory,
    target,
    store,
    records,
    content,
    backUp: (more: Partial<BackUpOptions> = {}) =>
      backUp({
        cacheDir,
        directory,
        copyRecords: async (file) => {
          await records.backUp(file);
          return true;
        },
        ...more,
      }),
    restore: (more: { partial?: boolean } = {}) => restore({ directory, cacheDir: target, ...more }),
  };
}

const blobIn = (directory: string, digest: Digest): string =>
  join(directory, 'hosted', 'blobs', 'sha256', digestHex(digest).slice(0, 2), digestHex(digest));

async function damage(directory: string, digest: Digest): Promise<void> {
  const path = blobIn(directory, digest);
  await chmod(path, 0o600);
  const bytes = await readFile(path);
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

/** What the records of a directory say, and every byte that they name. */
async function contentIn(cacheDir: string): Promise<unknown> {
  const hosted = join(cacheDir, 'hosted');
  const records = await openHostedStore(join(hosted, 'hosted.db'));
  try {
    for (const { digest } of await records.listDigests({ limit: 10_000 })) {
      assert.equal(digestOf(await readFile(blobIn(cacheDir, digest))), digest);
    }
    return await everythingIn(records);
  } finally {
    await records.close();
  }
}

async function everythingIn(records: HostedStore): Promise<unknown> {
  const moves: unknown[] = [];
  for (const repository of await records.listRepositories({ limit: 1000 })) {
    for (const tag of await records.listTagNames(repository, { limit: 1000 })) {
      moves.push([repository, tag, await records.listTagMoves(repository, tag)]);
    }
  }
  return { content: await contentOfRecords(records), moves };
}

describe('a backup', () => {
  test('is restored with all that it had: blobs, tags, their moves, users and keys', async (t) => {
    const stage = await openStage(t);
    await stage.content.image(APP, 'one', { layers: ['a', 'b'], tags: ['v1', 'latest'] });
    await stage.content.image(APP, 'two', { layers: ['b', 'c'], tags: ['latest'] });
    await stage.content.image(OTHER, 'one', { layers: ['a', 'b'], tags: ['v1'] });
    const access = await openAccessStore(join(stage.cacheDir, 'access.db'), { create: true });
    await access?.addUser({ name: 'alice', password: 'x', disabled: false, createdAt: 1, passwordAt: 2 });
    await access?.close();
    await writeFile(join(stage.cacheDir, 'push.key'), Buffer.alloc(32, 7), { mode: 0o600 });
    await mkdir(join(stage.cacheDir, 'ca'));
    await writeFile(join(stage.cacheDir, 'ca', 'ca.key'), 'key', { mode: 0o600 });
    const before = await everythingIn(stage.records);

    const made = await stage.backUp();
    assert.deepEqual(
      [made.repositories, made.problems, made.access, made.keys],
      [2, 0, true, ['push.key', 'ca/ca.key']],
    );
    assert.equal(made.copiedBlobs, made.totalBlobs);
    assert.equal(made.bytes, made.totalBytes);
    const done = await stage.restore();
    assert.deepEqual([done.restored, done.problems, done.keys], [true, 0, ['push.key', 'ca/ca.key']]);
    assert.deepEqual(await contentIn(stage.target), before);
    const restored = await openAccessStore(join(stage.target, 'access.db'), { create: false });
    assert.equal((await restored?.listUsers())?.[0]?.name, 'alice');
    await restored?.close();
    assert.deepEqual(await readFile(join(stage.target, 'push.key')), Buffer.alloc(32, 7));
    for (const name of ['access.db', 'push.key', 'ca/ca.key', 'hosted/hosted.db']) {
      for (const each of [stage.target, stage.directory]) {
        assert.equal((await stat(join(each, name))).mode & 0o777, 0o600, `${each}/${name}`);
      }
    }
    assert.equal((await stat(stage.directory)).mode & 0o777, 0o700);
    assert.deepEqual(await readdir(join(stage.target, 'hosted', 'ingest')), []);
    assert.equal((await readdir(join(stage.target, 'hosted'))).includes('restoring.json'), false);
  });

  test('shares no file with the original', async (t) => {
    const stage = await openStage(t);
    const { digest } = await stage.content.blob(APP, 'text');
    await stage.backUp();
    assert.equal((await stat(blobIn(stage.directory, digest))).nlink, 1);
    await damage(stage.cacheDir, digest);
    assert.equal((await readFile(blobIn(stage.directory, digest))).toString(), 'text');
  });

  test('copies what is new, keeps what it has, and removes the rest only where it is told to', async (t) => {
    const stage = await openStage(t);
    const first = await stage.content.blob(APP, 'first');
    await stage.backUp();
    const second = await stage.content.blob(APP, 'second');
    await stage.records.deleteBlob(APP, first.digest);
    const again = await stage.backUp();
    assert.deepEqual([again.totalBlobs, again.copiedBlobs, again.copiedBytes, again.pruned], [1, 1, 6, 0]);
    assert.equal((await stat(blobIn(stage.directory, first.digest))).size, 5);
    const pruned = await stage.backUp({ prune: true });
    assert.deepEqual([pruned.copiedBlobs, pruned.pruned], [0, 1]);
    await assert.rejects(stat(blobIn(stage.directory, first.digest)), { code: 'ENOENT' });
    assert.equal((await stat(blobIn(stage.directory, second.digest))).size, 6);
    await stage.restore();
    await contentIn(stage.target);
  });

  test('names a corrupt and a missing original with its repositories, and copies all else', async (t) => {
    const stage = await openStage(t);
    const right = await stage.content.blob(APP, 'right');
    const corrupt = await stage.content.blob(APP, 'corrupt');
    await stage.content.blob(OTHER, 'corrupt');
    const missing = await stage.content.blob(OTHER, 'missing');
    await damage(stage.cacheDir, corrupt.digest);
    await stage.store.delete(missing.digest);
    const report = await stage.backUp();
    assert.deepEqual([report.problems, report.copiedBlobs, report.blobs], [2, 1, 3]);
    const found = new Map(report.list.map(({ digest, repositories, why }) => [digest, [repositories, why]]));
    assert.deepEqual(found.get(missing.digest), [['apps/team/other'], 'it is missing']);
    assert.deepEqual(new Set(found.get(corrupt.digest)?.[0]), new Set(['apps/team/other', 'apps/team/web']));
    assert.match(String(found.get(corrupt.digest)?.[1]), /^it is corrupt: its bytes have the digest sha256:/);
    assert.equal((await readFile(blobIn(stage.directory, right.digest))).toString(), 'right');

    const refused = await stage.restore();
    assert.deepEqual([refused.restored, refused.problems], [false, 2]);
    await assert.rejects(stat(join(stage.target, 'hosted', 'hosted.db')), { code: 'ENOENT' });
    await assert.rejects(openHostedStore(join(stage.target, 'hosted', 'hosted.db')), /a restore was interrupted/);
    const partial = await stage.restore({ partial: true });
    assert.deepEqual([partial.restored, partial.problems], [true, 2]);
    const records = await openHostedStore(join(stage.target, 'hosted', 'hosted.db'));
    assert.equal((await records.totals()).digests, 3);
    await records.close();
  });

  test('writes to no directory that is something else, nor one in the cache or around it', async (t) => {
    const stage = await openStage(t);
    await mkdir(stage.directory);
    await writeFile(join(stage.directory, 'photo.jpg'), 'mine');
    await assert.rejects(stage.backUp(), /holds other files \("photo\.jpg"\) and is no backup/);
    assert.deepEqual(await readdir(stage.directory), ['photo.jpg']);
    for (const directory of [join(stage.cacheDir, 'backup'), stage.cacheDir, stage.root]) {
      await assert.rejects(stage.backUp({ directory }), /are one in the other/);
    }
    const file = join(stage.root, 'file');
    await writeFile(file, '');
    await assert.rejects(stage.backUp({ directory: file }), /is a file/);
  });

  test('of a newer release is neither gone on with nor restored', async (t) => {
    const stage = await openStage(t);
    await stage.content.blob(APP, 'text');
    await stage.backUp();
    await writeFile(join(stage.directory, 'entrepot-backup.json'), '{"format":2}');
    for (const work of [stage.backUp, stage.restore]) {
      await assert.rejects(
        work(),
        /A newer release of entrepot made the backup .* format 2, and this release knows format 1/,
      );
    }
    await writeFile(join(stage.directory, 'entrepot-backup.json'), '');
    await assert.rejects(stage.backUp(), /is damaged/);
  });

  test('is not replaced by less: where all is lost, it is what is restored', async (t) => {
    const stage = await openStage(t);
    await stage.content.blob(APP, 'text');
    await stage.backUp();
    const empty = join(stage.root, 'empty');
    await mkdir(empty);
    const work = stage.backUp({ cacheDir: empty, copyRecords: copyOwnRecords(empty) });
    await assert.rejects(work, /the backup in .* has some: it stays as it is/);
    assert.equal((await stage.restore()).restored, true);
  });

  test('stays as it was where the files may have been deleted meanwhile, and where it is interrupted', async (t) => {
    const stage = await openStage(t);
    await stage.content.blob(APP, 'first');
    await stage.backUp();
    await stage.content.blob(APP, 'second');
    await assert.rejects(stage.backUp({ confirm: () => Promise.reject(new Error('it lasted too long')) }), /too long/);
    const aborted = AbortSignal.abort(new Error('interrupted'));
    await assert.rejects(stage.backUp({ signal: aborted }), /interrupted/);
    await stage.restore();
    const records = await openHostedStore(join(stage.target, 'hosted', 'hosted.db'));
    assert.equal((await records.totals()).digests, 1);
    await records.close();
    assert.equal((await stage.backUp()).totalBlobs, 2);
  });

  test('has nothing where nothing was pushed', async (t) => {
    const stage = await openStage(t);
    const empty = join(stage.root, 'empty');
    await mkdir(empty);
    const made = await stage.backUp({ cacheDir: empty, copyRecords: copyOwnRecords(empty) });
    assert.deepEqual([made.repositories, made.access, made.keys], [undefined, false, []]);
    const done = await stage.restore();
    assert.deepEqual([done.restored, done.repositories], [true, undefined]);
  });

  test('is not made of lost records', async (t) => {
    const stage = await openStage(t);
    await stage.content.blob(APP, 'text');
    await stage.records.close();
    await rm(join(stage.cacheDir, 'hosted', 'hosted.db'));
    await mkdir(join(stage.cacheDir, 'hosted', 'repositories', 'apps+2Fa'), { recursive: true });
    await assert.rejects(stage.backUp({ copyRecords: copyOwnRecords(stage.cacheDir) }), /entrepot hosted rebuild/);
  });
});

describe('a restore', () => {
  test('is into no cache that has content of its own', async (t) => {
    const stage = await openStage(t);
    await stage.content.blob(APP, 'text');
    await stage.backUp();
    const own = restore({ directory: stage.directory, cacheDir: stage.cacheDir });
    await assert.rejects(own, /has hosted repositories \(hosted\), and a restore never replaces any/);
    await mkdir(join(stage.target, 'hosted', 'repositories', 'apps+2Fa'), { recursive: true });
    await assert.rejects(stage.restore(), /entrepot hosted rebuild/);
  });

  test('refuses users and tokens that are there', async (t) => {
    const stage = await openStage(t);
    for (const dir of [stage.cacheDir, stage.target]) {
      await mkdir(dir, { recursive: true });
      await (await openAccessStore(join(dir, 'access.db'), { create: true }))?.close();
    }
    await stage.backUp();
    await assert.rejects(stage.restore(), /has stored users and tokens \(access\.db\)/);
  });

  test('tells a damaged backup: a blob, the records, the users', async (t) => {
    const stage = await openStage(t);
    const { digest } = await stage.content.blob(APP, 'text');
    await (await openAccessStore(join(stage.cacheDir, 'access.db'), { create: true }))?.close();
    await stage.backUp();
    const users = join(stage.directory, 'access.db');
    const records = join(stage.directory, 'hosted', 'hosted.db');
    const nothing = async (): Promise<void> => {
      for (const name of ['access.db', 'push.key', 'hosted/hosted.db']) {
        await assert.rejects(stat(join(stage.target, name)), { code: 'ENOENT' });
      }
    };
    const [rightUsers, rightRecords] = await Promise.all([readFile(users), readFile(records)]);
    await writeFile(users, rightUsers.subarray(0, 100));
    await assert.rejects(stage.restore(), { name: 'AccessStoreError' });
    await nothing();
    await writeFile(users, rightUsers);
    await writeFile(records, rightRecords.subarray(0, 5000));
    await assert.rejects(stage.restore(), /The records in the backup .* cannot be used/);
    await nothing();
    await rename(records, `${records}.x`);
    await assert.rejects(stage.restore(), /The backup is not whole: .*hosted\.db is missing/);
    await rename(`${records}.x`, records);
    await writeFile(records, rightRecords);
    await damage(stage.directory, digest);
    const report = await stage.restore();
    assert.deepEqual([report.restored, report.list[0]?.repositories], [false, ['apps/team/web']]);
    await nothing();
    await rm(blobIn(stage.directory, digest));
    await stage.backUp();
    assert.equal((await stage.restore()).restored, true);
    await contentIn(stage.target);
  });

  test('reads a backup that cannot be written to', async (t) => {
    const stage = await openStage(t);
    await stage.content.blob(APP, 'text');
    await stage.backUp();
    const before = await listing(stage.directory);
    await stage.restore();
    assert.deepEqual(await listing(stage.directory), before);
  });

  test('is of a backup that was finished', async (t) => {
    const stage = await openStage(t);
    await assert.rejects(stage.restore(), /There is no directory/);
    await mkdir(stage.directory);
    await assert.rejects(stage.restore(), /is no backup: it has no entrepot-backup\.json/);
    await stage.content.blob(APP, 'text');
    await assert.rejects(stage.backUp({ signal: AbortSignal.abort(new Error('interrupted')) }), /interrupted/);
    await assert.rejects(stage.restore(), /was never finished/);
  });
});

async function listing(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true });
  const stats = await Promise.all(names.map((name) => stat(join(directory, name))));
  return names.map((name, at) => `${name} ${stats[at]?.mtimeMs}`).sort();
}

describe('a full disk', () => {
  test('ends a backup with the remedy, leaves the one before, and what was copied is not copied again', async (t) => {
    const disk = await mountSmallDisk(t, 1_500_000);
    if (disk === undefined) return;
    const stage = await openStage(t);
    const directory = join(disk, 'backup');
    await stage.content.blob(APP, 'first');
    await stage.backUp({ directory });
    for (const letter of 'abcdefg') await stage.content.blob(APP, letter.repeat(300_000));
    await assert.rejects(stage.backUp({ directory }), {
      name: 'BackupError',
      message: /its disk is full.* Free some space and run `entrepot backup` again: what was copied stays\.$/,
    });
    assert.equal((await restore({ directory, cacheDir: stage.target })).totalBlobs, 1);
    await contentIn(stage.target);
    await check(['mount', '-o', 'remount,size=8000000', disk]);
    const again = await stage.backUp({ directory });
    assert.equal(again.totalBlobs, 8);
    assert.ok(again.copiedBlobs < 7, `${again.copiedBlobs} copied again`);
  });

  test('ends a restore with the remedy, and nothing is in place', async (t) => {
    const disk = await mountSmallDisk(t, 1_000_000);
    if (disk === undefined) return;
    const stage = await openStage(t);
    for (const letter of ['a', 'b', 'c', 'd']) await stage.content.blob(APP, letter.repeat(300_000));
    await stage.backUp();
    const cacheDir = join(disk, 'restored');
    await assert.rejects(restore({ directory: stage.directory, cacheDir }), {
      name: 'BackupError',
      message: /its disk is full.* run `entrepot restore` again/,
    });
    await assert.rejects(openHostedStore(join(cacheDir, 'hosted', 'hosted.db')), /a restore was interrupted/);
    await check(['mount', '-o', 'remount,size=8000000', disk]);
    assert.equal((await restore({ directory: stage.directory, cacheDir })).restored, true);
    await contentIn(cacheDir);
  });
});

describe('fifty random states', () => {
  test('are backed up one after the other into one directory, and each is restored as it was', {
    timeout: 240_000,
  }, async (t) => {
    const stage = await openStage(t);
    const random = randomOf(20_261_129);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const repositories = [APP, OTHER, { registry: 'other', repository: 'x' }];
    for (let state = 0; state < 50; state += 1) {
      for (let step = 0; step < 4; step += 1) {
        const repository = pick(repositories);
        const layers = Array.from({ length: Math.floor(random() * 4) }, () => `layer ${Math.floor(random() * 40)}`);
        const tags = [pick(['v1', 'v2', 'latest']), pick(['a', 'b'])];
        if (random() < 0.7) await stage.content.image(repository, `image ${state} ${step}`, { layers, tags });
        const [manifest] = await stage.records.listManifests(repository, { limit: 1 });
        if (manifest !== undefined && random() < 0.4) {
          const how = { at: stage.content.now(), by: 'bob', immutable: () => false };
          await stage.records.deleteManifest(repository, manifest.digest, how);
        }
        const { unreferenced } = await stage.records.collect({ unusedSince: stage.content.now(), limit: 5 });
        for (const digest of unreferenced) {
          if (!(await stage.records.isReferenced(digest))) await stage.store.delete(digest);
        }
      }
      const before = await everythingIn(stage.records);
      const report = await stage.backUp({ prune: random() < 0.5 });
      assert.equal(report.problems, 0);
      const target = join(stage.root, `restored-${state}`);
      assert.equal((await restore({ directory: stage.directory, cacheDir: target })).restored, true);
      assert.deepEqual(await contentIn(target), before);
      await rm(target, { recursive: true });
    }
  });
});

/** Numbers from 0 up to 1 that are the same in each run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
