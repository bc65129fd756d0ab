import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  ELSEWHERE,
  LIBRARY,
  readSome,
  readUntilItEnds,
  settle,
} from '../../../test/support/cache-world.ts';
import { bodyOf, CuedBody, FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';
import type { Digest } from '../../oci/index.ts';
import { LITTLE_MISSING, MAX_FAILURES_WITHOUT_PROGRESS } from './policy.ts';

const LAYER = content('layer', noise('layer', 300_000));
const EMPTY = content('layer', Buffer.alloc(0));
const LARGE = LITTLE_MISSING * 10;

/** A world that has LAYER, whose bodies come on cue: one for each opening, in order. */
async function cuedWorld(t: TestContext, options: Parameters<typeof cacheWorld>[1] = {}) {
  const world = await cacheWorld(t, options);
  world.origin.addBlobs(LIBRARY, LAYER);
  const bodies: CuedBody[] = [];
  let opened = Promise.withResolvers<void>();
  world.origin.deliver = () => {
    const body = new CuedBody();
    bodies.push(body);
    opened.resolve();
    opened = Promise.withResolvers();
    return { body };
  };
  /** The body of the nth opening, when it has been opened. */
  async function body(n: number): Promise<CuedBody> {
    while (bodies.length <= n) await opened.promise;
    return bodies[n] as CuedBody;
  }
  return { ...world, body };
}

async function isStored({ store }: CacheWorld, digest: Digest): Promise<boolean> {
  return (await store.stat(digest)) !== undefined;
}

for (const on of ['memory', 'filesystem'] as const) {
  describe(`a transfer, with its file in ${on}`, () => {
    test('is one question however many ask, and all of them get every byte', async (t) => {
      const world = await cacheWorld(t, { on });
      world.origin.addBlobs(LIBRARY, LAYER);
      world.origin.pieceSize = 10_000;
      const finished = world.next('ingest.finished');
      const answers = await Promise.all(Array.from({ length: 50 }, () => world.cache.blob(LIBRARY, LAYER.digest, {})));
      assert.equal(answers.filter((each) => each.outcome === 'MISS').length, 1);
      assert.equal(answers.filter((each) => each.outcome === 'JOIN').length, 49);
      const bodies = await Promise.all(answers.map(({ reader }, i) => drain(reader, 1000 + i * 977)));
      for (const body of bodies) assert.ok(body.equals(LAYER.bytes));
      assert.deepEqual(world.origin.methods(), ['openBlob']);
      assert.equal((await finished).outcome, 'committed');
      const warm = await world.cache.blob(LIBRARY, LAYER.digest, {});
      assert.equal(warm.outcome, 'HIT');
      assert.ok((await drain(warm.reader)).equals(LAYER.bytes));
      assert.equal(world.origin.count(), 1);
      assert.deepEqual(await world.cache.totals(), { blobs: 1, bytes: LAYER.size });
    });

    test('gives a late joiner what is there at once, and all of it in the end', async (t) => {
      const world = await cuedWorld(t, { on });
      const first = await world.cache.blob(LIBRARY, LAYER.digest, {});
      (await world.body(0)).send(LAYER.bytes.subarray(0, 200_000));
      await (await world.body(0)).hungry();
      const late = await world.cache.blob(LIBRARY, LAYER.digest, {});
      assert.equal(late.outcome, 'JOIN');
      assert.equal(late.size, LAYER.size);
      assert.ok((await readSome(late.reader, 200_000)).equals(LAYER.bytes.subarray(0, 200_000)));
      const rest = drain(late.reader);
      (await world.body(0)).send(LAYER.bytes.subarray(200_000)).end();
      assert.ok((await rest).equals(LAYER.bytes.subarray(200_000)));
      assert.ok((await drain(first.reader)).equals(LAYER.bytes));
      assert.equal(world.seen('ingest.joined')[0]?.followers, 2);
    });

    test('goes on for the others when one leaves, even in the middle of a read', async (t) => {
      const world = await cuedWorld(t, { on });
      const leaver = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const stayer = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const pending = assert.rejects(leaver.reader.read(Buffer.alloc(10)), { name: 'ReaderClosedError' });
      (await world.body(0)).send(LAYER.bytes.subarray(0, 1)).send(LAYER.bytes.subarray(1, 1000));
      leaver.reader.close();
      leaver.reader.close();
      await pending;
      (await world.body(0)).send(LAYER.bytes.subarray(1000)).end();
      assert.ok((await drain(stayer.reader)).equals(LAYER.bytes));
    });

    test('uses no file after it was closed, though a read was under way', async (t) => {
      const world = await cuedWorld(t, { on });
      const gate = new Gate();
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      // In pieces so small that memory keeps the last ones alone.
      (await world.body(0)).send(LAYER.bytes.subarray(0, 150_000)).send(LAYER.bytes.subarray(150_000)).end();
      await world.running().settled;
      world.store.before = (step) => (step === 'read' ? gate.pass() : undefined);
      const pending = reader.read(Buffer.alloc(100)).catch(() => {});
      await gate.reached;
      reader.close();
      gate.open();
      await pending;
      await assert.rejects(reader.read(Buffer.alloc(100)), { name: 'ReaderClosedError' });
    });

    test('goes on and is kept when everyone leaves a small blob', async (t) => {
      const world = await cuedWorld(t, { on });
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const ingest = world.running();
      reader.close();
      (await world.body(0)).send(LAYER.bytes).end();
      assert.equal(await ingest.settled, 'committed');
      assert.equal(await isStored(world, LAYER.digest), true);
    });

    test('stops and leaves no file when everyone leaves a large blob', async (t) => {
      const world = await cuedWorld(t, { on });
      const bodies: CuedBody[] = [];
      world.origin.deliver = () => {
        bodies.push(new CuedBody());
        return { body: bodies.at(-1) as CuedBody, size: LARGE };
      };
      const readers = [
        (await world.cache.blob(LIBRARY, LAYER.digest, {})).reader,
        (await world.cache.blob(LIBRARY, LAYER.digest, {})).reader,
      ];
      const ingest = world.running();
      bodies[0]?.send(LAYER.bytes);
      await bodies[0]?.hungry();
      readers[0]?.close();
      await settle();
      assert.equal(bodies[0]?.isCancelled, false);
      readers[1]?.close();
      assert.equal(await ingest.settled, 'aborted');
      assert.equal(bodies[0]?.isCancelled, true);
      assert.deepEqual(await world.leftOvers(), []);
    });

    test('is not joined any more once everyone has left: the next request starts afresh', async (t) => {
      const world = await cuedWorld(t, { on });
      let size = LARGE;
      world.origin.deliver = () => {
        const body = size === LARGE ? new CuedBody() : bodyOf(LAYER.bytes);
        return { body, size };
      };
      const gate = new Gate();
      world.store.before = (step) => (step === 'abort' ? gate.pass() : undefined);
      const first = await world.cache.blob(LIBRARY, LAYER.digest, {});
      first.reader.close();
      await gate.reached;
      size = LAYER.size;
      const head = world.cache.headBlob(LIBRARY, LAYER.digest, {});
      const second = world.cache.blob(LIBRARY, LAYER.digest, {});
      await settle();
      gate.open();
      assert.equal((await head).size, LAYER.size);
      assert.ok((await drain((await second).reader)).equals(LAYER.bytes));
    });

    test('never shows the last byte of a wrong body, keeps nothing, and is begun afresh by the next', async (t) => {
      const world = await cacheWorld(t, { on });
      world.origin.addBlobs(LIBRARY, LAYER);
      const wrong = Buffer.from(LAYER.bytes);
      wrong[1234] = (wrong[1234] ?? 0) ^ 1;
      let lies = true;
      world.origin.deliver = () => (lies ? { body: bodyOf(wrong, 7777) } : undefined);
      const finished = world.next('ingest.finished');
      const answers = await Promise.all(Array.from({ length: 5 }, () => world.cache.blob(LIBRARY, LAYER.digest, {})));
      for (const { bytes, error } of await Promise.all(answers.map(({ reader }) => readUntilItEnds(reader)))) {
        assert.match(String(error), /have the digest sha256:[0-9a-f]{64} instead of/);
        assert.ok(bytes.length < LAYER.size, `${bytes.length} bytes were handed out`);
      }
      assert.equal((await finished).outcome, 'failed');
      assert.equal(await isStored(world, LAYER.digest), false);
      assert.equal(world.origin.count(), 1);
      lies = false;
      const again = await world.cache.blob(LIBRARY, LAYER.digest, {});
      assert.equal(again.outcome, 'MISS');
      assert.ok((await drain(again.reader)).equals(LAYER.bytes));
    });

    test('is refused where the body is longer than it was said to be', async (t) => {
      const world = await cacheWorld(t, { on });
      world.origin.addBlobs(LIBRARY, LAYER);
      world.origin.deliver = () => ({ body: bodyOf(LAYER.bytes, 7777), size: LAYER.size - 5 });
      const { reader, size } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const { bytes, error } = await readUntilItEnds(reader);
      assert.ok(error !== undefined);
      assert.ok(bytes.length < (size ?? 0));
      assert.equal(await isStored(world, LAYER.digest), false);
    });

    test('goes on where the body broke off, and the whole is verified', async (t) => {
      const world = await cuedWorld(t, { on });
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const ingest = world.running();
      const whole = drain(reader);
      (await world.body(0)).send(LAYER.bytes.subarray(0, 100_000)).cut();
      (await world.body(1)).send(LAYER.bytes.subarray(100_000, 100_001)).end();
      (await world.body(2)).send(LAYER.bytes.subarray(100_001)).end();
      assert.ok((await whole).equals(LAYER.bytes));
      assert.deepEqual(
        world.origin.calls.map((call) => call.offset),
        [0, 100_000, 100_001],
      );
      assert.deepEqual(
        world.seen('ingest.resumed').map((event) => event.offset),
        [100_000, 100_001],
      );
      assert.equal(await ingest.settled, 'committed');
      assert.equal(await isStored(world, LAYER.digest), true);
    });

    test('is wrong where what it was continued with does not fit', async (t) => {
      const world = await cuedWorld(t, { on });
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const whole = readUntilItEnds(reader);
      (await world.body(0)).send(LAYER.bytes.subarray(0, 100_000)).cut();
      (await world.body(1)).send(noise('another', LAYER.size - 100_000)).end();
      const { bytes, error } = await whole;
      assert.match(String(error), /instead of/);
      assert.ok(bytes.length < LAYER.size);
      assert.equal(await isStored(world, LAYER.digest), false);
    });

    test('is kept under its sha512', async (t) => {
      const world = await cacheWorld(t, { on });
      const layer = content('layer', LAYER.bytes, 'sha512');
      world.origin.addBlobs(LIBRARY, layer);
      const ingest = async () => drain((await world.cache.blob(LIBRARY, layer.digest, {})).reader);
      assert.ok((await ingest()).equals(layer.bytes));
      await Promise.all([...world.cache.transfers].map((each) => each.settled));
      assert.ok((await ingest()).equals(layer.bytes));
      assert.equal(world.origin.count(), 1);
    });

    for (const known of [true, false]) {
      test(`takes the empty blob, with its size ${known ? 'said' : 'unsaid'}`, async (t) => {
        const world = await cacheWorld(t, { on });
        world.origin.addBlobs(LIBRARY, EMPTY);
        world.origin.deliver = () => ({ body: bodyOf(EMPTY.bytes), size: known ? 0 : null });
        const finished = world.next('ingest.finished');
        const answer = await world.cache.blob(LIBRARY, EMPTY.digest, { range: 'bytes=0-' });
        assert.equal(answer.part, undefined);
        assert.equal((await drain(answer.reader)).length, 0);
        assert.equal((await finished).outcome, 'committed');
        const warm = await world.cache.blob(LIBRARY, EMPTY.digest, {});
        assert.deepEqual([warm.outcome, warm.size], ['HIT', 0]);
        assert.equal((await drain(warm.reader)).length, 0);
      });
    }

    test('takes a body whose size is not told', async (t) => {
      const world = await cacheWorld(t, { on });
      world.origin.addBlobs(LIBRARY, LAYER);
      world.origin.deliver = () => ({ body: bodyOf(LAYER.bytes), size: null });
      const finished = world.next('ingest.finished');
      const answer = await world.cache.blob(LIBRARY, LAYER.digest, {});
      assert.equal(answer.size, undefined);
      assert.ok((await drain(answer.reader)).equals(LAYER.bytes));
      assert.equal((await finished).outcome, 'committed');
      assert.equal((await world.cache.headBlob(LIBRARY, LAYER.digest, {})).size, LAYER.size);
    });

    test('never ends a wrong body whose size is not told', async (t) => {
      const world = await cacheWorld(t, { on });
      world.origin.addBlobs(LIBRARY, LAYER);
      world.origin.deliver = () => ({ body: bodyOf(LAYER.bytes.subarray(0, 1000)), size: null });
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      const { error } = await readUntilItEnds(reader);
      assert.match(String(error), /instead of/);
      assert.equal(await isStored(world, LAYER.digest), false);
    });
  });
}

describe('a body that breaks off', () => {
  test('is continued whatever the error says of itself: only the disk is no upstream', async (t) => {
    const world = await cuedWorld(t);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const whole = drain(reader);
    (await world.body(0)).send(LAYER.bytes.subarray(0, 1000)).cut(new Error('ECONNRESET'));
    (await world.body(1)).send(LAYER.bytes.subarray(1000)).end();
    assert.ok((await whole).equals(LAYER.bytes));
    assert.deepEqual(
      world.origin.calls.map((call) => call.offset),
      [0, 1000],
    );
    assert.equal(world.seen('ingest.finished')[0]?.outcome, 'committed');
  });

  test('is continued also before its first byte', async (t) => {
    const world = await cuedWorld(t);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const whole = drain(reader);
    (await world.body(0)).cut();
    (await world.body(1)).send(LAYER.bytes).end();
    assert.ok((await whole).equals(LAYER.bytes));
  });

  test('is whole where it breaks off after the last byte', async (t) => {
    const world = await cuedWorld(t);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const whole = drain(reader);
    (await world.body(0)).send(LAYER.bytes).cut();
    assert.ok((await whole).equals(LAYER.bytes));
    assert.equal(world.origin.count(), 1);
  });

  test('is whole where the last byte came and nothing more does', async (t) => {
    const world = await cuedWorld(t);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    (await world.body(0)).send(LAYER.bytes);
    assert.ok((await drain(reader)).equals(LAYER.bytes));
  });

  test('is forgiven by progress, as often as there is some', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const step = 10_000;
    world.origin.deliver = ({ offset }) => ({
      body: new CuedBody().send(LAYER.bytes.subarray(offset, offset + step)).cut(),
    });
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.ok((await drain(reader)).equals(LAYER.bytes));
    assert.equal(world.origin.count(), LAYER.size / step);
  });

  test('ends the transfer after three failures without a byte between them', async (t) => {
    const world = await cuedWorld(t);
    world.origin.deliver = ({ offset }) => {
      const body = new CuedBody();
      if (offset === 0) body.send(LAYER.bytes.subarray(0, 1000));
      return { body: body.send(Buffer.alloc(0)).cut() };
    };
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const { bytes, error } = await readUntilItEnds(reader);
    assert.ok(error instanceof FakeFailure);
    assert.ok(bytes.equals(LAYER.bytes.subarray(0, 1000)));
    assert.equal(world.origin.count(), MAX_FAILURES_WITHOUT_PROGRESS);
    assert.equal(await isStored(world, LAYER.digest), false);
  });

  test('ends the transfer at once where the next attempt is refused for good', async (t) => {
    for (const kind of ['not-found', 'denied', 'invalid'] as const) {
      await t.test(kind, async (t) => {
        const world = await cuedWorld(t);
        world.origin.before = ({ offset }) => {
          if (offset > 0) throw new FakeFailure(kind);
        };
        const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
        (await world.body(0)).send(LAYER.bytes.subarray(0, 1000)).cut();
        const { error } = await readUntilItEnds(reader);
        assert.equal((error as FakeFailure).kind, kind);
        assert.equal(world.origin.count(), 2);
      });
    }
  });

  test('is not continued with a blob of another size', async (t) => {
    const world = await cuedWorld(t);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const whole = readUntilItEnds(reader);
    const second = new CuedBody();
    world.origin.deliver = () => ({ body: second, size: LAYER.size + 1 });
    (await world.body(0)).send(LAYER.bytes.subarray(0, 1000)).cut();
    const { bytes, error } = await whole;
    assert.match(String(error), /gives 300001 bytes for a blob of 300000/);
    assert.equal(bytes.length, 1000);
    assert.equal(second.isCancelled, true);
  });

  test('is not continued with a body that begins elsewhere', async (t) => {
    const world = await cuedWorld(t);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const whole = readUntilItEnds(reader);
    world.origin.deliver = () => ({ body: bodyOf(LAYER.bytes), offset: 0 });
    (await world.body(0)).send(LAYER.bytes.subarray(0, 1000)).cut();
    assert.match(String((await whole).error), /offset 1000 and got 0/);
  });

  test('does not keep those waiting who close meanwhile', async (t) => {
    const world = await cuedWorld(t);
    world.origin.deliver = ({ offset }) => ({
      body: offset === 0 ? new CuedBody().send(LAYER.bytes).cut() : new CuedBody(),
      size: LARGE,
    });
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const ingest = world.running();
    const pending = readUntilItEnds(reader);
    await settle();
    reader.close();
    assert.equal((await pending).error?.name, 'ReaderClosedError');
    assert.equal(await ingest.settled, 'aborted');
  });
});

describe('a transfer that never begins', () => {
  test('tells everyone who waits why, and holds nothing against the next', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const gate = new Gate();
    world.origin.before = async () => {
      await gate.pass();
      throw new FakeFailure('unavailable');
    };
    const asked = Array.from({ length: 3 }, () => world.cache.blob(LIBRARY, LAYER.digest, {}));
    await gate.reached;
    await settle();
    gate.open();
    for (const each of await Promise.allSettled(asked)) {
      assert.ok(each.status === 'rejected' && each.reason instanceof FakeFailure);
    }
    assert.equal(world.origin.count(), 1);
    world.origin.before = () => {};
    assert.ok((await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader)).equals(LAYER.bytes));
  });

  test('stops when the last one who waits gives up, and not before', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const gate = new Gate();
    world.origin.before = () => gate.pass();
    const leaving = [new AbortController(), new AbortController()] as const;
    const asked = leaving.map(({ signal }) => world.cache.blob(LIBRARY, LAYER.digest, { signal }));
    await gate.reached;
    await settle();
    const ingest = world.running();
    const gone = new Error('gone');
    leaving[0].abort(gone);
    await assert.rejects(asked[0] as Promise<unknown>, gone);
    assert.equal(world.origin.calls[0]?.signal?.aborted, false);
    leaving[1].abort(gone);
    await assert.rejects(asked[1] as Promise<unknown>, gone);
    assert.equal(world.origin.calls[0]?.signal?.aborted, true);
    assert.equal(await ingest.settled, 'aborted');
  });

  test('fails for the repository it was for, not for another that is known to have the blob', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(ELSEWHERE, LAYER);
    await world.cache.headBlob(ELSEWHERE, LAYER.digest, {});
    const gate = new Gate();
    world.origin.before = (call) => (call.repository === LIBRARY ? gate.pass() : undefined);
    const lacking = world.cache.blob(LIBRARY, LAYER.digest, {});
    await gate.reached;
    const having = world.cache.blob(ELSEWHERE, LAYER.digest, {});
    await settle();
    gate.open();
    await assert.rejects(lacking, { kind: 'not-found' });
    assert.ok((await drain((await having).reader)).equals(LAYER.bytes));
  });
});

describe('a transfer without a cache', () => {
  test('is followed by all who ask meanwhile, and not kept', async (t) => {
    const world = await cuedWorld(t, { keep: false });
    const first = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const second = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const ingest = world.running();
    (await world.body(0)).send(LAYER.bytes).end();
    assert.ok((await drain(first.reader)).equals(LAYER.bytes));
    assert.ok((await drain(second.reader)).equals(LAYER.bytes));
    assert.equal(await ingest.settled, 'streamed');
    assert.equal(world.origin.count(), 1);
    assert.equal(await isStored(world, LAYER.digest), false);
    assert.deepEqual(await world.cache.totals(), { blobs: 0, bytes: 0 });
  });

  test('stops when everyone has left, however little is missing', async (t) => {
    const world = await cuedWorld(t, { keep: false });
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const ingest = world.running();
    (await world.body(0)).send(LAYER.bytes.subarray(1));
    await (await world.body(0)).hungry();
    reader.close();
    assert.equal(await ingest.settled, 'aborted');
    assert.equal((await world.body(0)).isCancelled, true);
  });
});

describe('stopping', () => {
  test('ends what runs and tells those who follow', async (t) => {
    const world = await cuedWorld(t);
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const whole = readUntilItEnds(reader);
    (await world.body(0)).send(LAYER.bytes.subarray(0, 1000));
    await (await world.body(0)).hungry();
    await world.cache.close();
    const { bytes, error } = await whole;
    assert.match(String(error), /stopping/);
    assert.ok(bytes.equals(LAYER.bytes.subarray(0, 1000)));
  });
});
