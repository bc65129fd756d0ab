import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  cacheWorld,
  drain,
  ELSEWHERE,
  LIBRARY,
  readSome,
  readUntilItEnds,
  settle,
  type WorldOptions,
} from '../../../test/support/cache-world.ts';
import { FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { type Content, content, noise } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { StrictStore } from '../../../test/support/strict-store.ts';
import { MemoryMetadataStore } from '../../store/index.ts';

const SMALL = content('layer', noise('small', 100_000));
const LARGE = content('layer', noise('large', 5_000_000));
const DAY = 24 * 3600 * 1000;

/** A cache that has been started again on what another one stored: nothing was hashed since. */
async function restarted(t: TestContext, blobs: readonly Content[], options: WorldOptions = {}) {
  const store = new MemoryBlobStore();
  const metadata = new MemoryMetadataStore();
  for (const { digest, bytes } of blobs) {
    store.plant(digest, bytes);
    await metadata.putBlob({ digest, size: bytes.length, kind: 'mirrored', storedAt: 1 });
  }
  for (const repository of [LIBRARY, ELSEWHERE]) {
    await metadata.putMembers(
      repository,
      blobs.map(({ digest, bytes }) => ({
        digest,
        kind: 'blob',
        mediaType: '',
        size: bytes.length,
        visibility: 'public',
      })),
    );
  }
  const world = await cacheWorld(t, { store, metadata, ...options });
  world.origin.addBlobs(LIBRARY, ...blobs);
  const rotten = () => world.seen('blob.rotten').map(({ digest, reason }) => [digest, reason]);
  const pull = async ({ digest }: Content, range?: string) => world.cache.blob(LIBRARY, digest, { range });
  return { ...world, world, disk: store, pull, rotten };
}

function flipped(bytes: Buffer, at = bytes.length >> 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

describe('a stored blob that rotted while the server was down', () => {
  const rots: Record<string, { rot: (bytes: Buffer) => Buffer; reason: string }> = {
    flipped: { rot: flipped, reason: 'content' },
    'cut short': { rot: (bytes) => bytes.subarray(0, -1), reason: 'size' },
    empty: { rot: () => Buffer.alloc(0), reason: 'size' },
    'grown by a byte': { rot: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]), reason: 'size' },
  };
  for (const [how, { rot, reason }] of Object.entries(rots)) {
    test(`is replaced where it is small, and the client notices nothing: ${how}`, async (t) => {
      const { world, disk, pull, rotten } = await restarted(t, [SMALL]);
      disk.plant(SMALL.digest, rot(SMALL.bytes));
      const answer = await pull(SMALL);
      assert.equal(answer.outcome, 'MISS');
      assert.ok((await drain(answer.reader)).equals(SMALL.bytes));
      assert.deepEqual(rotten(), [[SMALL.digest, reason]]);
      assert.deepEqual(disk.quarantined(SMALL.digest), rot(SMALL.bytes));
      await settle();
      const again = await pull(SMALL);
      assert.equal(again.outcome, 'HIT');
      assert.ok((await drain(again.reader)).equals(SMALL.bytes));
      assert.equal(world.origin.count('openBlob'), 1);
      assert.deepEqual(await world.cache.totals(), { blobs: 1, bytes: SMALL.size });
    });
  }

  for (const at of [0, LARGE.size >> 1, LARGE.size - 1]) {
    test(`is cut before its last byte where it is large and byte ${at} is wrong, and fetched by the next`, async (t) => {
      const { world, disk, pull, rotten } = await restarted(t, [LARGE]);
      disk.plant(LARGE.digest, flipped(LARGE.bytes, at));
      const first = await pull(LARGE);
      assert.equal(first.outcome, 'HIT');
      const { bytes, error } = await readUntilItEnds(first.reader);
      assert.equal(error?.name, 'RottenBlobError');
      assert.ok(bytes.length < LARGE.size);
      assert.deepEqual(rotten(), [[LARGE.digest, 'content']]);
      const second = await pull(LARGE);
      assert.equal(second.outcome, 'MISS');
      assert.ok((await drain(second.reader)).equals(LARGE.bytes));
      assert.equal(world.origin.count('openBlob'), 1);
    });
  }

  test('is fetched afresh where its length is wrong, large or not, and a HEAD tells the right length', async (t) => {
    const { world, disk, pull } = await restarted(t, [LARGE]);
    disk.plant(LARGE.digest, LARGE.bytes.subarray(0, 4_500_000));
    const head = await world.cache.headBlob(LIBRARY, LARGE.digest, {});
    assert.deepEqual([head.outcome, head.size], ['MISS', LARGE.size]);
    assert.ok((await drain((await pull(LARGE)).reader)).equals(LARGE.bytes));
  });

  test('is fetched afresh where its file is gone, and its row does not outlive it', async (t) => {
    const { world, disk, metadata, pull, rotten } = await restarted(t, [SMALL]);
    await disk.delete(SMALL.digest);
    world.origin.before = () => {
      throw new FakeFailure('unavailable');
    };
    await assert.rejects(pull(SMALL));
    assert.equal(await metadata.getBlob(SMALL.digest), undefined);
    assert.deepEqual(rotten(), [[SMALL.digest, 'missing']]);
    await assert.rejects(pull(SMALL));
    assert.equal(rotten().length, 1, 'it is said once');
  });

  test('gives a part after the size alone, which is cut once the content was found wrong', async (t) => {
    const { world, disk, store, pull, rotten } = await restarted(t, [LARGE]);
    disk.plant(LARGE.digest, flipped(LARGE.bytes, 100));
    const gate = new Gate();
    let reads = 0;
    // The first looks whether the disk can read it at all.
    store.before = (step) => (step === 'read' && ++reads === 2 ? gate.pass() : undefined);
    const { part, reader } = await pull(LARGE, 'bytes=4000000-');
    assert.deepEqual(part, { start: 4_000_000, end: LARGE.size - 1 });
    await gate.reached;
    assert.ok((await readSome(reader, 1000)).equals(LARGE.bytes.subarray(4_000_000, 4_001_000)));
    const said = world.next('blob.rotten');
    gate.open();
    await said;
    await settle();
    assert.equal((await readUntilItEnds(reader)).error?.name, 'RottenBlobError');
    assert.equal(rotten().length, 1);
  });

  test('cuts everyone who reads it, and all who come next share one download', async (t) => {
    const { world, disk, pull, rotten } = await restarted(t, [LARGE]);
    disk.plant(LARGE.digest, flipped(LARGE.bytes));
    const cut = await Promise.all(Array.from({ length: 5 }, async () => readUntilItEnds((await pull(LARGE)).reader)));
    for (const { bytes, error } of cut) {
      assert.equal(error?.name, 'RottenBlobError');
      assert.ok(bytes.length < LARGE.size);
    }
    assert.equal(rotten().length, 1);
    const healed = await Promise.all(Array.from({ length: 5 }, async () => drain((await pull(LARGE)).reader)));
    for (const bytes of healed) assert.ok(bytes.equals(LARGE.bytes));
    assert.equal(world.origin.count('openBlob'), 1);
  });

  test('is replaced by one download, however many ask at once', async (t) => {
    const { world, disk, pull, rotten } = await restarted(t, [SMALL]);
    disk.plant(SMALL.digest, flipped(SMALL.bytes));
    const bodies = await Promise.all(Array.from({ length: 20 }, async () => drain((await pull(SMALL)).reader)));
    for (const bytes of bodies) assert.ok(bytes.equals(SMALL.bytes));
    assert.equal(world.origin.count('openBlob'), 1);
    assert.equal(rotten().length, 1);
  });
});

describe('a stored blob whose content was never verified', () => {
  test('is hashed once for all who read it, and not again', async (t) => {
    const { store, pull } = await restarted(t, [LARGE]);
    let reads = 0;
    store.before = (step) => {
      if (step === 'read') reads += 1;
    };
    const bodies = await Promise.all(
      Array.from({ length: 3 }, async () => drain((await pull(LARGE)).reader, 1024 * 1024)),
    );
    for (const bytes of bodies) assert.ok(bytes.equals(LARGE.bytes));
    const steps = Math.ceil(LARGE.size / (256 * 1024));
    // Each looks whether it can be read, reads five times and the last byte for itself.
    assert.equal(reads, steps + 3 * 7);
    reads = 0;
    await drain((await pull(LARGE)).reader, 1024 * 1024);
    assert.equal(reads, 5);
  });

  test('holds its last byte back until it was found right', async (t) => {
    const { store, pull } = await restarted(t, [LARGE]);
    const gate = new Gate();
    let reads = 0;
    store.before = (step) => (step === 'read' && ++reads === 2 ? gate.pass() : undefined);
    const { reader } = await pull(LARGE);
    assert.ok((await readSome(reader, LARGE.size - 1)).equals(LARGE.bytes.subarray(0, -1)));
    const last = Buffer.alloc(10);
    let isThere = false;
    const reading = reader.read(last).then((count) => {
      isThere = true;
      return count;
    });
    await settle();
    assert.equal(isThere, false);
    gate.open();
    assert.equal(await reading, 1);
    assert.equal(last[0], LARGE.bytes.at(-1));
    assert.equal(await reader.read(last), 0);
    reader.close();
  });

  test('lets go of a reader that leaves while it waits for the last byte', async (t) => {
    const { store, pull } = await restarted(t, [LARGE]);
    const gate = new Gate();
    let reads = 0;
    store.before = (step) => (step === 'read' && ++reads === 2 ? gate.pass() : undefined);
    const { reader } = await pull(LARGE);
    await readSome(reader, LARGE.size - 1);
    const waiting = assert.rejects(reader.read(Buffer.alloc(1)), { name: 'ReaderClosedError' });
    await settle();
    reader.close();
    await waiting;
    gate.open();
  });

  test('lets go of a client that leaves before its first byte, and goes on for the others', async (t) => {
    const { world, store, pull } = await restarted(t, [SMALL]);
    const gate = new Gate();
    store.before = (step) => (step === 'read' ? gate.pass() : undefined);
    const left = new AbortController();
    const leaving = world.cache.blob(LIBRARY, SMALL.digest, { signal: left.signal });
    await gate.reached;
    const staying = pull(SMALL);
    left.abort(new Error('the client left'));
    await assert.rejects(leaving, /the client left/);
    gate.open();
    assert.ok((await drain((await staying).reader)).equals(SMALL.bytes));
    assert.equal(world.origin.count(), 0);
  });

  test('stops being looked at when the server stops, and a reader that waits is cut', async (t) => {
    const { world, store, pull } = await restarted(t, [LARGE]);
    const gate = new Gate();
    let reads = 0;
    store.before = (step) => (step === 'read' && ++reads === 2 ? gate.pass() : undefined);
    const { reader } = await pull(LARGE);
    await readSome(reader, LARGE.size - 1);
    const waiting = assert.rejects(reader.read(Buffer.alloc(1)), { name: 'RottenBlobError', message: /is stopping/ });
    const closed = world.cache.close();
    gate.open();
    await waiting;
    reader.close();
    await closed;
    assert.deepEqual(world.seen('blob.rotten'), []);
  });

  for (const [title, verifiedAt, hashed] of [
    ['before the start', 1_800_000_000_000 - 1, true],
    ['at a time that lies ahead, as the clock was set back', 1_800_000_000_000 + DAY, true],
    ['since the start', 1_800_000_000_000 + 5, false],
  ] as const) {
    test(`is ${hashed ? '' : 'not '}hashed where its row says it was, ${title}`, async (t) => {
      let now = 1_800_000_000_000;
      const { store, metadata, pull } = await restarted(t, [SMALL], { now: () => now });
      await metadata.noteVerified(SMALL.digest, verifiedAt);
      now += 10;
      let reads = 0;
      store.before = (step) => {
        if (step === 'read') reads += 1;
      };
      const { reader } = await pull(SMALL);
      assert.equal(reads > 0, hashed);
      reader.close();
      if (hashed) assert.equal((await metadata.getBlob(SMALL.digest))?.verifiedAt, now);
    });
  }
});

describe('a stored blob that was found right', () => {
  test('is hashed again after verifyAfter, and never again where that is 0', async (t) => {
    for (const [verifyAfter, served] of [
      [DAY, SMALL.bytes],
      [0, flipped(SMALL.bytes)],
    ] as const) {
      let now = 1_800_000_000_000;
      const disk = new MarklessStore();
      const { pull } = await restarted(t, [SMALL], { store: disk, now: () => now, verifyAfter });
      disk.plant(SMALL.digest, SMALL.bytes);
      await drain((await pull(SMALL)).reader);
      disk.plant(SMALL.digest, flipped(SMALL.bytes));
      now += DAY - 1;
      assert.ok((await drain((await pull(SMALL)).reader)).equals(flipped(SMALL.bytes)), 'it was not verified');
      now += 1;
      assert.ok((await drain((await pull(SMALL)).reader)).equals(served), `${verifyAfter}`);
    }
  });

  test('is looked at again once its file was written to, while the server runs', async (t) => {
    const { world, disk, pull, rotten } = await restarted(t, [SMALL]);
    await drain((await pull(SMALL)).reader);
    disk.plant(SMALL.digest, flipped(SMALL.bytes));
    assert.ok((await drain((await pull(SMALL)).reader)).equals(SMALL.bytes));
    assert.deepEqual(rotten(), [[SMALL.digest, 'content']]);
    assert.equal(world.origin.count('openBlob'), 1);
  });

  test('needs no look after a transfer brought it, which hashed it', async (t) => {
    const world = await cacheWorld(t, { on: 'filesystem' });
    world.origin.addBlobs(LIBRARY, LARGE);
    const finished = world.next('ingest.finished');
    await drain((await world.cache.blob(LIBRARY, LARGE.digest, {})).reader);
    await finished;
    let reads = 0;
    world.store.before = (step) => {
      if (step === 'read') reads += 1;
    };
    const { outcome, reader } = await world.cache.blob(LIBRARY, LARGE.digest, {});
    assert.equal(outcome, 'HIT');
    assert.equal(reads, 0);
    reader.close();
    assert.notEqual((await world.metadata.getBlob(LARGE.digest))?.verifiedAt, undefined);
  });
});

describe('a file that nothing is known of', () => {
  test('is adopted when it is asked for, and nothing is downloaded', async (t) => {
    const { world, metadata, pull } = await restarted(t, [SMALL, LARGE]);
    for (const { digest } of [SMALL, LARGE]) await metadata.deleteBlob(digest);
    for (const blob of [SMALL, LARGE]) {
      const answer = await pull(blob);
      assert.equal(answer.outcome, 'HIT');
      assert.ok((await drain(answer.reader)).equals(blob.bytes));
    }
    assert.equal(world.origin.count(), 0);
    assert.deepEqual(await world.cache.totals(), { blobs: 2, bytes: SMALL.size + LARGE.size });
    assert.deepEqual(
      world.seen('blob.adopted').map(({ size }) => size),
      [SMALL.size, LARGE.size],
    );
  });

  test('is hashed before its first byte, large or not, where no manifest says how long it is', async (t) => {
    const { world, disk, metadata, pull } = await restarted(t, [LARGE]);
    await metadata.deleteBlob(LARGE.digest);
    for (const repository of [LIBRARY, ELSEWHERE]) await metadata.deleteMember(repository, LARGE.digest);
    disk.plant(LARGE.digest, LARGE.bytes.subarray(0, 4_500_000));
    assert.ok((await drain((await pull(LARGE)).reader)).equals(LARGE.bytes));
    assert.equal(world.seen('blob.rotten').length, 1);
  });

  test('is not taken for a blob where a manifest says another length, however right it is', async (t) => {
    const { world, disk, metadata, pull } = await restarted(t, [LARGE]);
    const claimed = { digest: LARGE.digest, kind: 'blob', mediaType: '', size: 7, visibility: 'public' } as const;
    await metadata.putMembers(LIBRARY, [claimed]);
    // Its content decides, and not the writer of the manifest.
    assert.ok((await drain((await pull(LARGE)).reader)).equals(LARGE.bytes));
    assert.deepEqual(world.seen('blob.rotten'), []);
    assert.equal(disk.quarantined(LARGE.digest), undefined);
  });

  test('is served although the names cannot be read or written', async (t) => {
    const { world, metadata, pull } = await restarted(t, [SMALL]);
    const broken = () => Promise.reject(new Error('the names database is damaged'));
    metadata.getBlob = broken;
    metadata.putBlob = broken;
    metadata.noteVerified = broken;
    assert.ok((await drain((await pull(SMALL)).reader)).equals(SMALL.bytes));
    assert.equal(world.origin.count(), 0);
    assert.ok(world.seen('warning').length > 0);
  });
});

describe('a disk that breaks', () => {
  const broken = () => Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });

  for (const blob of [SMALL, LARGE]) {
    test(`before the first of ${blob.size} bytes costs a download, and no pull`, async (t) => {
      const { world, store, pull, rotten } = await restarted(t, [blob]);
      let isBroken = true;
      store.before = (step) => {
        if (step === 'read' && isBroken && world.origin.count() === 0) throw broken();
      };
      const answer = await pull(blob);
      isBroken = false;
      assert.equal(answer.outcome, 'MISS');
      assert.ok((await drain(answer.reader)).equals(blob.bytes));
      assert.deepEqual(rotten(), [[blob.digest, 'unreadable']]);
    });
  }

  test('within a body cuts that one, and the next is fetched afresh', async (t) => {
    const { world, store, pull, rotten } = await restarted(t, [SMALL]);
    await drain((await pull(SMALL)).reader);
    const { reader } = await pull(SMALL);
    await readSome(reader, 1000);
    store.before = (step) => {
      if (step === 'read') throw broken();
    };
    assert.equal((await readUntilItEnds(reader)).error?.message, broken().message);
    store.before = () => {};
    await settle();
    assert.deepEqual(rotten(), [[SMALL.digest, 'unreadable']]);
    assert.ok((await drain((await pull(SMALL)).reader)).equals(SMALL.bytes));
    assert.equal(world.origin.count('openBlob'), 1);
  });

  test('costs no right file that took the place of the wrong one meanwhile', async (t) => {
    const { world, disk, store, pull } = await restarted(t, [LARGE]);
    disk.plant(LARGE.digest, flipped(LARGE.bytes));
    const gate = new Gate();
    let reads = 0;
    store.before = (step) => (step === 'read' && ++reads === 2 ? gate.pass() : undefined);
    const { reader } = await pull(LARGE);
    await gate.reached;
    disk.plant(LARGE.digest, LARGE.bytes);
    gate.open();
    assert.equal((await readUntilItEnds(reader)).error?.name, 'RottenBlobError');
    assert.equal(disk.quarantined(LARGE.digest), undefined);
    assert.ok((await drain((await pull(LARGE)).reader)).equals(LARGE.bytes));
    assert.equal(world.origin.count(), 0);
  });
});

/** A disk that rots by itself: no file is written to, and no mark changes. */
class MarklessStore extends StrictStore {
  readonly #inner: MemoryBlobStore;

  constructor() {
    const inner = new MemoryBlobStore();
    super(inner);
    this.#inner = inner;
  }

  plant(...args: Parameters<MemoryBlobStore['plant']>): void {
    this.#inner.plant(...args);
  }

  override async open(...args: Parameters<StrictStore['open']>): ReturnType<StrictStore['open']> {
    const blob = await super.open(...args);
    return blob === undefined ? undefined : { ...blob, mark: undefined };
  }
}
