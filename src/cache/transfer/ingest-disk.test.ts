import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cacheWorld, drain, LIBRARY, readSome, readUntilItEnds, settle } from '../../../test/support/cache-world.ts';
import { bodyOf, CuedBody, Gate } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';
import { diskFull, type StoreStep } from '../../../test/support/strict-store.ts';
import { MAX_WAITING_TO_PUBLISH } from '../eviction/policy.ts';

const LAYER = content('layer', noise('disk', 300_000));
const PIECE = 10_000;

/** Fails the nth time a step is taken, and every time after it. */
function failFrom(step: StoreStep, nth = 1): (taken: StoreStep) => void {
  let count = 0;
  return (taken) => {
    if (taken === step && ++count >= nth) throw diskFull();
  };
}

const FAILURES: readonly [where: string, step: StoreStep, nth: number][] = [
  ['before the first byte', 'begin', 1],
  ['at the first write', 'write', 1],
  ['in the middle', 'write', 15],
  ['at the last write', 'write', LAYER.size / PIECE],
  ['at the commit', 'commit', 1],
];

for (const [where, step, nth] of FAILURES) {
  describe(`a disk that is full ${where}`, () => {
    test('costs no reader a byte', async (t) => {
      const world = await cacheWorld(t, { on: 'filesystem' });
      world.origin.addBlobs(LIBRARY, LAYER);
      world.origin.pieceSize = PIECE;
      world.store.before = failFrom(step, nth);
      const finished = world.next('ingest.finished');
      const answers = await Promise.all(Array.from({ length: 4 }, () => world.cache.blob(LIBRARY, LAYER.digest, {})));
      for (const { reader, size } of answers) {
        assert.equal(size, LAYER.size);
        assert.ok((await drain(reader)).equals(LAYER.bytes));
      }
      await finished;
      const part = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=100-299' });
      assert.deepEqual(part.part, { start: 100, end: 299 });
      assert.ok((await drain(part.reader)).equals(LAYER.bytes.subarray(100, 300)));
      assert.equal((await world.cache.headBlob(LIBRARY, LAYER.digest, {})).size, LAYER.size);
      assert.equal(await world.store.stat(LAYER.digest), undefined);
      world.store.before = () => {};
      assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    });

    test('lets no wrong body be complete', async (t) => {
      const world = await cacheWorld(t);
      world.origin.addBlobs(LIBRARY, LAYER);
      const wrong = Buffer.from(LAYER.bytes);
      wrong[5] = (wrong[5] ?? 0) ^ 1;
      world.origin.deliver = ({ offset }) => ({ body: bodyOf(wrong.subarray(offset), PIECE) });
      world.store.before = failFrom(step, nth);
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const { bytes, error } = await readUntilItEnds(reader);
      assert.ok(error !== undefined);
      assert.ok(bytes.length < LAYER.size);
    });
  });
}

describe('no descriptor for the growing file', () => {
  for (const code of ['EMFILE', 'ENFILE']) {
    test(`costs no client its answer, and says what to raise (${code})`, async (t) => {
      const world = await cacheWorld(t);
      world.origin.addBlobs(LIBRARY, LAYER);
      world.store.before = (step) => {
        if (step === 'begin') throw Object.assign(new Error(`${code}: too many open files`), { code });
      };
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      assert.ok((await drain(reader)).equals(LAYER.bytes));
      assert.match(world.cache.pause?.reason ?? '', /^no file descriptor is left .*ulimit -n/);
    });
  }
});

describe('blobs that come faster than they can be published', () => {
  test('wait up to a bound; those beyond it are delivered and not kept', async (t) => {
    const world = await cacheWorld(t);
    const gate = new Gate();
    world.store.before = (step) => (step === 'commit' ? gate.pass() : undefined);
    const blobs = Array.from({ length: MAX_WAITING_TO_PUBLISH + 40 }, (_, i) =>
      content('layer', Buffer.from(`b ${i}`)),
    );
    world.origin.addBlobs(LIBRARY, ...blobs);
    for (const blob of blobs) {
      const { reader } = await world.cache.blob(LIBRARY, blob.digest, {});
      assert.ok((await drain(reader)).equals(blob.bytes));
    }
    await settle();
    assert.equal(world.store.opened, MAX_WAITING_TO_PUBLISH);
    const outcomes = () => world.seen('ingest.finished').map(({ outcome }) => outcome);
    assert.deepEqual(outcomes(), Array(40).fill('streamed'));
    gate.open();
    await Promise.all([...world.cache.transfers].map(({ settled }) => settled));
    await settle();
    assert.equal(outcomes().filter((outcome) => outcome === 'committed').length, MAX_WAITING_TO_PUBLISH);
    assert.equal(world.cache.pause, undefined);
  });
});

describe('a reader that goes on without the disk', () => {
  for (const said of [LAYER.size, null]) {
    test(`gets no complete body whose pieces run past its end, its size ${said === null ? 'unsaid' : 'said'}`, async (t) => {
      const world = await cacheWorld(t);
      world.origin.addBlobs(LIBRARY, LAYER);
      const long = Buffer.concat([LAYER.bytes, Buffer.alloc(5000)]);
      long[0] = (long[0] ?? 0) ^ 1;
      let opened = 0;
      world.origin.deliver = ({ offset }) => {
        opened += 1;
        return { body: bodyOf(long.subarray(offset), 7777), size: opened === 1 ? LAYER.size : said };
      };
      world.store.before = failFrom('begin');
      const { reader, size } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      assert.equal(size, LAYER.size);
      const { bytes, error } = await readUntilItEnds(reader);
      assert.ok(error !== undefined);
      assert.ok(bytes.length < LAYER.size, `${bytes.length} bytes were handed out`);
    });
  }

  test('is given no blob of another size than it was promised', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const other = noise('other', LAYER.size * 2);
    let opened = 0;
    world.origin.deliver = () => {
      opened += 1;
      return opened === 1 ? undefined : { body: bodyOf(other), size: other.length };
    };
    world.store.before = failFrom('begin');
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const { bytes, error } = await readUntilItEnds(reader);
    assert.ok(error !== undefined);
    assert.ok(bytes.length < LAYER.size, `${bytes.length} bytes were handed out`);
  });

  test('does not take an empty piece for the end', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    world.origin.deliver = () => ({
      body: new CuedBody()
        .send(LAYER.bytes.subarray(0, 1000))
        .send(Buffer.alloc(0))
        .send(LAYER.bytes.subarray(1000))
        .end(),
    });
    world.store.before = failFrom('begin');
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.ok((await drain(reader)).equals(LAYER.bytes));
  });

  test('leaves no body behind when it closes while that is being opened', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const rest = new CuedBody();
    const gate = new Gate();
    let opened = 0;
    world.origin.deliver = () => {
      opened += 1;
      return opened === 1 ? undefined : { body: rest };
    };
    world.store.before = failFrom('begin');
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    // As an origin that was a moment too late to hear the signal.
    const openBlob = world.origin.openBlob.bind(world.origin);
    world.origin.openBlob = async (repository, digest, options) => {
      await gate.pass();
      return openBlob(repository, digest, { offset: options?.offset ?? 0 });
    };
    const pending = assert.rejects(reader.read(Buffer.alloc(10)), { name: 'ReaderClosedError' });
    await gate.reached;
    reader.close();
    gate.open();
    await pending;
    assert.equal(rest.isCancelled, true);
  });

  test('stops reading its file again when it closes', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    world.origin.pieceSize = PIECE;
    const gate = new Gate();
    world.store.before = failFrom('write', 21);
    const finished = world.next('ingest.finished');
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    await finished;
    await readSome(reader, 200_000);
    const asked = world.origin.count();
    world.store.before = (step) => (step === 'read' ? gate.pass() : undefined);
    const pending = assert.rejects(reader.read(Buffer.alloc(10)), { name: 'ReaderClosedError' });
    await gate.reached;
    reader.close();
    gate.open();
    await pending;
    assert.equal(world.origin.count(), asked);
  });

  test('reads a part of a growing blob from where the file ends', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const body = new CuedBody();
    let opened = 0;
    world.origin.deliver = () => {
      opened += 1;
      return opened === 1 ? { body } : undefined;
    };
    const whole = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const part = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=5000-29999' });
    body.send(LAYER.bytes.subarray(0, 10_000));
    await body.hungry();
    world.store.before = failFrom('write');
    body.send(LAYER.bytes.subarray(10_000, 20_000));
    await settle();
    assert.ok((await drain(part.reader)).equals(LAYER.bytes.subarray(5000, 30_000)));
    assert.ok((await drain(whole.reader)).equals(LAYER.bytes));
    assert.deepEqual(
      world.origin.calls.map(({ offset, end }) => [offset, end]),
      [
        [0, undefined],
        [10_000, 29_999],
        [10_000, undefined],
      ],
    );
  });
});

describe('a disk that cannot be read', () => {
  test('costs the cached copy, not the pull', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    await settle();
    world.store.before = (step) => {
      if (step === 'open' || step === 'stat') throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    };
    assert.equal((await world.cache.headBlob(LIBRARY, LAYER.digest, {})).size, LAYER.size);
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    assert.equal(world.seen('warning').length, 1, 'the HEAD says so');
    assert.deepEqual(
      world.seen('blob.rotten').map(({ digest, reason }) => [digest, reason]),
      [[LAYER.digest, 'unreadable']],
    );
  });

  test('does not cost the cached copy where the process has no descriptor left', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    await settle();
    world.store.before = (step) => {
      if (step === 'open') throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    };
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
    world.store.before = () => {};
    assert.equal((await world.cache.headBlob(LIBRARY, LAYER.digest, {})).outcome, 'HIT');
    assert.deepEqual(world.seen('blob.rotten'), []);
  });

  test('cuts a body that was begun', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    await settle();
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    await readSome(reader, 1000);
    world.store.before = failFrom('read');
    assert.ok((await readUntilItEnds(reader)).error !== undefined);
  });
});

describe('a stored blob that is read', () => {
  test('rejects a read that was under way when it was closed, and every later one', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    await settle();
    const { reader, outcome } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.equal(outcome, 'HIT');
    const gate = new Gate();
    world.store.before = (step) => (step === 'read' ? gate.pass() : undefined);
    const pending = assert.rejects(reader.read(Buffer.alloc(10)), { name: 'ReaderClosedError' });
    await gate.reached;
    reader.close();
    gate.open();
    await pending;
    await assert.rejects(reader.read(Buffer.alloc(10)), { name: 'ReaderClosedError' });
  });
});
