import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { cacheWorld } from '../../../test/support/cache-world.ts';
import { Gate } from '../../../test/support/fake-origin.ts';
import { type Content, content, noise } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { StrictStore } from '../../../test/support/strict-store.ts';
import { digestOf } from '../../oci/index.ts';
import { MemoryMetadataStore, type MetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { isReconciliationDue, reconcile } from './reconcile.ts';
import { Scrub } from './scrub.ts';
import { Verification } from './verification.ts';

const BLOBS = Array.from({ length: 12 }, (_, number) => content('layer', noise(`scrub ${number}`, 1000 + number)));
const TOTAL = BLOBS.reduce((sum, { size }) => sum + size, 0);

async function stocked() {
  const disk = new MemoryBlobStore();
  const store = new StrictStore(disk);
  const metadata = new MemoryMetadataStore();
  const telemetry = new Telemetry();
  const rotten: string[] = [];
  telemetry.on('blob.rotten', ({ digest }) => rotten.push(digest));
  for (const { digest, bytes, size } of BLOBS) {
    disk.plant(digest, bytes);
    await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt: 1 });
  }
  const verification = new Verification({ store, metadata, telemetry });
  const scrub = new Scrub({ store, metadata, telemetry, verification });
  return { disk, store, metadata, telemetry, rotten, verification, scrub };
}

function blob(index: number): Content {
  return BLOBS[index] as Content;
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[7] = (copy[7] ?? 0) ^ 0x10;
  return copy;
}

describe('Scrub', () => {
  test('finds a sound cache sound, and notes when it looked', async () => {
    const { scrub, metadata, store } = await stocked();
    assert.equal(scrub.progress, undefined);
    const { state, blobs, bytes, totalBlobs, totalBytes, problems } = await scrub.run();
    assert.deepEqual([state, blobs, bytes, totalBlobs, totalBytes], ['done', 12, TOTAL, 12, TOTAL]);
    assert.deepEqual(problems, []);
    for (const { digest } of BLOBS) assert.notEqual((await metadata.getBlob(digest))?.verifiedAt, undefined);
    assert.equal(store.opened, 0);
  });

  test('puts what is wrong into quarantine, forgets what is gone and adopts what has no row', async () => {
    const { scrub, disk, metadata, rotten, store } = await stocked();
    disk.plant(blob(0).digest, flipped(blob(0).bytes));
    disk.plant(blob(1).digest, blob(1).bytes.subarray(1));
    disk.plant(blob(2).digest, Buffer.alloc(0));
    await disk.delete(blob(3).digest);
    await metadata.deleteBlob(blob(4).digest);
    await metadata.deleteBlob(blob(5).digest);
    disk.plant(blob(5).digest, flipped(blob(5).bytes));
    const done = await scrub.run();
    assert.deepEqual([done.state, done.rotten, done.missing, done.adopted, done.blobs], ['done', 4, 1, 1, 11]);
    const reasons = new Map(done.problems.map(({ digest, reason }) => [digest, reason]));
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((index) => reasons.get(blob(index).digest)),
      ['content', 'size', 'size', 'missing', undefined, 'content'],
    );
    assert.equal(rotten.length, 5);
    for (const index of [0, 1, 2, 5]) assert.notEqual(disk.quarantined(blob(index).digest), undefined);
    const left = [blob(4), ...BLOBS.slice(6)];
    const bytes = left.reduce((sum, { size }) => sum + size, 0);
    assert.deepEqual(await metadata.totals(), { blobs: left.length, bytes });
    assert.equal(store.opened, 0);
    const again = await scrub.run();
    assert.deepEqual([again.rotten, again.missing, again.adopted, again.blobs], [0, 0, 0, 7]);
  });

  test('looks again at what was found right before', async () => {
    const { scrub, disk } = await stocked();
    await scrub.run();
    disk.plant(blob(0).digest, flipped(blob(0).bytes));
    assert.equal((await scrub.run()).rotten, 1);
  });

  test('is joined while it runs, and can be stopped', async () => {
    const { scrub, store } = await stocked();
    const gate = new Gate();
    let reads = 0;
    store.before = (step) => (step === 'read' && ++reads === 3 ? gate.pass() : undefined);
    const first = scrub.run();
    await gate.reached;
    assert.equal(scrub.progress?.state, 'running');
    assert.equal(scrub.progress?.blobs, 2);
    const second = scrub.run();
    const stopped = scrub.stop();
    gate.open();
    await stopped;
    assert.equal((await first).state, 'stopped');
    assert.equal((await second).startedAt, (await first).startedAt);
    assert.equal(store.begun, 0);
    assert.equal((await scrub.run()).state, 'done');
  });

  test('says so where the database would not let it go on', async () => {
    const { scrub, metadata } = await stocked();
    metadata.totals = () => Promise.reject(new Error('the disk is gone'));
    const { state, error } = await scrub.run();
    assert.deepEqual([state, error], ['failed', 'the disk is gone']);
  });

  test('leaves everyone else a turn between two blobs', async () => {
    const { scrub } = await stocked();
    let turns = 0;
    const counting = (async () => {
      while (scrub.progress?.state !== 'done') {
        await new Promise(setImmediate);
        turns += 1;
      }
    })();
    await scrub.run();
    await counting;
    assert.ok(turns >= BLOBS.length, `${turns}`);
  });

  test('keeps a bounded list of what is wrong', async () => {
    const { scrub, metadata } = await stocked();
    for (let number = 0; number < 150; number += 1) {
      const { digest } = content('layer', noise(`gone ${number}`, 10));
      await metadata.putBlob({ digest, size: 10, kind: 'mirrored', storedAt: 1 });
    }
    const done = await scrub.run();
    assert.deepEqual([done.missing, done.problems.length], [150, 100]);
  });
});

describe('takeStock()', () => {
  const run = async ({
    store,
    metadata,
    telemetry,
  }: {
    store: StrictStore;
    metadata: MetadataStore;
    telemetry: Telemetry;
  }) => reconcile({ store, metadata, telemetry, signal: new AbortController().signal });

  test('changes nothing where rows and files agree, and says nothing', async () => {
    const world = await stocked();
    const said: unknown[] = [];
    world.telemetry.on('cache.counted', (event) => said.push(event));
    assert.deepEqual(await run(world), { adopted: 0, missing: 0 });
    assert.deepEqual(said, []);
  });

  test('gives files their rows back, believing nothing of them, and takes rows without a file', async () => {
    const world = await stocked();
    const { metadata, disk, telemetry } = world;
    const said: unknown[] = [];
    telemetry.on('cache.counted', (event) => said.push(event));
    for (const { digest } of BLOBS.slice(0, 10)) await metadata.deleteBlob(digest);
    await disk.delete(blob(11).digest);
    assert.deepEqual(await run(world), { adopted: 10, missing: 1 });
    assert.deepEqual(said, [{ adopted: 10, missing: 1 }]);
    assert.equal((await metadata.totals()).blobs, 11);
    assert.equal((await metadata.getBlob(blob(0).digest))?.verifiedAt, undefined);
  });

  test('adopts sixteen files at the same time, and never more', async () => {
    const { disk, store, metadata, telemetry } = await stocked();
    for (let i = 0; i < 40; i += 1) disk.plant(digestOf(Buffer.from(`unknown ${i}`)), Buffer.alloc(5));
    let running = 0;
    let most = 0;
    store.before = async (step) => {
      if (step !== 'stat') return;
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
    };
    assert.equal((await run({ store, metadata, telemetry })).adopted, 40);
    assert.equal(most, 16);
  });

  test('gives no row back to what is being evicted', async () => {
    const world = await stocked();
    const { metadata, disk, store } = world;
    await metadata.deleteBlob(blob(0).digest);
    store.before = async (step) => {
      if (step === 'stat') await disk.delete(blob(0).digest);
    };
    assert.equal((await run(world)).adopted, 0);
  });

  test('stops when it is told to', async () => {
    const { store, metadata, telemetry } = await stocked();
    await assert.rejects(
      reconcile({ store, metadata, telemetry, signal: AbortSignal.abort(new Error('stop')) }),
      /stop/,
    );
  });

  test('lays rows and files side by side, however many pages of either there are, and wherever they part', async () => {
    const { disk, store, metadata, telemetry } = await stocked();
    const digests = Array.from({ length: 1200 }, (_, i) => digestOf(Buffer.from(`laid ${i}`)));
    for (const [i, digest] of digests.entries()) {
      if (i % 3 !== 0) disk.plant(digest, Buffer.alloc(5));
      if (i % 3 !== 1) await metadata.putBlob({ digest, size: 5, kind: 'mirrored', storedAt: 1 });
    }
    assert.deepEqual(await run({ store, metadata, telemetry }), { adopted: 400, missing: 400 });
    assert.deepEqual(await run({ store, metadata, telemetry }), { adopted: 0, missing: 0 });
    assert.equal((await metadata.totals()).blobs, BLOBS.length + 800);
  });

  test('looks at no file that has a row', async () => {
    const world = await stocked();
    const steps: string[] = [];
    world.store.before = async (step) => void steps.push(step);
    await run(world);
    assert.deepEqual(steps, []);
  });

  test('gives a row no leave while its file is stored again', async () => {
    const world = await stocked();
    const { metadata, disk, store } = world;
    const { digest, bytes, size } = blob(3);
    await disk.delete(digest);
    store.before = async () => {
      disk.plant(digest, bytes);
      await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt: 2 });
    };
    assert.deepEqual(await run(world), { adopted: 0, missing: 0 });
    assert.equal((await metadata.getBlob(digest))?.storedAt, 2);
  });

  test('is due where no time is known, after a week, and where the clock was set back', () => {
    const day = 24 * 3600 * 1000;
    assert.deepEqual(
      [undefined, 99 * day, 94 * day, 92 * day, 101 * day].map((at) => isReconciliationDue(at, 100 * day)),
      [true, false, false, true, true],
    );
  });

  test('is known to the cache to be right, until something could not be written', async (t: TestContext) => {
    const telemetry = new Telemetry();
    const world = await cacheWorld(t, { telemetry, reconciledAt: Date.now() });
    assert.deepEqual([world.cache.isReconciliationDue, world.cache.reconciledAt === undefined], [false, false]);
    telemetry.publish('warning', { message: 'Cannot store the manifest' });
    assert.equal(world.cache.reconciledAt, undefined);
  });

  test('is taken by the cache again where its names were replaced while it served', async (t: TestContext) => {
    const store = new MemoryBlobStore();
    for (const { digest, bytes } of BLOBS) store.plant(digest, bytes);
    const telemetry = new Telemetry();
    const world = await cacheWorld(t, { store, telemetry });
    assert.deepEqual(await world.cache.totals(), { blobs: 0, bytes: 0 });
    const counted = new Promise((resolve) => telemetry.on('cache.counted', resolve));
    telemetry.publish('names.recovered', { found: 'it is damaged', source: 'nothing' });
    assert.deepEqual(await counted, { adopted: 12, missing: 0 });
    assert.deepEqual(await world.cache.totals(), { blobs: 12, bytes: TOTAL });
  });
});
