import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { APP, type HostingStageOptions, hostingStage, OTHER } from '../../../test/support/hosting-stage.ts';
import type { MemoryResumableBlobStore } from '../../../test/support/memory-blob-store.ts';
import { type SmallImage, smallImage, smallIndex, smallLayer } from '../../../test/support/small-image.ts';
import { loadHostedStore, openHostedBlobStore } from '../../store/index.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const IMAGE = smallImage('collected', [smallLayer('collected')]);
const STRAY = smallLayer('stray');

/** A stage whose clock the test sets. */
async function clocked(t: TestContext, options: HostingStageOptions = {}) {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const stage = await hostingStage(t, { now: () => clock.now, ...options });
  return { stage, clock };
}

describe('a collection', () => {
  test('leaves a blob without a manifest alone for a day, and then deletes it', async (t) => {
    const { stage, clock } = await clocked(t);
    await stage.addBlob(STRAY);
    clock.now += DAY - 1;
    assert.deepEqual(await stage.hosting.collect(), { records: 0, files: 0, bytes: 0 });
    clock.now += 2;
    const collected = { records: 1, files: 1, bytes: STRAY.size };
    assert.deepEqual(await stage.hosting.collect(), collected);
    assert.deepEqual(stage.seen('hosted.collected'), [collected]);
    assert.equal(await stage.hasFile(STRAY.digest), false);
    assert.equal((await stage.ask(`/v2/team/app/blobs/${STRAY.digest}`)).status, 404);
  });

  test('begins the grace again when a client hears that a blob exists, and not when it is read', async (t) => {
    const { stage, clock } = await clocked(t);
    await stage.addBlob(STRAY);
    clock.now += DAY - 1;
    assert.equal((await stage.ask(`/v2/team/app/blobs/${STRAY.digest}`, { method: 'HEAD' })).status, 200);
    clock.now += DAY - 1;
    assert.equal((await stage.hosting.collect()).records, 0);
    assert.equal((await stage.ask(`/v2/team/app/blobs/${STRAY.digest}`)).status, 200);
    clock.now += 2;
    assert.equal((await stage.hosting.collect()).records, 1);
  });

  test('leaves what manifests name, and untagged manifests too', async (t) => {
    const { stage, clock } = await clocked(t);
    await stage.pushImage(IMAGE, 'v1');
    await stage.ask('/v2/team/app/manifests/v1', { method: 'DELETE' });
    clock.now += 100 * DAY;
    assert.equal((await stage.hosting.collect()).records, 0);
    for (const { digest } of IMAGE.parts) assert.ok(await stage.hasFile(digest));
  });

  test('removes untagged manifests with what only they name where keep_untagged says so', async (t) => {
    const { stage, clock } = await clocked(t, { hosting: { keepUntagged: 2 * DAY } });
    const kept = smallImage('kept', [smallLayer('kept')]);
    await stage.pushImage(IMAGE, 'v1');
    await stage.pushImage(kept, kept.manifest.digest);
    assert.equal((await stage.pushManifest(smallIndex({ 'linux/amd64': kept }), 'all')).status, 201);
    await stage.ask('/v2/team/app/manifests/v1', { method: 'DELETE' });
    clock.now += 2 * DAY - 1;
    assert.equal((await stage.hosting.collect()).records, 0);
    clock.now += 2;
    const { records, files } = await stage.hosting.collect();
    assert.deepEqual([records, files], [3, 3]);
    for (const { digest } of IMAGE.parts) assert.equal(await stage.hasFile(digest), false);
    for (const { digest } of kept.parts) assert.ok(await stage.hasFile(digest), 'an index names it');
  });

  test('leaves the file that another repository has', async (t) => {
    const { stage, clock } = await clocked(t);
    await stage.addBlob(STRAY);
    clock.now += DAY;
    await stage.addBlob(STRAY, OTHER);
    clock.now += 1;
    const { records, files } = await stage.hosting.collect();
    assert.deepEqual([records, files], [1, 0]);
    assert.equal((await stage.ask(`/v2/team/other/blobs/${STRAY.digest}`)).status, 200);
  });

  test('removes more than one batch', async (t) => {
    const { stage, clock } = await clocked(t);
    const layers = Array.from({ length: 450 }, (_, at) => smallLayer(`many ${at}`, 10));
    for (const layer of layers) await stage.addBlob(layer);
    clock.now += DAY + 1;
    assert.deepEqual(await stage.hosting.collect(), { records: 450, files: 450, bytes: 4500 });
  });

  test('deletes files that no record names, a grace after they were seen', async (t) => {
    const { stage, clock } = await clocked(t);
    const store = stage.store as MemoryResumableBlobStore;
    await stage.pushImage(IMAGE, 'v1');
    store.plant(STRAY.digest, STRAY.bytes);
    assert.equal((await stage.hosting.collect()).files, 0);
    const saved = smallLayer('saved');
    store.plant(saved.digest, saved.bytes);
    clock.now += DAY;
    // The stray is over its grace; the other was not there at the first look, and gets its record before its grace is over.
    assert.equal((await stage.hosting.collect()).files, 1);
    assert.equal(await stage.hasFile(STRAY.digest), false);
    await stage.records.putBlob(APP, saved, { at: clock.now + 10 * DAY });
    clock.now += 2 * DAY;
    assert.equal((await stage.hosting.collect()).files, 0);
    for (const { digest } of [...IMAGE.parts, saved]) assert.ok(await stage.hasFile(digest));
  });
});

describe('files that the records do not know', () => {
  test('are kept where nothing is recorded at all', async (t) => {
    const { stage, clock } = await clocked(t);
    const store = stage.store as MemoryResumableBlobStore;
    store.plant(STRAY.digest, STRAY.bytes);
    await stage.hosting.collect();
    clock.now += 3 * DAY;
    await stage.hosting.collect();
    assert.ok(await stage.hasFile(STRAY.digest));
    const [warning] = stage.seen('warning');
    assert.match(warning?.message ?? '', /do not know any of the hosted files.*rebuild/);
  });

  test('are deleted where everything else was', async (t) => {
    const { stage, clock } = await clocked(t);
    await stage.addBlob(IMAGE.config);
    await stage.ask(`/v2/team/app/blobs/${IMAGE.config.digest}`, { method: 'DELETE' });
    (stage.store as MemoryResumableBlobStore).plant(STRAY.digest, STRAY.bytes);
    await stage.hosting.collect();
    clock.now += DAY;
    assert.equal((await stage.hosting.collect()).files, 1);
  });

  test('are kept where they are more than a killed process leaves', async (t) => {
    const { stage, clock } = await clocked(t);
    const store = stage.store as MemoryResumableBlobStore;
    await stage.pushImage(IMAGE, 'v1');
    const strays = Array.from({ length: 1001 }, (_, at) => smallLayer(`stray ${at}`, 10));
    for (const { digest, bytes } of strays) store.plant(digest, bytes);
    await stage.hosting.collect();
    clock.now += 3 * DAY;
    assert.equal((await stage.hosting.collect()).files, 0);
    assert.match(stage.seen('warning')[0]?.message ?? '', /more than 1000/);
    await store.delete(strays[0]?.digest ?? STRAY.digest);
    clock.now += DAY;
    await stage.hosting.collect();
    clock.now += DAY;
    assert.equal((await stage.hosting.collect()).files, 1000);
  });
});

describe('a push of what is being collected', () => {
  const PUSH = `/v2/team/app/blobs/uploads/?digest=${STRAY.digest}`;

  test('between the record and the file keeps the file', async (t) => {
    const { stage, clock } = await clocked(t);
    const { records } = stage;
    await stage.addBlob(STRAY);
    clock.now += DAY + 1;
    const collect = records.collect.bind(records);
    records.collect = async (options) => {
      const collected = await collect(options);
      assert.deepEqual(collected.unreferenced, [STRAY.digest]);
      assert.equal((await stage.ask(PUSH, { method: 'POST', body: STRAY.bytes })).status, 201);
      return collected;
    };
    const { files } = await stage.hosting.collect();
    assert.equal(files, 0);
    assert.deepEqual((await stage.ask(`/v2/team/app/blobs/${STRAY.digest}`)).bytes, STRAY.bytes);
  });

  test('waits while its file is deleted', async (t) => {
    const { stage, clock } = await clocked(t);
    const { store } = stage;
    await stage.addBlob(STRAY);
    clock.now += DAY + 1;
    const deleting = Promise.withResolvers<void>();
    const mayDelete = Promise.withResolvers<void>();
    const remove = store.delete.bind(store);
    store.delete = async (digest) => {
      deleting.resolve();
      await mayDelete.promise;
      return remove(digest);
    };
    const collecting = stage.hosting.collect();
    await deleting.promise;
    const begin = store.begin.bind(store);
    const written = Promise.withResolvers<void>();
    store.begin = async () => {
      const file = await begin();
      const write = file.write.bind(file);
      file.write = (chunk, position) => write(chunk, position).finally(() => written.resolve());
      return file;
    };
    const push = stage.ask(PUSH, { method: 'POST', body: STRAY.bytes });
    // All of it is here, and a few turns are time enough to commit it.
    await written.promise;
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
    mayDelete.resolve();
    await collecting;
    assert.equal((await push).status, 201);
    assert.deepEqual((await stage.ask(`/v2/team/app/blobs/${STRAY.digest}`)).bytes, STRAY.bytes);
  });
});

/**
 * The time passes as fast as it may: whenever a collection begins, it is as late as it can be for what the running pushes have done to be
 * within the grace. A use is recorded to the hour.
 */
async function sideBySide(t: TestContext, options: HostingStageOptions): Promise<void> {
  const grace = 10 * HOUR;
  const { stage, clock } = await clocked(t, { grace, ...options });
  const running = new Map<string, number>();
  const over = new AbortController();
  let collected = 0;
  const pushed: { readonly image: SmallImage; readonly name: string }[] = [];
  const shared = Array.from({ length: 4 }, (_, at) => smallLayer(`shared ${at}`, 2000));

  async function ensureBlob(name: string, { digest, size, bytes }: SmallImage['config']): Promise<void> {
    const head = await stage.ask(`/v2/${name}/blobs/${digest}`, { method: 'HEAD' });
    if (head.status === 200) return;
    const mount = `/v2/${name}/blobs/uploads/?mount=${digest}&from=team/other&digest=${digest}`;
    const answer = await stage.ask(mount, { method: 'POST', body: bytes });
    assert.equal(answer.status, 201, answer.message);
    assert.equal(answer.headers.get('docker-content-digest'), digest);
    assert.equal(bytes.length, size);
  }

  async function pusher(name: string): Promise<void> {
    for (let at = 0; at < 25; at += 1) {
      running.set(name, clock.now);
      const image = smallImage(`${name} ${at}`, [
        shared[at % shared.length] ?? STRAY,
        smallLayer(`${name} ${at}`, 500),
      ]);
      for (const blob of [...image.layers, image.config]) await ensureBlob(name, blob);
      const tag = `t${at % 3}`;
      const answer = await stage.pushManifest(image.manifest, tag, {
        repository: { registry: 'apps', repository: name },
      });
      assert.equal(answer.status, 201, answer.message);
      running.delete(name);
      // Every fifth is deleted again, and what only it named is garbage from then on.
      if (at % 5 !== 0) pushed.push({ image, name });
      else await stage.ask(`/v2/${name}/manifests/${image.manifest.digest}`, { method: 'DELETE' });
    }
  }

  async function abandon(): Promise<void> {
    for (let at = 0; at < 60; at += 1) {
      const blob = smallLayer(`abandoned ${at}`, 300);
      const path = `/v2/team/other/blobs/uploads/?digest=${blob.digest}`;
      assert.equal((await stage.ask(path, { method: 'POST', body: blob.bytes })).status, 201);
    }
  }

  async function collector(): Promise<void> {
    // Memory answers within a turn: without the pause nothing else would run.
    for (; !over.signal.aborted; await nextTurn()) {
      clock.now = Math.max(clock.now, Math.min(clock.now, ...running.values()) + grace - HOUR);
      const { records } = await stage.hosting.collect();
      collected += records;
    }
  }

  const collecting = [collector(), collector()];
  try {
    await Promise.all([pusher('one'), pusher('two'), pusher('three'), abandon()]);
  } finally {
    over.abort();
    await Promise.all(collecting);
  }
  // Far beyond the grace: what is left is what manifests name.
  assert.ok(collected > 30, `${collected} collected meanwhile`);
  await stage.hosting.collect({ now: clock.now + 2 * DAY });
  await stage.hosting.collect({ now: clock.now + 4 * DAY });
  const expected = new Set(pushed.flatMap(({ image }) => image.parts.map(({ digest }) => digest)));
  for (const { image, name } of pushed) {
    for (const { digest, bytes } of [image.config, ...image.layers]) {
      assert.deepEqual((await stage.ask(`/v2/${name}/blobs/${digest}`)).bytes, bytes);
    }
    const answer = await stage.ask(`/v2/${name}/manifests/${image.manifest.digest}`);
    assert.deepEqual(answer.bytes, image.manifest.bytes);
  }
  const files = new Set<string>();
  for await (const digests of stage.store.listDigests()) for (const digest of digests) files.add(digest);
  assert.deepEqual([...files].sort(), [...expected].sort());
}

describe('pushes, mounts, looks and collections side by side lose nothing and leave nothing behind', () => {
  test('in memory', (t) => sideBySide(t, {}));

  test('on the disk', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-collected-'));
    const { openHostedStore } = await loadHostedStore();
    const records = await openHostedStore(join(directory, 'hosted.db'));
    const store = await openHostedBlobStore(directory);
    t.after(async () => {
      await records.close();
      await rm(directory, { recursive: true });
    });
    await sideBySide(t, { store, records });
  });
});
