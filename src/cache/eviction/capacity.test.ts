import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  LIBRARY,
  readSome,
  settle,
  type WorldOptions,
} from '../../../test/support/cache-world.ts';
import { CuedBody, Gate } from '../../../test/support/fake-origin.ts';
import type { Content } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { type SmallImage, smallImage, smallLayer } from '../../../test/support/small-image.ts';
import { diskFull } from '../../../test/support/strict-store.ts';

const SIZE = 10_000;
const FRESH_FOR = 60_000;

interface RoomWorld extends CacheWorld {
  readonly clock: { now: number };
}

async function roomWorld(t: TestContext, options: WorldOptions = {}): Promise<RoomWorld> {
  const clock = { now: 1_700_000_000_000 };
  const tags = { freshFor: FRESH_FOR };
  return { ...(await cacheWorld(t, { tags, now: () => clock.now, ...options })), clock };
}

function offer(world: CacheWorld, image: SmallImage, tag: string): void {
  world.origin.addManifest(LIBRARY, image.manifest, tag);
  world.origin.addBlobs(LIBRARY, image.config, ...image.layers);
}

async function pullBlob(world: CacheWorld, blob: Content): Promise<string> {
  const { reader, outcome } = await world.cache.blob(LIBRARY, blob.digest, {});
  const finished = outcome === 'HIT' ? undefined : world.next('ingest.finished');
  assert.ok((await drain(reader)).equals(blob.bytes));
  const how = (await finished)?.outcome ?? outcome;
  await settle();
  return how;
}

async function pullImage(world: CacheWorld, image: SmallImage, tag: string): Promise<readonly string[]> {
  const { bytes } = await world.cache.manifest(LIBRARY, { kind: 'tag', tag }, {});
  assert.ok(bytes?.equals(image.manifest.bytes));
  const outcomes: string[] = [];
  for (const blob of [image.config, ...image.layers]) outcomes.push(await pullBlob(world, blob));
  return outcomes;
}

async function isStored(world: CacheWorld, parts: readonly Content[]): Promise<boolean> {
  for (const { digest } of parts) if ((await world.store.stat(digest)) === undefined) return false;
  return true;
}

/** Lets tags get old without a pull. */
function age(world: RoomWorld): void {
  world.clock.now += FRESH_FOR;
}

describe('a cache with a limit', () => {
  test('keeps the layer that two images share when one of them is evicted', async (t) => {
    const shared = smallLayer('shared');
    const first = smallImage('first', [shared, smallLayer('of the first')]);
    const second = smallImage('second', [shared, smallLayer('of the second')]);
    const world = await roomWorld(t, { maxSize: 4.6 * SIZE });
    offer(world, first, 'first');
    offer(world, second, 'second');
    await pullImage(world, first, 'first');
    age(world);
    await pullImage(world, second, 'second');
    const { bytes } = await world.cache.totals();
    assert.ok(bytes < 3.2 * SIZE, 'the shared layer counts once');
    // Read longest ago and not fresh: it would go but for the second image.
    await world.metadata.touchBlobs([{ digest: shared.digest, at: 0 }]);
    await world.cache.collect({ maxSize: 2.3 * SIZE });
    assert.ok(await isStored(world, second.parts));
    assert.equal(await world.store.stat(first.layers[1]?.digest as Content['digest']), undefined);
  });

  test('says once of a blob that it is larger than the limit, and fetched at every pull', async (t) => {
    const world = await roomWorld(t, { maxSize: SIZE / 2 });
    const layer = smallLayer('too large');
    world.origin.addBlobs(LIBRARY, layer);
    for (let i = 0; i < 3; i += 1) assert.equal(await pullBlob(world, layer), 'streamed');
    assert.deepEqual(world.seen('blob.oversized'), [
      { digest: layer.digest, repository: 'docker.io/library/app', size: layer.size, maxSize: SIZE / 2 },
    ]);
  });

  test('spares the image of a pinned tag, however old', async (t) => {
    const pinned = smallImage('pinned', [smallLayer('p1'), smallLayer('p2')]);
    const world = await roomWorld(t, { maxSize: 5 * SIZE, pin: ['docker.io/library/*:stable'] });
    offer(world, pinned, 'stable');
    await pullImage(world, pinned, 'stable');
    for (let i = 0; i < 10; i += 1) {
      age(world);
      const other = smallImage(`other ${i}`, [smallLayer(`other ${i}`)]);
      offer(world, other, `t${i}`);
      await pullImage(world, other, `t${i}`);
    }
    assert.ok(await isStored(world, pinned.parts));
    assert.ok((await world.cache.totals()).bytes <= 5 * SIZE);
    assert.ok(world.seen('cache.swept').length > 0);
  });

  test('spares the image of a tag that an operator pinned, until the pin ends', async (t) => {
    const pinned = smallImage('pinned', [smallLayer('p1'), smallLayer('p2')]);
    const world = await roomWorld(t, { maxSize: 5 * SIZE });
    offer(world, pinned, 'stable');
    await pullImage(world, pinned, 'stable');
    assert.equal(await world.cache.pins.put(LIBRARY, 'stable'), 'pinned');
    age(world);
    await world.cache.collect({ maxSize: 0 });
    assert.ok(await isStored(world, pinned.parts));
    assert.equal(await world.cache.pins.end(LIBRARY, 'stable'), true);
    await world.cache.collect({ maxSize: 0 });
    assert.equal((await world.cache.totals()).blobs, 0);
  });

  test('spares what a fresh tag leads to, and says once that it keeps nothing more', async (t) => {
    const fresh = smallImage('fresh', [smallLayer('f1'), smallLayer('f2')]);
    const world = await roomWorld(t, { maxSize: 2.5 * SIZE });
    offer(world, fresh, 'fresh');
    await pullImage(world, fresh, 'fresh');
    for (let i = 0; i < 3; i += 1) {
      const blob = smallLayer(`loose ${i}`);
      world.origin.addBlobs(LIBRARY, blob);
      assert.equal(await pullBlob(world, blob), 'streamed', 'delivered and not kept');
    }
    assert.ok(await isStored(world, fresh.parts));
    assert.equal(world.seen('cache.paused').length, 1);
    assert.match(String(world.cache.pause?.reason), /in use, pinned or of fresh tags/);
    // When the tag is no longer fresh there is room again.
    age(world);
    const resumed = world.next('cache.resumed');
    const blob = smallLayer('after');
    world.origin.addBlobs(LIBRARY, blob);
    await pullBlob(world, blob);
    await resumed;
    assert.equal(world.cache.pause, undefined);
    assert.equal(await pullBlob(world, smallest(world)), 'committed');
  });

  const WAYS_OUT: Record<string, (world: RoomWorld) => unknown> = {
    'its clock is set back by a year': async (world) => {
      world.clock.now -= 365 * 24 * 3_600_000;
      const blob = smallLayer('after');
      world.origin.addBlobs(LIBRARY, blob);
      await pullBlob(world, blob);
    },
    'its limit is raised': ({ cache }) => cache.reconfigure({ keep: true, maxSize: 5 * SIZE }),
    'its limit is lifted': ({ cache }) => cache.reconfigure({ keep: true }),
    'an image is purged': ({ cache }) => cache.purge([{ repository: '**' }]),
  };
  for (const [what, happens] of Object.entries(WAYS_OUT)) {
    test(`is full no longer when ${what}`, async (t) => {
      const fresh = smallImage('fresh', [smallLayer('f1'), smallLayer('f2')]);
      const world = await roomWorld(t, { maxSize: 2.5 * SIZE });
      offer(world, fresh, 'fresh');
      await pullImage(world, fresh, 'fresh');
      const blob = smallLayer('loose');
      world.origin.addBlobs(LIBRARY, blob);
      assert.equal(await pullBlob(world, blob), 'streamed');
      assert.notEqual(world.cache.pause, undefined);
      const resumed = world.next('cache.resumed');
      await happens(world);
      await resumed;
      assert.equal(world.cache.pause, undefined);
    });
  }

  test('never holds more than it may but for one blob', async (t) => {
    const world = await roomWorld(t, { maxSize: 5 * SIZE });
    for (let i = 0; i < 30; i += 1) {
      const blob = smallLayer(`blob ${i}`, 2000 + ((i * 7919) % 12_000));
      world.origin.addBlobs(LIBRARY, blob);
      const { reader } = await world.cache.blob(LIBRARY, blob.digest, {});
      const finished = world.next('ingest.finished');
      await drain(reader);
      await finished;
      assert.ok((await world.cache.totals()).bytes <= 5 * SIZE + blob.size);
      await settle();
      assert.ok((await world.cache.totals()).bytes <= 5 * SIZE);
    }
  });

  test('keeps nothing larger than itself, and evicts nothing for it', async (t) => {
    const world = await roomWorld(t, { maxSize: 3 * SIZE });
    const [small, large] = [smallLayer('small'), smallLayer('large', 4 * SIZE)];
    world.origin.addBlobs(LIBRARY, small, large);
    await pullBlob(world, small);
    assert.equal(await pullBlob(world, large), 'streamed');
    assert.ok(await isStored(world, [small]));
    assert.equal(world.cache.pause, undefined);
  });

  test('makes room while a transfer runs, before it is done', async (t) => {
    const world = await roomWorld(t, { maxSize: 2.2 * SIZE });
    const [old, coming] = [smallLayer('old'), smallLayer('coming', 2 * SIZE)];
    world.origin.addBlobs(LIBRARY, old, coming);
    await pullBlob(world, old);
    const body = new CuedBody();
    world.origin.deliver = () => ({ body, size: coming.size });
    const swept = world.next('cache.swept');
    const { reader } = await world.cache.blob(LIBRARY, coming.digest, {});
    assert.deepEqual(await swept, { freed: SIZE, left: 0, blobs: 1 });
    body.send(coming.bytes).end();
    await drain(reader);
  });

  test('evicts nothing for a question the upstream has not answered yet', async (t) => {
    const world = await roomWorld(t, { maxSize: 3 * SIZE });
    const [old, coming] = [smallLayer('old'), smallLayer('coming')];
    world.origin.addBlobs(LIBRARY, old, coming);
    await pullBlob(world, old);
    const gate = new Gate();
    world.origin.before = () => gate.pass();
    const asked = world.cache.blob(LIBRARY, coming.digest, {});
    await gate.reached;
    // Something makes it look: a manifest that is stored, another transfer that ends.
    await world.cache.collect({});
    gate.open();
    await drain((await asked).reader);
    assert.ok(await isStored(world, [old]));
  });

  test('leaves what is being read until the reader has gone', async (t) => {
    const world = await roomWorld(t, { maxSize: 10 * SIZE });
    const blob = smallLayer('read');
    world.origin.addBlobs(LIBRARY, blob);
    await pullBlob(world, blob);
    const { reader } = await world.cache.blob(LIBRARY, blob.digest, {});
    await readSome(reader, 10);
    assert.deepEqual((await world.cache.collect({ maxSize: 0 })).freed, 0);
    assert.ok((await drain(reader)).equals(blob.bytes.subarray(10)));
    assert.deepEqual((await world.cache.collect({ maxSize: 0 })).freed, SIZE);
  });
});

describe('collect()', () => {
  test('tells what would go, and leaves it', async (t) => {
    const world = await roomWorld(t);
    const blobs = [smallLayer('1'), smallLayer('2'), smallLayer('3')];
    world.origin.addBlobs(LIBRARY, ...blobs);
    for (const blob of blobs) await pullBlob(world, blob);
    const planned = await world.cache.collect({ dryRun: true, maxSize: SIZE });
    assert.deepEqual([planned.stored, planned.wanted, planned.freed, planned.blobs], [3 * SIZE, 2 * SIZE, 2 * SIZE, 2]);
    assert.ok(await isStored(world, blobs));
    const done = await world.cache.collect({ maxSize: SIZE });
    assert.deepEqual(done.evicted, planned.evicted);
    assert.deepEqual(await world.cache.totals(), { blobs: 1, bytes: SIZE });
  });
});

describe('a disk that is to keep some space free', () => {
  test('is left as much, by eviction and then by keeping nothing', async (t) => {
    const store = new MemoryBlobStore();
    const total = 100 * SIZE;
    const others = { bytes: 90 * SIZE };
    const stored = async (): Promise<number> => {
      let bytes = 0;
      for await (const { size } of store.list()) bytes += size;
      return bytes;
    };
    const world = await roomWorld(t, {
      store,
      minFree: { share: 0.05 },
      disk: async () => ({ total, free: total - others.bytes - (await stored()) }),
    });
    for (let i = 0; i < 12; i += 1) {
      const blob = smallLayer(`floor ${i}`);
      world.origin.addBlobs(LIBRARY, blob);
      assert.equal(await pullBlob(world, blob), 'committed');
      assert.ok(total - others.bytes - (await stored()) >= 5 * SIZE, 'the floor holds');
    }
    assert.equal(world.cache.pause, undefined);
    // Others take what there was: the cache gives way as far as it can.
    others.bytes = 99 * SIZE;
    const blob = smallLayer('too late');
    world.origin.addBlobs(LIBRARY, blob);
    assert.equal(await pullBlob(world, blob), 'streamed');
    assert.match(String(world.seen('cache.paused').at(-1)?.reason), /are to stay free/);
    assert.equal(await stored(), 0);
  });
});

describe('a disk that refuses to take more', () => {
  for (const step of ['begin', 'write', 'commit'] as const) {
    test(`at ${step} stops the keeping for a while, makes room, and is tried again`, async (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      const world = await roomWorld(t);
      const [old, first, second, third] = [smallLayer('old'), smallLayer('1'), smallLayer('2'), smallLayer('3')];
      world.origin.addBlobs(LIBRARY, old, first, second, third);
      await pullBlob(world, old);
      const swept = world.next('cache.swept');
      world.store.before = (taken) => {
        if (taken === step) throw diskFull();
      };
      const { reader } = await world.cache.blob(LIBRARY, first.digest, {});
      assert.ok((await drain(reader)).equals(first.bytes));
      assert.deepEqual(await swept, { freed: SIZE, left: 0, blobs: 1 });
      world.store.before = () => {};
      assert.equal(world.seen('cache.paused').length, 1);
      assert.match(String(world.cache.pause?.reason), /ENOSPC/);
      assert.equal(await pullBlob(world, second), 'streamed');
      t.mock.timers.tick(30_000);
      assert.equal(world.cache.pause, undefined);
      assert.equal(world.seen('cache.resumed').length, 1);
      assert.equal(await pullBlob(world, third), 'committed');
    });
  }

  test('at a manifest does so too, and nothing is stored meanwhile', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const world = await roomWorld(t);
    const [first, second] = [smallImage('1', []), smallImage('2', [])];
    offer(world, first, '1');
    offer(world, second, '2');
    world.store.before = (step) => {
      if (step === 'write') throw diskFull();
    };
    await pullImageManifest(world, '1');
    const { begun } = world.store;
    await pullImageManifest(world, '2');
    assert.equal(world.store.begun, begun, 'the disk is left alone');
    assert.match(String(world.cache.pause?.reason), /ENOSPC/);
  });
});

async function pullImageManifest(world: CacheWorld, tag: string): Promise<void> {
  assert.ok((await world.cache.manifest(LIBRARY, { kind: 'tag', tag }, {})).bytes !== undefined);
}

function smallest(world: CacheWorld): Content {
  const blob = smallLayer('smallest', 100);
  world.origin.addBlobs(LIBRARY, blob);
  return blob;
}
