import assert from 'node:assert/strict';
import { mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { pushBlob, pushManifest, refusalOf, send } from '../support/push.ts';
import { type RawResponse, rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { smallImage } from '../support/small-image.ts';

// Where the disk or the records fail: what is mirrored is pulled all the same, a push gets an error of the protocol, the process stays,
// and pushes go on once the disk does. The whole server, as a process.

const MiB = 1024 * 1024;
const alice = basic('alice');
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const REPOSITORY = 'apps/web';
/** A server looks for the disk, and for records that it could not open, some seconds apart. */
const BACK_WITHIN = 40_000;

const mirrored = buildImage({ seed: 'mirrored', layers: [30_000], architectures: ['amd64'] });

interface Outage {
  readonly upstream: ScriptedUpstream;
  readonly dir: string;
  readonly start: (config?: Readonly<Record<string, unknown>>) => Promise<RunningEntrepot>;
}

async function stage(t: TestContext, dir?: string): Promise<Outage> {
  const workspace = await Workspace.open();
  t.after(() => workspace.close());
  const upstream = await startScriptedUpstream();
  t.after(() => upstream.stop());
  upstream.add(mirrored, 'team/app', ['latest']);
  const htpasswd = await workspace.file('htpasswd', htpasswdOf('alice'));
  const cacheDir = dir ?? workspace.path('cache');
  return {
    upstream,
    dir: cacheDir,
    start: (config = {}) =>
      startEntrepot(
        workspace,
        {
          registries: { apps: { hosted: true }, up: { upstreams: [upstream.url] } },
          access: {
            htpasswd,
            rules: [
              { who: 'alice', may: ['pull', 'push', 'delete'], on: ['apps/**'] },
              { who: 'anonymous', may: ['pull'], on: ['**'] },
            ],
          },
          ...config,
        },
        { dir: cacheDir },
      ),
  };
}

const to = ({ host }: RunningEntrepot, repository = REPOSITORY) => ({ host, repository, headers: alice });

/** What is mirrored, all of it: a manifest by tag and by digest, and blobs. */
async function assertMirrors({ host }: RunningEntrepot): Promise<void> {
  const { manifest, config, layers } = platformOf(mirrored, 'amd64');
  for (const [path, { bytes }] of [
    ['manifests/latest', mirrored.index],
    [`manifests/${manifest.digest}`, manifest],
    ...[config, ...layers].map((blob) => [`blobs/${blob.digest}`, blob] as const),
  ] as const) {
    const answer = await rawRequest(host, { path: `/v2/up/team/app/${path}` });
    assert.equal(answer.status, 200, `${path}: ${answer.body.toString().slice(0, 200)}`);
    assert.deepEqual(answer.body, bytes);
  }
}

function assertUnavailable(answer: RawResponse, what: string): void {
  const { status, code, message } = refusalOf(answer);
  assert.deepEqual([what, status, code], [what, 503, 'UNAVAILABLE'], message);
}

const newBlob = (seed: string, size: number): Content => content(LAYER, noise(seed, size));

/** Pushes an image until it is taken. */
async function becomesPushed(server: RunningEntrepot, seed: string): Promise<void> {
  const image = smallImage(seed, [newBlob(seed, 100_000)]);
  const deadline = Date.now() + BACK_WITHIN;
  for (;;) {
    const answers: RawResponse[] = [];
    for (const blob of [...image.layers, image.config]) answers.push(await pushBlob(to(server), blob));
    answers.push(await pushManifest(to(server), image.manifest, seed));
    if (answers.every(({ status }) => status === 201)) break;
    const refused = answers.find(({ status }) => status !== 201) as RawResponse;
    assert.ok(Date.now() < deadline, `still refused: ${refused.status} ${refused.body.toString()}`);
    await sleep(300);
  }
  const pulled = await rawRequest(server.host, { path: `/v2/${REPOSITORY}/manifests/${seed}`, headers: alice });
  assert.deepEqual(pulled.body, image.manifest.bytes);
}

/** What was pushed is whole. */
async function assertPushed({ host }: RunningEntrepot, { digest, bytes }: Content): Promise<void> {
  const answer = await rawRequest(host, { path: `/v2/${REPOSITORY}/blobs/${digest}`, headers: alice });
  assert.equal(answer.status, 200);
  assert.ok(answer.body.equals(bytes));
}

/** Takes all of the room but so many bytes. */
async function fill(dir: string, leave = 0): Promise<() => Promise<void>> {
  const file = join(dir, 'of-another-program');
  const { bavail, bsize } = await statfs(dir);
  try {
    await writeFile(file, Buffer.alloc(Math.max(0, bavail * bsize - leave)));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
  return () => rm(file);
}

describe('a disk', needs('root'), () => {
  test('that fills while images are pushed', async (t) => {
    const disk = await mountSmallDisk(t, 24 * MiB);
    if (disk === undefined) return;
    const { start, dir } = await stage(t, join(disk, 'cache'));
    const server = await start({ cache: { min_free: 0 } });
    const kept = newBlob('kept', MiB);
    assert.equal((await pushBlob(to(server), kept)).status, 201);
    // Some at once, of which the disk has room for a few.
    const blobs = Array.from({ length: 8 }, (_, at) => newBlob(`fills ${at}`, 5 * MiB));
    const answers = await Promise.all(blobs.map((blob) => pushBlob(to(server), blob)));
    const refused = answers.filter(({ status }) => status !== 201);
    assert.ok(refused.length > 0, 'the disk had room for all of it');
    for (const answer of refused) assertUnavailable(answer, 'a push beyond the disk');
    for (const [at, { status }] of answers.entries()) {
      if (status === 201) await assertPushed(server, blobs[at] as Content);
    }
    await assertMirrors(server);
    await assertPushed(server, kept);
    // A deletion makes room, at once.
    for (const blob of blobs) {
      await send(server.host, 'DELETE', `/v2/${REPOSITORY}/blobs/${blob.digest}`, { headers: alice });
    }
    await becomesPushed(server, 'back');
    await assertPushed(server, kept);
    assert.deepEqual(await readdir(join(dir, 'hosted', 'ingest')), [], 'nothing half is left');
    assert.equal(await server.stop(), 0);
  });

  test('that is full to its last byte, and has room again', async (t) => {
    const disk = await mountSmallDisk(t, 24 * MiB);
    if (disk === undefined) return;
    const { start } = await stage(t, join(disk, 'cache'));
    const server = await start({ cache: { min_free: 0 } });
    const kept = newBlob('kept', MiB);
    assert.equal((await pushBlob(to(server), kept)).status, 201);
    const free = await fill(disk);
    for (let turn = 0; turn < 3; turn += 1) {
      const blob = newBlob(`full ${turn}`, 200_000);
      assertUnavailable(await pushBlob(to(server), blob), 'POST, PUT');
      const path = `/v2/${REPOSITORY}/blobs/uploads/?digest=${blob.digest}`;
      assertUnavailable(await send(server.host, 'POST', path, { headers: alice, body: blob.bytes }), 'POST');
      await assertMirrors(server);
      await assertPushed(server, kept);
    }
    const image = smallImage('full', [kept]);
    assertUnavailable(await pushManifest(to(server), image.manifest, 'full'), 'a manifest');
    await free();
    await becomesPushed(server, 'back');
    assert.equal(await server.stop(), 0);
  });

  test('that is full at the start', async (t) => {
    const disk = await mountSmallDisk(t, 24 * MiB);
    if (disk === undefined) return;
    const { start } = await stage(t, join(disk, 'cache'));
    const first = await start({ cache: { min_free: 0 } });
    const kept = newBlob('kept', MiB);
    assert.equal((await pushBlob(to(first), kept)).status, 201);
    assert.equal(await first.stop(), 0);
    const free = await fill(disk);
    const server = await start({ cache: { min_free: 0 } });
    await assertMirrors(server);
    assertUnavailable(await pushBlob(to(server), newBlob('more', 100_000)), 'a push');
    await free();
    await becomesPushed(server, 'back');
    await assertPushed(server, kept);
    assert.equal(await server.stop(), 0);
  });

  test('that cannot be written to any more, and can again', async (t) => {
    const disk = await mountSmallDisk(t, 24 * MiB);
    if (disk === undefined) return;
    const { start } = await stage(t, join(disk, 'hosted-on-it'));
    const server = await start({ cache: { min_free: 0 } });
    const kept = newBlob('kept', MiB);
    assert.equal((await pushBlob(to(server), kept)).status, 201);
    // A disk with files that are open for writing cannot be mounted read-only, except by force of a mount over it.
    const hosted = join(disk, 'hosted-on-it', 'hosted', 'uploads');
    await check(['mount', '--bind', hosted, hosted]);
    let isMounted = true;
    const unmount = async (): Promise<void> => {
      if (isMounted) await check(['umount', '-l', hosted]);
      isMounted = false;
    };
    t.after(unmount);
    await check(['mount', '-o', 'remount,bind,ro', hosted]);
    const answer = await pushBlob(to(server), newBlob('read-only', 100_000));
    assertUnavailable(answer, 'a push to a read-only directory');
    await assertMirrors(server);
    await assertPushed(server, kept);
    await unmount();
    await becomesPushed(server, 'back');
    assert.equal(await server.stop(), 0);
  });

  test('whose min_free is reached takes no push, and pulls go on', async (t) => {
    const disk = await mountSmallDisk(t, 24 * MiB);
    if (disk === undefined) return;
    const { start } = await stage(t, join(disk, 'cache'));
    const server = await start({ cache: { min_free: '8MiB' } });
    const kept = newBlob('kept', MiB);
    assert.equal((await pushBlob(to(server), kept)).status, 201);
    const free = await fill(disk, 6 * MiB);
    const deadline = Date.now() + BACK_WITHIN;
    let answer = await pushBlob(to(server), newBlob('floor', 100_000));
    // It looks at the disk once a second.
    for (let turn = 0; answer.status === 201 && Date.now() < deadline; turn += 1) {
      await sleep(300);
      answer = await pushBlob(to(server), newBlob(`floor ${turn}`, 100_000));
    }
    assertUnavailable(answer, 'a push below min_free');
    await assertMirrors(server);
    await assertPushed(server, kept);
    await free();
    await becomesPushed(server, 'back');
    assert.equal(await server.stop(), 0);
  });
});

describe('hosted content that cannot be opened at the start', { concurrency: true }, () => {
  /** Every kind of request for a hosted repository is answered 503, and what is mirrored is served. */
  async function assertClosed(server: RunningEntrepot, why: RegExp): Promise<void> {
    const { digest } = newBlob('closed', 1000);
    const { host } = server;
    const asked = {
      'GET a manifest': rawRequest(host, { path: `/v2/${REPOSITORY}/manifests/v1`, headers: alice }),
      'GET a blob': rawRequest(host, { path: `/v2/${REPOSITORY}/blobs/${digest}`, headers: alice }),
      'GET tags': rawRequest(host, { path: `/v2/${REPOSITORY}/tags/list`, headers: alice }),
      push: pushBlob(to(server), newBlob('closed', 1000)),
      'push a manifest': pushManifest(to(server), smallImage('closed', []).manifest, 'v1'),
      'DELETE a manifest': send(host, 'DELETE', `/v2/${REPOSITORY}/manifests/v1`, { headers: alice }),
    };
    for (const [what, answer] of Object.entries(asked)) assertUnavailable(await answer, what);
    const anonymous = await rawRequest(host, { path: `/v2/${REPOSITORY}/tags/list` });
    assert.equal(anonymous.status, 401, 'who may not pull it hears nothing of it');
    await assertMirrors(server);
    assert.match(server.process.output(), why);
  }

  for (const [what, damage] of [
    ['damaged', Buffer.alloc(40_000, 'no database ')],
    ['empty', Buffer.alloc(0)],
  ] as const) {
    test(`records that are ${what}: mirrored content is served, and hosted content is once they are back`, async (t) => {
      const { start, dir } = await stage(t);
      const first = await start();
      const kept = newBlob('kept', 50_000);
      const unused = newBlob('unused', 50_000);
      for (const blob of [kept, unused]) assert.equal((await pushBlob(to(first), blob)).status, 201);
      assert.equal(await first.stop(), 0);
      const file = join(dir, 'hosted', 'hosted.db');
      const database = new DatabaseSync(file);
      database.prepare('UPDATE blobs SET used_at = 0 WHERE digest = ?').run(unused.digest);
      database.close();
      await check(['cp', file, `${file}.copy`]);
      for (const suffix of ['-wal', '-shm']) await rm(`${file}${suffix}`, { force: true });
      await writeFile(file, damage);
      const server = await start();
      await assertClosed(server, /hosted repositories are not served, and what is mirrored is: Cannot use the records/);
      await check(['mv', `${file}.copy`, file]);
      await becomesPushed(server, 'back');
      await assertPushed(server, kept);
      // It is all there again, with the collection.
      await eventually(() => assert.ok(server.logs().some(({ msg }) => msg === 'hosted.collected')));
      assert.equal(await server.stop(), 0);
    });
  }

  test('a file in the place of hosted/', async (t) => {
    const { start, dir } = await stage(t);
    await mkdir(dir, { recursive: true });
    const first = await start({ registries: {}, access: {} });
    assert.equal(await first.stop(), 0);
    await writeFile(join(dir, 'hosted'), 'in the way');
    const server = await start();
    await assertClosed(server, /hosted repositories are not served.*Let the user of the server write there/);
    await rm(join(dir, 'hosted'));
    await becomesPushed(server, 'back');
    assert.equal(await server.stop(), 0);
  });

  test('hosted/ on a disk that is read-only', needs('root'), async (t) => {
    const { start, dir } = await stage(t);
    const first = await start();
    const kept = newBlob('kept', 50_000);
    assert.equal((await pushBlob(to(first), kept)).status, 201);
    assert.equal(await first.stop(), 0);
    const hosted = join(dir, 'hosted');
    await check(['mount', '--bind', hosted, hosted]);
    let isMounted = true;
    const unmount = async (): Promise<void> => {
      if (isMounted) await check(['umount', '-l', hosted]);
      isMounted = false;
    };
    t.after(unmount);
    await check(['mount', '-o', 'remount,bind,ro', hosted]);
    const server = await start();
    await assertMirrors(server);
    assertUnavailable(await pushBlob(to(server), newBlob('read-only', 1000)), 'a push');
    await unmount();
    await becomesPushed(server, 'back');
    await assertPushed(server, kept);
    assert.equal(await server.stop(), 0);
  });
});
