import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { HostedContent } from '../../../../test/support/hosted-content.ts';
import { memoryDirectory } from '../../../../test/support/temporary.ts';
import { loadLayouts } from '../../../hosting/index.ts';
import { digestHex } from '../../../oci/index.ts';
import { loadHostedStore, lockDirectory, openHostedBlobStore } from '../../../store/index.ts';
import { run } from '../../program.ts';

const { openHostedStore } = await loadHostedStore();
const { LayoutWriter } = await loadLayouts();

const APP = { registry: 'apps', repository: 'team/web' };

describe('entrepot hosted rebuild', () => {
  test('restores the records, repository by repository', async (t) => {
    const { dir } = await openStage(t);
    const { code, out, err } = await rebuild(dir);
    assert.equal(err, '');
    assert.equal(
      out,
      'apps/team/web: 1 manifest, 2 blobs, 2 tags\nRestored 1 repository: 1 manifest, 2 blobs, 2 tags.\n',
    );
    assert.equal(code, 0);
    const records = await openHostedStore(join(dir, 'hosted', 'hosted.db'));
    assert.equal((await records.listTags(APP, { limit: 9 })).length, 2);
    await records.close();
    const again = await rebuild(dir);
    assert.match(again.err, /has the records of 1 repositories, and can be read/);
    assert.equal(again.code, 1);
  });

  test('fails where something cannot be restored, and says what and why, in JSON too', async (t) => {
    const { dir, image } = await openStage(t);
    const store = await openHostedBlobStore(join(dir, 'hosted'));
    await store.delete(image);
    const blob = join(dir, 'hosted', 'repositories', 'apps+2Fteam+2Fweb', 'blobs', 'sha256', digestHex(image));
    assert.ok((await readFile(blob)).length > 0);
    await rm(blob);
    const { code, out, err } = await rebuild(dir, '--json');
    assert.equal(code, 1);
    const { repositories, tags, problems, listed } = JSON.parse(out);
    assert.deepEqual([repositories, tags, problems], [1, 0, 3]);
    assert.deepEqual(listed[0], { file: blob, reason: 'the manifest is missing' });
    assert.match(err, /the manifest is missing\n.*index\.json: the tag latest points to/);
  });

  test('does not run beside a server, nor without a cache', async (t) => {
    const { dir } = await openStage(t);
    const lock = await lockDirectory(dir);
    const beside = await rebuild(dir);
    assert.equal(beside.code, 1);
    assert.match(beside.err, /is using it\. Stop that process/);
    await lock.release();
    const absent = await rebuild(join(dir, 'none'));
    assert.equal(absent.code, 1);
    assert.match(absent.err, /no such directory/);
  });
});

async function rebuild(dir: string, ...more: readonly string[]) {
  const { output, said } = captureOutput();
  const code = await run(['hosted', 'rebuild', '--cache-dir', dir, ...more], { output });
  return { code, ...said };
}

/** A cache directory whose records of hosted repositories are lost. */
async function openStage(t: TestContext) {
  const dir = await mkdtemp(join(memoryDirectory(), 'entrepot-hosted-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await (await lockDirectory(dir)).release();
  const directory = join(dir, 'hosted');
  const store = await openHostedBlobStore(directory);
  const records = await openHostedStore(join(directory, 'hosted.db'));
  const image = await new HostedContent(store, records).image(APP, 'image', {
    layers: ['layer'],
    tags: ['v1', 'latest'],
  });
  const writer = new LayoutWriter({ directory, records, store, warn: (message) => assert.fail(message) });
  await writer.start();
  await writer.settled();
  await writer.close();
  await records.close();
  await rm(join(directory, 'hosted.db'));
  return { dir, image };
}
