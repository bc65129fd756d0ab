import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  ELSEWHERE,
  LIBRARY,
  readUntilItEnds,
  settle,
} from '../../../test/support/cache-world.ts';
import { bodyOf, CuedBody, FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { buildImage, content, noise, platformOf } from '../../../test/support/image.ts';
import { LITTLE_MISSING, SOON_REACHED } from '../transfer/policy.ts';

const LAYER = content('layer', noise('blobs', 100_000));
/** A size that makes a transfer large; the bytes need not exist. */
const LARGE = LITTLE_MISSING * 10;

/** Stores LAYER through LIBRARY. */
async function warmWorld(...args: Parameters<typeof cacheWorld>): Promise<CacheWorld> {
  const world = await cacheWorld(...args);
  world.origin.addBlobs(LIBRARY, LAYER);
  const finished = world.next('ingest.finished');
  await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
  await finished;
  world.origin.calls.length = 0;
  return world;
}

describe('a Range on a stored blob', () => {
  const last = LAYER.size - 1;
  const rows: readonly [header: string, part: { start: number; end: number } | undefined][] = [
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=500-999', { start: 500, end: 999 }],
    ['bytes=99000-', { start: 99_000, end: last }],
    ['bytes=-10', { start: LAYER.size - 10, end: last }],
    [`bytes=5-${LAYER.size * 2}`, { start: 5, end: last }],
    ['bytes=1-2,5-6', undefined],
    ['lines=1-2', undefined],
  ];
  for (const [range, part] of rows) {
    test(`${range} is ${part === undefined ? 'the whole' : `${part.start} to ${part.end}`}`, async (t) => {
      const world = await warmWorld(t);
      const answer = await world.cache.blob(LIBRARY, LAYER.digest, { range });
      assert.deepEqual([answer.outcome, answer.size, answer.part], ['HIT', LAYER.size, part]);
      const expected = part === undefined ? LAYER.bytes : LAYER.bytes.subarray(part.start, part.end + 1);
      assert.ok((await drain(answer.reader, 333)).equals(expected));
      assert.equal(world.origin.count(), 0);
    });
  }

  for (const range of [`bytes=${LAYER.size}-`, 'bytes=-0']) {
    test(`${range} cannot be satisfied, and is told the size`, async (t) => {
      const world = await warmWorld(t);
      await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, { range }), {
        status: 416,
        headers: { 'content-range': `bytes */${LAYER.size}` },
      });
    });
  }
});

describe('a manifest that is asked for as a blob', () => {
  const IMAGE = buildImage({ architectures: ['amd64'], layers: [100] });

  async function knownWorld(t: TestContext) {
    const world = await cacheWorld(t);
    const { manifest } = platformOf(IMAGE, 'amd64');
    world.origin.addManifest(LIBRARY, IMAGE.index, 'latest');
    world.origin.addManifest(LIBRARY, manifest);
    await world.cache.manifest(LIBRARY, { kind: 'tag', tag: 'latest' }, {});
    await world.cache.manifest(LIBRARY, { kind: 'digest', digest: manifest.digest }, {});
    return { ...world, manifests: [IMAGE.index, manifest] };
  }

  test('is not found where its upstream does not give it as one', async (t) => {
    const { cache, manifests } = await knownWorld(t);
    for (const { digest } of manifests) {
      await assert.rejects(cache.headBlob(LIBRARY, digest, {}), { kind: 'not-found' });
      await assert.rejects(cache.blob(LIBRARY, digest, {}), { kind: 'not-found' });
    }
  });

  test('is a blob where its upstream says so, and stays a manifest', async (t) => {
    const { cache, origin, manifests } = await knownWorld(t);
    origin.addBlobs(LIBRARY, ...manifests);
    for (const { digest, bytes } of manifests) {
      assert.ok((await drain((await cache.blob(LIBRARY, digest, {})).reader)).equals(bytes));
      const before = origin.count();
      assert.equal((await cache.manifest(LIBRARY, { kind: 'digest', digest }, {})).outcome, 'HIT');
      assert.equal(origin.count(), before);
    }
  });
});

/** How the blobs of an upstream may be split. */
const SPLIT = { connections: 4, minSegment: 16 * 1024 * 1024, mostOfUpstream: 8 };

describe('a Range on a blob that is not here yet', () => {
  test('follows the growing file where that will soon be there', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const answer = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=50000-50099' });
    assert.deepEqual([answer.outcome, answer.part], ['MISS', { start: 50_000, end: 50_099 }]);
    assert.ok((await drain(answer.reader)).equals(LAYER.bytes.subarray(50_000, 50_100)));
    assert.deepEqual(
      world.origin.calls.map(({ method, offset }) => [method, offset]),
      [['openBlob', 0]],
    );
  });

  test('counts from the end where the upstream says how long it is', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const answer = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=-10' });
    assert.ok((await drain(answer.reader)).equals(LAYER.bytes.subarray(-10)));
    assert.equal(world.origin.count(), 1);
  });

  test('is the whole where its length is not known', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    world.origin.deliver = () => ({ body: bodyOf(LAYER.bytes), size: null });
    const answer = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=10-19' });
    assert.deepEqual([answer.part, answer.size], [undefined, undefined]);
    assert.ok((await drain(answer.reader)).equals(LAYER.bytes));
  });

  for (const known of [true, false]) {
    test(`cannot be satisfied beyond its end, the size ${known ? 'known' : 'unknown'} before`, async (t) => {
      const world = await cacheWorld(t);
      world.origin.addBlobs(LIBRARY, LAYER);
      if (known) await world.cache.headBlob(LIBRARY, LAYER.digest, {});
      await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, { range: `bytes=${LAYER.size}-` }), {
        status: 416,
        headers: { 'content-range': `bytes */${LAYER.size}` },
      });
      assert.equal(world.origin.count('openBlob'), 1);
    });
  }

  for (const range of ['bytes=-0', `bytes=${'9'.repeat(20)}-`]) {
    test(`${range} of a blob that the upstream does not have is not found`, async (t) => {
      const world = await cacheWorld(t);
      await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, { range }), { kind: 'not-found' });
    });
  }

  test('is given where the upstream tells the part and not the size', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const start = SOON_REACHED + 1;
    world.origin.deliver = ({ offset }) =>
      offset === 0 ? undefined : { body: bodyOf(LAYER.bytes.subarray(0, 10)), size: null, end: start + 9 };
    const answer = await world.cache.blob(LIBRARY, LAYER.digest, { range: `bytes=${start}-${start + 9}` });
    assert.deepEqual([answer.size, answer.part], [undefined, { start, end: start + 9 }]);
    assert.ok((await drain(answer.reader)).equals(LAYER.bytes.subarray(0, 10)));
  });

  for (const onRange of ['ingest', 'pass'] as const) {
    test(`is fetched for itself where it is far; the whole ${onRange === 'ingest' ? 'comes in beside it' : 'does not'}`, async (t) => {
      const world = await cacheWorld(t, { onRange });
      const big = content('layer', noise('far', SOON_REACHED + 200_000));
      world.origin.addBlobs(LIBRARY, big);
      world.origin.pieceSize = 1024 * 1024;
      const start = SOON_REACHED + 1;
      const finished = onRange === 'ingest' ? world.next('ingest.finished') : undefined;
      const answer = await world.cache.blob(LIBRARY, big.digest, { range: `bytes=${start}-${start + 99_999}` });
      assert.deepEqual([answer.outcome, answer.size, answer.part], ['PASS', big.size, { start, end: start + 99_999 }]);
      assert.ok((await drain(answer.reader)).equals(big.bytes.subarray(start, start + 100_000)));
      const passed = world.origin.calls.filter((call) => call.offset > 0);
      assert.deepEqual(
        passed.map(({ offset, end }) => [offset, end]),
        [[start, start + 99_999]],
      );
      assert.equal(world.seen('range.passed').length, 1);
      assert.equal((await finished)?.outcome, onRange === 'ingest' ? 'committed' : undefined);
      assert.equal((await world.store.stat(big.digest)) !== undefined, onRange === 'ingest');
      assert.equal(world.origin.count(), onRange === 'ingest' ? 2 : 1);
    });
  }

  for (const onRange of ['ingest', 'pass'] as const) {
    test(`counted from the end is found to be far by the answer; the whole ${onRange === 'ingest' ? 'goes on' : 'stops'}`, async (t) => {
      const world = await cacheWorld(t, { onRange, splitOf: () => SPLIT });
      const big = content('layer', noise('far from its end', 5 * SOON_REACHED));
      world.origin.addBlobs(LIBRARY, big);
      const body = new CuedBody();
      world.origin.deliver = ({ offset }) => (offset === 0 ? { body } : undefined);
      const finished = world.next('ingest.finished');
      const answer = await world.cache.blob(LIBRARY, big.digest, { range: 'bytes=-10' });
      const outcome = onRange === 'ingest' ? 'MISS' : 'PASS';
      assert.deepEqual([answer.outcome, answer.part?.start], [outcome, big.size - 10]);
      assert.ok((await drain(answer.reader)).equals(big.bytes.subarray(-10)));
      body.send(big.bytes);
      assert.equal((await finished).outcome, onRange === 'ingest' ? 'committed' : 'aborted');
    });
  }

  test('is refused where the upstream refuses; that the whole is refused too disturbs no client', async (t) => {
    const world = await cacheWorld(t);
    world.origin.before = () => {
      throw new FakeFailure('denied');
    };
    const range = `bytes=${LARGE - 10}-${LARGE - 1}`;
    await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, { range }), { kind: 'denied' });
    await settle();
    assert.deepEqual(
      world.seen('ingest.finished').map(({ outcome }) => outcome),
      ['failed'],
    );
  });

  test('starts few transfers that no client waits for', async (t) => {
    const world = await cacheWorld(t);
    world.origin.deliver = ({ offset }) => ({
      body: offset === 0 ? new CuedBody() : bodyOf(Buffer.alloc(10)),
      size: LARGE,
    });
    for (let i = 0; i < 7; i += 1) {
      const { digest } = content('layer', Buffer.from(`unattended ${i}`));
      const answer = await world.cache.blob(LIBRARY, digest, { range: `bytes=${LARGE - 10}-${LARGE - 1}` });
      assert.equal((await drain(answer.reader)).length, 10);
    }
    assert.equal([...world.cache.transfers].length, 4);
    assert.equal(world.origin.count(), 4 + 7);
  });

  test('comes into the file of the transfer that runs where that is far from it, for every client', async (t) => {
    const world = await cacheWorld(t, { splitOf: () => SPLIT });
    world.origin.addBlobs(ELSEWHERE, LAYER);
    await world.cache.headBlob(ELSEWHERE, LAYER.digest, {});
    world.origin.deliver = ({ offset }) => ({
      body: offset === 0 ? new CuedBody() : bodyOf(Buffer.alloc(10)),
      size: LARGE,
    });
    const whole = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const part = await world.cache.blob(ELSEWHERE, LAYER.digest, { range: 'bytes=-10' });
    assert.deepEqual([part.outcome, part.part?.start], ['JOIN', LARGE - 10]);
    assert.equal((await drain(part.reader)).length, 10);
    const ahead = world.origin.calls.find((call) => call.offset > 0);
    assert.deepEqual([ahead?.repository, ahead?.offset, ahead?.end], [LIBRARY, LARGE - 10, LARGE - 1]);
    assert.equal(world.running().received, 10);
    part.reader.close();
    assert.equal(world.running().followers, 1);
    whole.reader.close();
  });

  test('cuts a part whose body is too short, and takes no more than it asked for', async (t) => {
    const world = await cacheWorld(t, { onRange: 'pass' });
    const range = `bytes=${LARGE - 100}-${LARGE - 51}`;
    world.origin.deliver = () => ({ body: bodyOf(Buffer.alloc(49)), size: LARGE });
    const short = await world.cache.blob(LIBRARY, LAYER.digest, { range });
    const { bytes, error } = await readUntilItEnds(short.reader);
    assert.equal(bytes.length, 49);
    assert.match(String(error), /ended after/);
    const body = bodyOf(Buffer.alloc(100), 30);
    world.origin.deliver = () => ({ body, size: LARGE });
    const long = await world.cache.blob(LIBRARY, LAYER.digest, { range });
    assert.equal((await drain(long.reader)).length, 50);
    assert.equal(body.isCancelled, true);
  });

  test('gives no part where the upstream does not say of how much, or has less', async (t) => {
    const world = await cacheWorld(t, { onRange: 'pass' });
    const body = new CuedBody();
    world.origin.deliver = () => ({ body, size: null });
    const range = `bytes=${LARGE}-`;
    await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, { range }), { status: 502 });
    assert.equal(body.isCancelled, true);
    const small = new CuedBody();
    world.origin.deliver = () => ({ body: small, size: 5 });
    await assert.rejects(world.cache.blob(ELSEWHERE, LAYER.digest, { range }), {
      status: 416,
      headers: { 'content-range': 'bytes */5' },
    });
    assert.equal(small.isCancelled, true);
  });
});

describe('a Range on a growing blob', () => {
  test('waits at the last byte until the whole is verified', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const body = new CuedBody();
    world.origin.deliver = () => ({ body });
    const whole = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const { reader, outcome } = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=-100' });
    assert.equal(outcome, 'JOIN');
    const wrong = Buffer.from(LAYER.bytes);
    wrong[0] = (wrong[0] ?? 0) ^ 1;
    body.send(wrong);
    const { bytes, error } = await readUntilItEnds(reader);
    assert.equal(bytes.length, 99);
    assert.match(String(error), /instead of/);
    whole.reader.close();
  });

  test('gets its bytes before the rest is there', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const body = new CuedBody();
    world.origin.deliver = () => ({ body });
    const whole = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=10-19' });
    body.send(LAYER.bytes.subarray(0, 20));
    assert.ok((await drain(reader)).equals(LAYER.bytes.subarray(10, 20)));
    body.send(LAYER.bytes.subarray(20));
    assert.ok((await drain(whole.reader)).equals(LAYER.bytes));
  });

  test('is read from the file while a verified blob is being committed', async (t) => {
    const world = await cacheWorld(t);
    const big = content('layer', noise('committing', SOON_REACHED + 1000));
    world.origin.addBlobs(LIBRARY, big);
    world.origin.pieceSize = 1024 * 1024;
    const gate = new Gate();
    world.store.before = (step) => (step === 'commit' ? gate.pass() : undefined);
    const whole = await world.cache.blob(LIBRARY, big.digest, {});
    const { length } = await drain(whole.reader);
    assert.equal(length, big.size);
    await gate.reached;
    const part = await world.cache.blob(LIBRARY, big.digest, { range: 'bytes=-10' });
    const head = await world.cache.headBlob(LIBRARY, big.digest, {});
    assert.deepEqual([part.outcome, head.outcome, head.size], ['JOIN', 'JOIN', big.size]);
    assert.ok((await drain(part.reader)).equals(big.bytes.subarray(-10)));
    gate.open();
    assert.equal(world.origin.count(), 1);
  });

  test('cannot be satisfied beyond its end, and harms no other request', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const body = new CuedBody();
    world.origin.deliver = () => ({ body });
    const whole = await world.cache.blob(LIBRARY, LAYER.digest, {});
    await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, { range: `bytes=${LAYER.size}-` }), { status: 416 });
    body.send(LAYER.bytes);
    assert.ok((await drain(whole.reader)).equals(LAYER.bytes));
  });
});

describe('the head of a blob', () => {
  test('is what the upstream says, and then what is stored', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const cold = await world.cache.headBlob(LIBRARY, LAYER.digest, {});
    assert.deepEqual([cold.size, cold.outcome, cold.upstream], [LAYER.size, 'MISS', 'upstream of docker.io']);
    const finished = world.next('ingest.finished');
    await drain((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    await finished;
    const warm = await world.cache.headBlob(LIBRARY, LAYER.digest, {});
    assert.deepEqual([warm.size, warm.outcome, warm.upstream], [LAYER.size, 'HIT', undefined]);
    assert.deepEqual(world.origin.methods(), ['headBlob', 'openBlob']);
  });

  test('is answered by its upstream where the transfer it waits for is given up', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const gate = new Gate();
    world.origin.before = ({ method }) => (method === 'openBlob' ? gate.pass() : undefined);
    const leaving = new AbortController();
    const asked = world.cache.blob(LIBRARY, LAYER.digest, { signal: leaving.signal });
    await gate.reached;
    const head = world.cache.headBlob(LIBRARY, LAYER.digest, {});
    await settle();
    leaving.abort(new Error('gone'));
    await assert.rejects(asked, /gone/);
    assert.equal((await head).size, LAYER.size);
  });

  test('is not waited for by a client that has left', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const gate = new Gate();
    world.origin.before = () => gate.pass();
    const asked = world.cache.blob(LIBRARY, LAYER.digest, {});
    await gate.reached;
    await assert.rejects(
      world.cache.headBlob(LIBRARY, LAYER.digest, { signal: AbortSignal.abort(new Error('gone')) }),
      {
        message: 'gone',
      },
    );
    gate.open();
    (await asked).reader.close();
  });
});

describe('the right to a blob', () => {
  const WAYS: Readonly<Record<string, (world: CacheWorld) => Promise<unknown>>> = {
    GET: (world) => world.cache.blob(ELSEWHERE, LAYER.digest, {}),
    Range: (world) => world.cache.blob(ELSEWHERE, LAYER.digest, { range: 'bytes=0-9' }),
    'Range at the end': (world) => world.cache.blob(ELSEWHERE, LAYER.digest, { range: 'bytes=-1' }),
    HEAD: (world) => world.cache.headBlob(ELSEWHERE, LAYER.digest, {}),
  };
  for (const [way, ask] of Object.entries(WAYS)) {
    for (const kind of ['not-found', 'denied', 'unavailable'] as const) {
      test(`is not had by knowing its digest: ${way}, the upstream ${kind}`, async (t) => {
        const world = await warmWorld(t);
        world.origin.before = ({ repository }) => {
          if (repository === ELSEWHERE) throw new FakeFailure(kind);
        };
        await assert.rejects(ask(world), { kind });
        await assert.rejects(ask(world), { kind });
        assert.equal(world.origin.count(), 2);
        assert.equal(world.store.opened, 0);
      });
    }

    test(`is not had while the blob comes in for another: ${way}`, async (t) => {
      const world = await cacheWorld(t);
      world.origin.addBlobs(LIBRARY, LAYER);
      const body = new CuedBody();
      world.origin.deliver = ({ repository }) => (repository === LIBRARY ? { body } : undefined);
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      body.send(LAYER.bytes.subarray(0, 50_000));
      await assert.rejects(ask(world), { kind: 'not-found' });
      assert.equal(world.running().followers, 1);
      body.send(LAYER.bytes.subarray(50_000));
      assert.ok((await drain(reader)).equals(LAYER.bytes));
    });
  }

  test('is asked for once, and then remembered', async (t) => {
    const world = await warmWorld(t);
    world.origin.addBlobs(ELSEWHERE, LAYER);
    for (let i = 0; i < 3; i += 1) {
      const answer = await world.cache.blob(ELSEWHERE, LAYER.digest, {});
      assert.equal(answer.outcome, 'HIT');
      assert.ok((await drain(answer.reader)).equals(LAYER.bytes));
      await world.cache.headBlob(ELSEWHERE, LAYER.digest, {});
    }
    assert.deepEqual(world.origin.methods(), ['headBlob']);
  });

  test('once confirmed lets a reader join what comes in for another', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    world.origin.addBlobs(ELSEWHERE, LAYER);
    const body = new CuedBody();
    world.origin.deliver = () => ({ body });
    const first = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const second = await world.cache.blob(ELSEWHERE, LAYER.digest, {});
    assert.equal(second.outcome, 'JOIN');
    body.send(LAYER.bytes);
    assert.ok((await drain(second.reader)).equals(LAYER.bytes));
    assert.ok((await drain(first.reader)).equals(LAYER.bytes));
    assert.deepEqual(world.origin.methods(), ['openBlob', 'headBlob']);
  });

  test('survives a name store that fails at every call', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    const broken = (): never => {
      throw new Error('database disk image is malformed');
    };
    Object.assign(world.metadata, {
      getMember: broken,
      putMembers: broken,
      putBlob: broken,
      touchBlobs: broken,
      totals: broken,
    });
    for (let i = 0; i < 2; i += 1) {
      const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
      assert.ok((await drain(reader)).equals(LAYER.bytes));
      await settle();
    }
  });
});

describe('stopping', () => {
  test('starts no transfer any more', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    await world.cache.close();
    await assert.rejects(world.cache.blob(LIBRARY, LAYER.digest, {}), { status: 503 });
    assert.equal(world.origin.count(), 0);
  });
});
