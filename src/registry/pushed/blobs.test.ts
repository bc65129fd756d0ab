import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { APP, type HostingStage, hostingStage, OTHER } from '../../../test/support/hosting-stage.ts';
import { content, noise } from '../../../test/support/image.ts';
import type { MemoryResumableBlobStore } from '../../../test/support/memory-blob-store.ts';
import { smallImage, smallLayer } from '../../../test/support/small-image.ts';

const LAYER = smallLayer('blob', 100_000);
const BLOBS = '/v2/team/app/blobs/';
const URL_OF = BLOBS + LAYER.digest;
const LARGE = content('application/octet-stream', noise('large', 6 * 1024 * 1024));

const memoryOf = (stage: HostingStage): MemoryResumableBlobStore => stage.store as MemoryResumableBlobStore;

describe('a hosted blob', () => {
  test('is served whole, by head, in ranges, and not to a client that has it', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(LAYER);
    const whole = await stage.ask(URL_OF);
    assert.deepEqual(whole.bytes, LAYER.bytes);
    for (const { headers, status } of [whole, await stage.ask(URL_OF, { method: 'HEAD' })]) {
      assert.equal(status, 200);
      assert.equal(headers.get('content-length'), String(LAYER.size));
      assert.equal(headers.get('docker-content-digest'), LAYER.digest);
      assert.equal(headers.get('content-type'), 'application/octet-stream');
      assert.equal(headers.get('x-cache'), 'HIT');
    }
    const part = await stage.ask(URL_OF, { headers: { range: 'bytes=10-19' } });
    assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 10-19/${LAYER.size}`]);
    assert.deepEqual(part.bytes, LAYER.bytes.subarray(10, 20));
    const parts = await stage.ask(URL_OF, { headers: { range: 'bytes=0-9,50000-50009' } });
    assert.equal(parts.status, 206);
    assert.match(parts.headers.get('content-type') ?? '', /^multipart\/byteranges/);
    assert.ok(parts.bytes.includes(LAYER.bytes.subarray(50_000, 50_010)));
    for (const range of [`bytes=${LAYER.size}-`, 'bytes=500-0', `bytes=${LAYER.size}-,${LAYER.size + 5}-`]) {
      const beyond = await stage.ask(URL_OF, { headers: { range } });
      assert.deepEqual([beyond.status, beyond.code], [416, 'RANGE_INVALID'], range);
      assert.equal(beyond.headers.get('content-range'), `bytes */${LAYER.size}`);
    }
    assert.equal((await stage.ask(URL_OF, { headers: { range: 'lines=1-2' } })).status, 200);
    const unchanged = await stage.ask(URL_OF, { headers: { 'if-none-match': `"${LAYER.digest}"` } });
    assert.deepEqual([unchanged.status, unchanged.bytes.length], [304, 0]);
  });

  test('is served from a directory, and at once by the kernel where it was hashed as it came', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-hosted-'));
    t.after(() => rm(directory, { recursive: true }));
    const { openHostedBlobStore } = await import('../../store/index.ts');
    const store = await openHostedBlobStore(directory);
    const stage = await hostingStage(t, { store });
    for (const { digest, bytes } of [LAYER, LARGE]) {
      const push = `/v2/team/app/blobs/uploads/?digest=${digest}`;
      assert.equal((await stage.ask(push, { method: 'POST', body: bytes })).status, 201);
      const { reader } = await stage.hosting.blobs.open(APP, digest, { range: undefined });
      assert.ok(reader.direct !== undefined, 'the kernel sends it');
      reader.close();
    }
    for (let look = 0; look < 2; look += 1) {
      for (const { digest, bytes } of [LAYER, LARGE]) assert.deepEqual((await stage.ask(BLOBS + digest)).bytes, bytes);
    }
  });

  test('is served only through a repository that has it', async (t) => {
    const stage = await hostingStage(t);
    const image = smallImage('manifest', []);
    await stage.addBlob(LAYER);
    await stage.pushImage(image, 'v1');
    for (const path of [
      `/v2/team/other/blobs/${LAYER.digest}`,
      `/v2/new/blobs/${LAYER.digest}`,
      // A manifest is no blob.
      BLOBS + image.manifest.digest,
    ]) {
      for (const headers of [
        {},
        { range: 'bytes=0-1' },
        { range: 'bytes=0-1,400-500' },
        { 'if-none-match': `"${LAYER.digest}"` },
      ]) {
        const answer = await stage.ask(path, { headers });
        assert.deepEqual([answer.status, answer.code], [404, 'BLOB_UNKNOWN'], JSON.stringify(headers));
      }
      assert.equal((await stage.ask(path, { method: 'HEAD' })).status, 404);
    }
  });

  for (const [what, blob] of [
    ['small', LAYER],
    ['large', LARGE],
  ] as const) {
    test(`that is ${what} and corrupt is put aside and unknown until it is pushed again`, async (t) => {
      const stage = await hostingStage(t);
      await stage.addBlob(blob);
      const wrong = Buffer.from(blob.bytes);
      wrong.writeUInt8(wrong.readUInt8(blob.size - 1) ^ 1, blob.size - 1);
      memoryOf(stage).plant(blob.digest, wrong);
      // A large one is sent while it is hashed, and is cut before its last byte.
      const first = await stage.ask(BLOBS + blob.digest).catch(() => undefined);
      assert.equal(first?.status, blob === LAYER ? 404 : undefined);
      for (const method of ['GET', 'HEAD'])
        assert.equal((await stage.ask(BLOBS + blob.digest, { method })).status, 404);
      assert.deepEqual(memoryOf(stage).quarantined(blob.digest), wrong);
      assert.deepEqual(
        stage.seen('blob.rotten').map(({ digest, reason }) => [digest, reason]),
        [[blob.digest, 'content']],
      );
      const warnings = stage.seen('warning').map(({ message }) => message);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /^apps\/team\/app has lost /);
      assert.ok((await stage.records.getBlob(APP, blob.digest)) !== undefined, 'the record stays');
      await stage.addBlob(blob);
      assert.deepEqual((await stage.ask(BLOBS + blob.digest)).bytes, blob.bytes);
    });
  }

  test('of another length than recorded is unknown by HEAD, so that it is pushed again', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(LAYER);
    memoryOf(stage).plant(LAYER.digest, LAYER.bytes.subarray(1));
    assert.equal((await stage.ask(URL_OF, { method: 'HEAD' })).status, 404);
    assert.deepEqual(
      stage.seen('blob.rotten').map(({ reason }) => reason),
      ['size'],
    );
  });

  test('that the disk cannot read at the moment is unavailable, and not unknown', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(LAYER);
    const store = memoryOf(stage);
    const failing = async () => {
      throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    };
    t.mock.method(store, 'open', failing);
    assert.deepEqual(
      [(await stage.ask(URL_OF)).status, (await stage.ask(URL_OF, { method: 'HEAD' })).status],
      [503, 200],
    );
    t.mock.method(store, 'stat', failing);
    assert.equal((await stage.ask(URL_OF, { method: 'HEAD' })).status, 503);
    t.mock.restoreAll();
    assert.deepEqual((await stage.ask(URL_OF)).bytes, LAYER.bytes);
    assert.deepEqual(stage.seen('blob.rotten'), []);
  });
});

describe('the deletion of a hosted blob', () => {
  test('removes it from its repository, and its file with the last', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(LAYER);
    await stage.addBlob(LAYER, OTHER);
    assert.equal((await stage.ask(URL_OF, { method: 'DELETE' })).status, 202);
    assert.equal((await stage.ask(URL_OF, { method: 'HEAD' })).status, 404);
    assert.deepEqual((await stage.ask(`/v2/team/other/blobs/${LAYER.digest}`)).bytes, LAYER.bytes);
    assert.equal((await stage.ask(`/v2/team/other/blobs/${LAYER.digest}`, { method: 'DELETE' })).status, 202);
    assert.equal(await stage.hasFile(LAYER.digest), false);
    assert.equal((await stage.ask(URL_OF, { method: 'DELETE' })).code, 'BLOB_UNKNOWN');
    assert.deepEqual(stage.seen('blob.deleted'), [
      { ...APP, digest: LAYER.digest, by: 'anonymous' },
      { ...OTHER, digest: LAYER.digest, by: 'anonymous' },
    ]);
  });

  test('is refused while a manifest names it', async (t) => {
    const stage = await hostingStage(t);
    const image = smallImage('in use', [LAYER]);
    await stage.pushImage(image, 'v1');
    const answer = await stage.ask(URL_OF, { method: 'DELETE' });
    assert.deepEqual([answer.status, answer.code, answer.headers.get('allow')], [405, 'DENIED', 'GET, HEAD']);
    assert.equal((await stage.ask(URL_OF)).status, 200);
    await stage.ask(`/v2/team/app/manifests/${image.manifest.digest}`, { method: 'DELETE' });
    assert.equal((await stage.ask(URL_OF, { method: 'DELETE' })).status, 202);
  });
});
