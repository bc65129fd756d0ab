import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  LIBRARY,
  readSome,
  readUntilItEnds,
  type Scope,
  settle,
} from '../../../test/support/cache-world.ts';
import { CuedBody, Gate } from '../../../test/support/fake-origin.ts';
import { type Content, content, noise } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { diskFull } from '../../../test/support/strict-store.ts';
import { digestOf } from '../../oci/index.ts';
import type { PartialStore } from '../../store/index.ts';

const MB = 1024 * 1024;
const LAYER = content('layer', noise('partial', 20 * MB));
const PIECE = MB;
const splitOf = () => ({ connections: 2, minSegment: 2 ** 40, mostOfUpstream: 8 });

interface Interrupted {
  readonly store: MemoryBlobStore;
  /** Bytes from the start that came. */
  readonly at: number;
  /** Spans that came ahead. */
  readonly ahead?: readonly (readonly [number, number])[];
  readonly blob?: Content;
}

/** A transfer that ends as its server stops. */
async function interrupt(t: Scope, { store, at, ahead = [], blob = LAYER }: Interrupted): Promise<CacheWorld> {
  const world = await cacheWorld(t, { store, splitOf });
  world.origin.addBlobs(LIBRARY, blob);
  world.origin.deliver = ({ offset, end }, bytes = Buffer.alloc(0)) => {
    const body = new CuedBody();
    const last = Math.min(end === undefined ? at : end + 1, bytes.length);
    for (let from = offset; from < last; from += PIECE) body.send(bytes.subarray(from, Math.min(from + PIECE, last)));
    if (end !== undefined) body.end();
    return { body };
  };
  const { reader } = await world.cache.blob(LIBRARY, blob.digest, {});
  for (const [from, to] of ahead) {
    const range = `bytes=${from}-${to - 1}`;
    assert.equal((await drain((await world.cache.blob(LIBRARY, blob.digest, { range })).reader)).length, to - from);
  }
  while (world.running().written < at) await settle();
  await world.cache.close();
  reader.close();
  return world;
}

/** A cache that goes on with the store of another. */
async function goOn(t: Scope, store: MemoryBlobStore, blob = LAYER): Promise<CacheWorld> {
  const world = await cacheWorld(t, { store, splitOf });
  world.origin.addBlobs(LIBRARY, blob);
  return world;
}

const asked = (world: CacheWorld): readonly (readonly [number, number | undefined])[] =>
  world.origin.calls.filter(({ method }) => method === 'openBlob').map(({ offset, end }) => [offset, end]);

/** Keeps the right bytes with a note that says anything. */
async function keep(store: MemoryBlobStore, note: object): Promise<void> {
  const file = await store.partials.begin(LAYER.digest);
  await file.write(LAYER.bytes, 0);
  await file.note(JSON.stringify({ checkpoints: [], ...note }));
  file.leave();
  await file.close();
}

/** Changes a byte of what is kept, as a rotting disk would. */
async function rot(partials: PartialStore, at: number, digest = LAYER.digest): Promise<void> {
  const found = await partials.reopen(digest);
  assert.ok(found !== undefined, 'nothing is kept');
  const byte = Buffer.alloc(1);
  await found.file.read(byte, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await found.file.write(byte, at);
  found.file.leave();
  await found.file.close();
}

describe('what was kept of a blob', () => {
  test('is asked for the last byte where nothing else is missing', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: LAYER.size - 1 });
    const world = await goOn(t, store);
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    assert.deepEqual(asked(world), [[LAYER.size - 1, LAYER.size - 1]]);
  });

  test('is asked for the last byte even where all of it is there', async (t) => {
    const store = new MemoryBlobStore();
    await keep(store, { size: LAYER.size, extents: [[0, LAYER.size]] });
    const world = await goOn(t, store);
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    assert.deepEqual(asked(world), [[LAYER.size - 1, LAYER.size - 1]]);
  });

  test('is dropped where a manifest gives the blob another size', async (t) => {
    const store = new MemoryBlobStore();
    await keep(store, { size: LAYER.size + 5, extents: [[0, 12 * MB]] });
    const world = await goOn(t, store);
    const config = content('application/vnd.oci.image.config.v1+json', Buffer.from('{}'));
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const layers = [{ mediaType: 'layer', digest: LAYER.digest, size: LAYER.size }];
    const manifest = { schemaVersion: 2, mediaType, config: { ...config, bytes: undefined }, layers };
    world.origin.addManifest(LIBRARY, content(mediaType, Buffer.from(JSON.stringify(manifest))), 'latest');
    await world.cache.manifest(LIBRARY, { kind: 'tag', tag: 'latest' }, {});
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    assert.deepEqual(asked(world), [[0, undefined]]);
  });

  test('is fetched again behind a checkpoint that what comes now does not have either', async (t) => {
    const store = new MemoryBlobStore();
    const hash = '0'.repeat(32);
    await keep(store, {
      size: LAYER.size,
      extents: [[0, 12 * MB]],
      checkpoints: [
        [5 * MB, hash],
        [9 * MB, hash],
      ],
    });
    const world = await goOn(t, store);
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    assert.deepEqual(asked(world).slice(0, 2), [
      [12 * MB, LAYER.size - 1],
      [0, 5 * MB - 1],
    ]);
    assert.equal(asked(world)[2]?.[0], 5 * MB);
  });

  test('is given to a client only once it is compared', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: 9 * MB });
    await rot(store.partials, 1000);
    const world = await goOn(t, store);
    const gate = new Gate();
    let reads = 0;
    // The first checkpoint is at 1 MiB, which is read in four pieces.
    world.store.before = (step) => (step === 'read' && ++reads === 4 ? gate.pass() : undefined);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    let hasRead = false;
    const first = readSome(reader, 100_000).finally(() => {
      hasRead = true;
    });
    await gate.reached;
    await settle();
    assert.ok(!hasRead, 'three pieces are hashed, and one of them is wrong');
    gate.open();
    assert.ok(Buffer.concat([await first, await drain(reader)]).equals(LAYER.bytes));
  });

  test('has a digest of any algorithm', async (t) => {
    const store = new MemoryBlobStore();
    const blob = { ...LAYER, digest: digestOf(LAYER.bytes, 'sha512') };
    await interrupt(t, { store, at: 12 * MB, blob });
    const world = await goOn(t, store, blob);
    assert.ok((await drain((await world.cache.blob(LIBRARY, blob.digest, {})).reader)).equals(LAYER.bytes));
    assert.deepEqual(asked(world), [[12 * MB, LAYER.size - 1]]);
    assert.equal(world.seen('ingest.continued')[0]?.bytes, 12 * MB);
  });

  test('is used ahead of the front only where no power cut can have taken it', async (t) => {
    for (const isCut of [false, true]) {
      const store = new MemoryBlobStore();
      await interrupt(t, { store, at: 9 * MB, ahead: [[15 * MB, 17 * MB]] });
      // The stop has flushed it; what is noted later is not.
      if (isCut) {
        const found = await store.partials.reopen(LAYER.digest);
        await found?.file.note(found.note);
        found?.file.leave();
        await found?.file.close();
        store.partials.cutPower();
      }
      const world = await goOn(t, store);
      assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
      assert.deepEqual(asked(world)[0], [9 * MB, isCut ? LAYER.size - 1 : 15 * MB - 1]);
    }
  });

  test('is dropped where the blob has another size', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: 9 * MB });
    const world = await goOn(t, store);
    const other = LAYER.bytes.subarray(0, 15 * MB);
    world.origin.deliver = ({ offset }) => {
      const body = new CuedBody();
      for (let from = offset; from < other.length; from += PIECE) body.send(other.subarray(from, from + PIECE));
      return { body: body.end(), size: other.length };
    };
    const { bytes } = await readUntilItEnds((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    assert.ok(bytes.length < other.length, 'it has another digest');
    assert.deepEqual(asked(world).slice(0, 2), [
      [9 * MB, LAYER.size - 1],
      [0, undefined],
    ]);
    assert.deepEqual(await store.partials.list(), []);
  });

  test('stays as it was where no upstream answers', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: 9 * MB });
    const world = await goOn(t, store);
    world.origin.before = () => {
      throw new Error('not now');
    };
    await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, {}));
    world.origin.before = () => {};
    assert.equal((await store.partials.list()).length, 1);
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    assert.deepEqual(asked(world).at(-1), [9 * MB, LAYER.size - 1]);
  });

  test('is fetched again where it is wrong ahead, while no client has seen a byte', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: 9 * MB, ahead: [[15 * MB, 17 * MB]] });
    await rot(store.partials, 16 * MB);
    const world = await goOn(t, store);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    // The client is slow to read.
    const finished = await world.next('ingest.finished');
    assert.equal(finished.outcome, 'committed');
    assert.ok((await drain(reader)).equals(LAYER.bytes));
  });

  test('is fetched again from where a client may have read to, where all before that was compared', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: 9 * MB, ahead: [[15 * MB, 17 * MB]] });
    await rot(store.partials, 16 * MB);
    const world = await goOn(t, store);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const first = await readSome(reader, 1000);
    const finished = await world.next('ingest.finished');
    assert.equal(finished.outcome, 'committed');
    assert.ok(Buffer.concat([first, await drain(reader)]).equals(LAYER.bytes));
    assert.deepEqual(asked(world).at(-1)?.[0], 9 * MB);
  });

  test('is removed with the blob that is purged', async (t) => {
    const store = new MemoryBlobStore();
    const first = await interrupt(t, { store, at: 9 * MB });
    assert.equal((await first.cache.purge([{ digest: LAYER.digest }], { dryRun: true })).freed, 9 * MB);
    assert.equal((await store.partials.list()).length, 1);
    assert.equal((await first.cache.purge([{ repository: '**' }])).freed, 9 * MB);
    assert.deepEqual(await store.partials.list(), []);
  });

  test('counts towards the size of the cache, and is evicted before any whole blob', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: 9 * MB });
    const world = await cacheWorld(t, { store, maxSize: 40 * MB, splitOf });
    const whole = content('layer', noise('whole', 25 * MB));
    const next = content('layer', noise('next', 8 * MB));
    world.origin.addBlobs(LIBRARY, whole, next);
    for (const { digest } of [whole, next]) {
      await drain((await world.cache.blob(LIBRARY, digest, {})).reader);
      await settle();
    }
    const swept = await world.cache.collect({});
    assert.ok(swept.stored <= 40 * MB);
    assert.deepEqual(await store.partials.list(), []);
    assert.equal(await store.stat(whole.digest), whole.size);
    assert.ok(world.seen('cache.swept').some(({ partials, blobs }) => partials === 1 && blobs === 0));
  });

  test('costs no pull where the disk refuses its note', async (t) => {
    const store = new MemoryBlobStore();
    const world = await cacheWorld(t, { store, splitOf });
    world.origin.addBlobs(LIBRARY, LAYER);
    world.store.before = (step) => {
      if (step === 'note') throw diskFull();
    };
    world.origin.deliver = (_, bytes = Buffer.alloc(0)) => {
      const body = new CuedBody();
      for (let from = 0; from < 10 * MB; from += PIECE) body.send(bytes.subarray(from, from + PIECE));
      return { body };
    };
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.ok((await readSome(reader, 10 * MB)).equals(LAYER.bytes.subarray(0, 10 * MB)));
    await world.cache.close();
    reader.close();
    assert.deepEqual(await store.partials.list(), []);
  });
});

test('whatever rots of what was kept, no wrong body is completed, and none is lost but where it cannot be helped', async () => {
  const place = fc.nat(LAYER.size - 2);
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        at: fc.integer({ min: 8 * MB, max: 14 * MB }),
        from: fc.integer({ min: 15 * MB, max: 16 * MB }),
        length: fc.integer({ min: 1, max: 3 * MB }),
        rotten: fc.array(place, { maxLength: 3 }),
      }),
      async ({ at, from, length, rotten }) => {
        const cleanUps: (() => Promise<void>)[] = [];
        const scope = { after: (clean: () => Promise<void>): void => void cleanUps.push(clean) };
        try {
          const store = new MemoryBlobStore();
          const ahead = [[from, from + length]] as const;
          await interrupt(scope, { store, at, ahead });
          const isKept = (each: number): boolean => each < at || (each >= from && each < from + length);
          for (const each of rotten) if (isKept(each)) await rot(store.partials, each);
          const world = await goOn(scope, store);
          const { bytes, error } = await readUntilItEnds((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
          const isAhead = rotten.some((each) => each >= from && each < from + length);
          if (error === undefined) assert.ok(bytes.equals(LAYER.bytes), 'a wrong body was completed');
          else assert.ok(isAhead && bytes.length < LAYER.size, `a right one was lost: ${error}`);
          const again = await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
          assert.ok(again.equals(LAYER.bytes), 'the next one is right');
        } finally {
          for (const clean of cleanUps) await clean();
        }
      },
    ),
    {
      numRuns: Number(process.env['TEST_ROUNDS'] ?? 10),
      interruptAfterTimeLimit: process.env['TEST_ROUNDS'] === undefined ? 20_000 : 600_000,
    },
  );
});

describe('kept content that is wrong', () => {
  test('what was kept behind a checkpoint that does not hold is fetched again, also where a part leads up to it', async (t) => {
    const store = new MemoryBlobStore();
    const hash = '0'.repeat(32);
    await keep(store, { size: LAYER.size, extents: [[0, 12 * MB]], checkpoints: [[5 * MB, hash]] });
    await rot(store.partials, 7 * MB);
    const world = await cacheWorld(t, {
      store,
      splitOf: () => ({ connections: 2, minSegment: 20_000, mostOfUpstream: 0 }),
    });
    world.origin.addBlobs(LIBRARY, LAYER);
    const begun = Promise.withResolvers<CuedBody>();
    let isBegun = false;
    world.origin.deliver = ({ offset, end }, bytes = Buffer.alloc(0)) => {
      const body = new CuedBody();
      const last = end === undefined ? bytes.length : end + 1;
      if (offset === 0 && !isBegun) {
        isBegun = true;
        begun.resolve(body);
        return { body };
      }
      for (let from = offset; from < last; from += PIECE) body.send(bytes.subarray(from, Math.min(from + PIECE, last)));
      return { body: body.end() };
    };
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const all = readUntilItEnds(reader);
    const front = await begun.promise;
    const part = await world.cache.blob(LIBRARY, LAYER.digest, { range: `bytes=${4 * MB}-${5 * MB - 1}` });
    const b = readUntilItEnds(part.reader);
    for (let i = 0; i < 30; i += 1) await settle();
    for (let from = 0; from < 5 * MB; from += PIECE) front.send(LAYER.bytes.subarray(from, from + PIECE));
    front.end();
    const got = await all;
    await b;
    assert.ok(got.bytes.equals(LAYER.bytes));
    assert.equal(asked(world).at(-1)?.[0], 5 * MB);
  });

  test('what was kept wrongly is fetched again at once where the upstream stalls after the last byte', async (t) => {
    const store = new MemoryBlobStore();
    await interrupt(t, { store, at: 9 * MB, ahead: [[15 * MB, 17 * MB]] });
    await rot(store.partials, 16 * MB);
    const world = await goOn(t, store);
    world.origin.deliver = ({ offset, end }, bytes = Buffer.alloc(0)) => {
      const body = new CuedBody();
      const last = end === undefined ? bytes.length : end + 1;
      for (let from = offset; from < last; from += PIECE) body.send(bytes.subarray(from, Math.min(from + PIECE, last)));
      return { body };
    };
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.equal((await world.next('ingest.finished')).outcome, 'committed');
    assert.deepEqual(world.seen('ingest.resumed'), []);
    reader.close();
  });
});
