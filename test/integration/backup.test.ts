import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { backup } from '../../src/cli/commands/hosted/backup.ts';
import { restore } from '../../src/cli/commands/hosted/restore.ts';
import { digestHex } from '../../src/oci/index.ts';
import { loadHostedStore } from '../../src/store/index.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, type TestImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { pushBlob, pushImage, pushManifest, send } from '../support/push.ts';

// A backup beside a running server that is pushed to, restored elsewhere and served from there.

const { openHostedStore } = await loadHostedStore();

const alice = basic('alice');
let scratch: string;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'entrepot-backups-'));
  await writeFile(join(scratch, 'htpasswd'), htpasswdOf('alice'));
});
after(() => rm(scratch, { recursive: true, force: true }));

const configOf = () => ({
  registries: { apps: { hosted: true } },
  access: {
    htpasswd: join(scratch, 'htpasswd'),
    rules: [{ who: 'alice', may: ['pull', 'push', 'delete', 'catalog'], on: ['apps/**'] }],
  },
});

async function start(t: TestContext, dir?: string): Promise<Mirror> {
  const mirror = await startMirror(configOf(), { dir: dir ?? (await mkdtemp(join(scratch, 'cache-'))) });
  t.after(() => mirror.stop());
  return mirror;
}

async function run(
  work: typeof backup | typeof restore,
  options: { cacheDir: string; directory: string; prune?: boolean },
) {
  const { output, said } = captureOutput();
  const { cacheDir, ...more } = options;
  const file = join(scratch, `${crypto.randomUUID()}.yaml`);
  await writeFile(file, JSON.stringify({ cache: { dir: cacheDir }, registries: { apps: { hosted: true } } }));
  const code = await work({ flags: { config: file }, json: true, ...more }, { output, isTerminal: false });
  return { code, err: said.err, answer: said.out === '' ? undefined : JSON.parse(said.out) };
}

const target = (mirror: Mirror, repository: string) => ({ host: mirror.host, repository, headers: alice });

async function remove(mirror: Mirror, repository: string, image: TestImage): Promise<void> {
  for (const { digest } of [image.index, ...image.platforms.map(({ manifest }) => manifest)]) {
    const { status } = await send(mirror.host, 'DELETE', `/v2/${repository}/manifests/${digest}`, { headers: alice });
    assert.equal(status, 202);
  }
}

/** Pushes one image after the other, and deletes each but the last, until it is told to stop. */
async function pushInALoop(mirror: Mirror, repository: string, signal: AbortSignal): Promise<number> {
  let earlier: TestImage | undefined;
  let pushed = 0;
  while (!signal.aborted) {
    const image = buildImage({ seed: `${repository} ${pushed}`, layers: [3000] });
    await pushImage(target(mirror, repository), image, `t${pushed % 3}`);
    if (earlier !== undefined) await remove(mirror, repository, earlier);
    earlier = image;
    pushed += 1;
  }
  return pushed;
}

/** Everything that the records of a cache directory name is served by a server on it. */
async function assertServed(mirror: Mirror, dir: string): Promise<number> {
  const records = await openHostedStore(join(dir, 'hosted', 'hosted.db'));
  let looked = 0;
  try {
    for (const repository of await records.listRepositories({ limit: 100 })) {
      const name = `${repository.registry}/${repository.repository}`;
      for (const { tag, digest } of await records.listTags(repository, { limit: 100 })) {
        const { status, headers } = await mirror.get(`/v2/${name}/manifests/${tag}`, alice);
        assert.deepEqual([status, headers['docker-content-digest']], [200, digest]);
        looked += 1;
      }
      for (const kind of ['manifests', 'blobs'] as const) {
        const listed =
          kind === 'blobs'
            ? await records.listBlobs(repository, { limit: 1000 })
            : await records.listManifests(repository, { limit: 1000 });
        for (const { digest, size } of listed) {
          const { status, body } = await mirror.get(`/v2/${name}/${kind}/${digest}`, alice);
          assert.deepEqual([status, body.length], [200, size], digest);
          looked += 1;
        }
      }
    }
  } finally {
    await records.close();
  }
  return looked;
}

describe('a backup beside a running server', () => {
  test('is of one moment while images are pushed and deleted, and is served whole elsewhere', {
    timeout: 120_000,
  }, async (t) => {
    const mirror = await start(t);
    const directory = join(scratch, `backup-${crypto.randomUUID()}`);
    await pushImage(target(mirror, 'apps/kept'), buildImage({ seed: 'kept', layers: [200_000] }), 'v1');
    const over = new AbortController();
    const loops = ['apps/a', 'apps/b'].map((repository) => pushInALoop(mirror, repository, over.signal));
    try {
      for (let round = 0; round < 6; round += 1) {
        const { code, err, answer } = await run(backup, { cacheDir: mirror.dir, directory, prune: round % 2 === 0 });
        assert.deepEqual([code, err, answer.problemCount], [0, '', 0]);
        const restored = join(scratch, `restored-${crypto.randomUUID()}`);
        assert.equal((await run(restore, { cacheDir: restored, directory })).code, 0);
        const second = await startMirror(configOf(), { dir: restored });
        try {
          assert.ok((await assertServed(second, restored)) > 5);
        } finally {
          await second.stop();
        }
      }
    } finally {
      over.abort();
      const pushed = await Promise.all(loops);
      assert.ok(Math.min(...pushed) > 5, `${pushed.join()} pushes`);
    }
    // What had to wait for the end of the backups was deleted.
    const records = await openHostedStore(join(mirror.dir, 'hosted', 'hosted.db'));
    const { digests } = await records.totals();
    await records.close();
    const names = await readdir(join(mirror.dir, 'hosted', 'blobs'), { recursive: true });
    assert.equal(names.filter((name) => /[0-9a-f]{64}$/.test(name)).length, digests);
  });

  test('that was killed keeps no file for ever, and one at a time is made', async (t) => {
    const mirror = await start(t);
    const image = buildImage({ seed: 'paused', layers: [3000] });
    await pushImage(target(mirror, 'apps/a'), image, 'v1');
    const socket = controlSocketPath(mirror.dir);
    const begun = await callControl(socket, OPERATIONS.backupBegin, { input: {} });
    assert.ok(begun.lease > 1000);
    const { digest } = image.index;
    const file = join(mirror.dir, 'hosted/blobs/sha256', digestHex(digest).slice(0, 2), digestHex(digest));
    await remove(mirror, 'apps/a', image);
    assert.equal((await stat(file)).size, image.index.size);
    assert.equal((await mirror.get(`/v2/apps/a/manifests/${digest}`, alice)).status, 404);
    const second = await run(backup, { cacheDir: mirror.dir, directory: join(scratch, 'second') });
    assert.equal(second.code, 1);
    assert.match(second.err, /a backup is under way already/);
    const { id } = begun;
    assert.deepEqual(await callControl(socket, OPERATIONS.backupRenew, { input: { id } }), { on: true });
    assert.deepEqual(await callControl(socket, OPERATIONS.backupRenew, { input: { id: 'other' } }), { on: false });
    assert.deepEqual(await callControl(socket, OPERATIONS.backupEnd, { input: { id } }), { on: true });
    await assert.rejects(stat(file), { code: 'ENOENT' });
    assert.deepEqual(await callControl(socket, OPERATIONS.backupEnd, { input: { id } }), { on: false });
    assert.equal((await readdir(join(mirror.dir, 'hosted'))).includes('hosted.db.snapshot'), false);
  });

  test('keeps what is pushed again while its file waits to be deleted', async (t) => {
    const mirror = await start(t);
    const image = buildImage({ seed: 'again', layers: [3000] });
    await pushImage(target(mirror, 'apps/a'), image, 'v1');
    const socket = controlSocketPath(mirror.dir);
    const { id } = await callControl(socket, OPERATIONS.backupBegin, { input: {} });
    await remove(mirror, 'apps/a', image);
    for (const blob of image.blobs) await pushBlob(target(mirror, 'apps/a'), blob);
    for (const { manifest } of image.platforms) {
      await pushManifest(target(mirror, 'apps/a'), manifest, manifest.digest);
    }
    await pushManifest(target(mirror, 'apps/a'), image.index, 'v2');
    await callControl(socket, OPERATIONS.backupEnd, { input: { id } });
    assert.deepEqual((await mirror.get('/v2/apps/a/manifests/v2', alice)).body, image.index.bytes);
  });

  test('is made of what is hosted no more', async (t) => {
    const mirror = await start(t);
    await pushImage(target(mirror, 'apps/a'), buildImage({ seed: 'hidden', layers: [3000] }), 'v1');
    await mirror.stop();
    const second = await startMirror({}, { dir: mirror.dir });
    t.after(() => second.stop());
    const directory = join(scratch, 'hidden');
    const { code, answer } = await run(backup, { cacheDir: mirror.dir, directory });
    assert.deepEqual([code, answer.repositories, answer.problemCount], [0, 1, 0]);
    assert.match((await run(restore, { cacheDir: mirror.dir, directory })).err, /is using it\. Stop that process/);
  });
});

test('is refused where the records are lost, with a running server too', async (t) => {
  const mirror = await start(t);
  await pushImage(target(mirror, 'apps/a'), buildImage({ seed: 'lost', layers: [3000] }), 'v1');
  await mirror.stop();
  for (const suffix of ['', '-wal', '-shm'])
    await rm(join(mirror.dir, 'hosted', `hosted.db${suffix}`), { force: true });
  const second = await startMirror({}, { dir: mirror.dir });
  t.after(() => second.stop());
  const { code, err } = await run(backup, { cacheDir: mirror.dir, directory: join(scratch, 'lost') });
  assert.equal(code, 1);
  assert.match(err, /entrepot hosted rebuild/);
});

test('without a server, the command owns the directory', async (t) => {
  const mirror = await start(t);
  await pushImage(target(mirror, 'apps/a'), buildImage({ seed: 'alone', layers: [3000] }), 'v1');
  await mirror.stop();
  const directory = join(scratch, 'alone');
  const { code, answer } = await run(backup, { cacheDir: mirror.dir, directory });
  assert.deepEqual([code, answer.repositories, answer.problemCount], [0, 1, 0]);
  const restored = join(scratch, 'alone-restored');
  assert.equal((await run(restore, { cacheDir: restored, directory })).code, 0);
  const second = await start(t, restored);
  assert.ok((await assertServed(second, restored)) > 5);
});
