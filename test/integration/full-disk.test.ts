import assert from 'node:assert/strict';
import { statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { OPERATIONS } from '../../src/admin/index.ts';
import { pin, unpin } from '../../src/cli/commands/cache/pin.ts';
import { ask, operate, operatorSession, problemIn } from '../support/api-stage.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

// What an operator does where another program has filled the disk of the cache directory to the last byte.

const DISK = 6 << 20;
const image = buildImage({ seed: 'full disk', layers: [200_000, 300_000], architectures: ['amd64'] });
const { manifest, config, layers } = platformOf(image, 'amd64');

/** A server with an image in its cache, on a disk without a free byte; undefined where no disk can be mounted. */
async function fullServer(t: TestContext): Promise<Mirror | undefined> {
  const dir = await mountSmallDisk(t, DISK);
  if (dir === undefined) return undefined;
  const upstream = await startScriptedUpstream();
  t.after(() => upstream.stop());
  upstream.add(image, 'team/app', ['1']);
  const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
  const mirror = await startMirror({ cache: { min_free: 0 }, registries }, { dir });
  t.after(() => mirror.stop());
  for (const reference of ['1', manifest.digest]) {
    assert.equal((await mirror.get(`/up/v2/team/app/manifests/${reference}`)).status, 200);
  }
  for (const { digest } of [config, ...layers]) {
    assert.equal((await mirror.get(`/up/v2/team/app/blobs/${digest}`)).status, 200);
    await mirror.logged(isIngestEnd(digest));
  }
  await fill(dir);
  return mirror;
}

let files = 0;

/** Takes all that is free, to the last block. */
async function fill(dir: string): Promise<void> {
  for (;;) {
    const { bavail, bsize } = await statfs(dir);
    if (bavail === 0) return;
    files += 1;
    await writeFile(join(dir, `not-ours-${files}`), Buffer.alloc(bavail * bsize)).catch(noRoom);
  }
}

function noRoom(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error;
}

/**
 * The write-ahead log has room of its own, that earlier transactions took: pins and unpins until it is used up.
 *
 * @returns what was refused, and how
 */
async function useUpLog(mirror: Mirror): Promise<{ readonly name: 'pin' | 'unpin'; readonly error: Error }> {
  for (let at = 0; at < 2000; at += 1) {
    const name = at % 2 === 0 ? 'pin' : 'unpin';
    try {
      await operate(mirror, OPERATIONS[name], { image: 'up/team/app:1' });
    } catch (error) {
      return { name, error: error as Error };
    }
  }
  assert.fail('the disk is not full');
}

describe('on a full disk', () => {
  test('what has to write says so, and what to do', async (t) => {
    const mirror = await fullServer(t);
    if (mirror === undefined) return;
    const { name, error } = await useUpLog(mirror);
    assert.match(error.message, /the disk of the server is full.*entrepot purge/);
    const { changing } = await operatorSession(mirror);
    const body = { image: 'up/team/app:1' };
    const answer = await ask(mirror, 'POST', `/api/v1/${name}`, { body, headers: changing });
    const { detail, title } = problemIn(answer, 507);
    assert.match(detail, /the disk of the server is full.*entrepot purge/);
    assert.equal(title, 'Insufficient Storage');
    const { output, said } = captureOutput();
    const command = name === 'pin' ? pin : unpin;
    assert.equal(await command({ flags: { cacheDir: mirror.dir }, images: ['up/team/app:1'], json: false }, output), 1);
    assert.match(said.err, /the disk of the server is full.*entrepot purge/);
  });

  test('purge works all the same, by image, tag and digest', async (t) => {
    for (const pattern of ['up/team/app', 'up/team/app:1', `up/team/app@${manifest.digest}`, layers[0]?.digest ?? '']) {
      await t.test(pattern.slice(0, 30), async (each) => {
        const mirror = await fullServer(each);
        if (mirror === undefined) return;
        await useUpLog(mirror);
        const { changing } = await operatorSession(mirror);
        const body = { patterns: [pattern] };
        const answer = await ask(mirror, 'POST', '/api/v1/purge', { body, headers: changing });
        assert.equal(answer.status, 200, answer.body.toString());
        assert.ok((answer.value as { blobs: number }).blobs > 0);
        const dry = await operate(mirror, OPERATIONS.purge, { patterns: [pattern], dryRun: true });
        assert.deepEqual([dry.tagCount, dry.members, dry.blobs], [0, 0, 0]);
      });
    }
  });

  test('gc evicts what it is told to', async (t) => {
    const mirror = await fullServer(t);
    if (mirror === undefined) return;
    await useUpLog(mirror);
    await operate(mirror, OPERATIONS.purge, { patterns: ['up/team/app:1'], dryRun: false });
    await fill(mirror.dir);
    const { freed, stored } = await operate(mirror, OPERATIONS.gc, { maxSize: 0 });
    assert.equal(freed, stored);
  });
});
