import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { cacheWorld, drain, LIBRARY, readUntilItEnds } from '../../../test/support/cache-world.ts';
import { bodyOf, CuedBody, FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';

const LAYER = content('layer', noise('repair', 800_000));
/** The front has what lies before it, and other upstreams what is behind. */
const AHEAD = 200_000;

function flipped(at: number): Buffer {
  const bytes = Buffer.from(LAYER.bytes);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

interface Given {
  /** What each upstream sends in the place of the blob. */
  readonly hub?: Buffer;
  readonly mirror?: Buffer;
  readonly third?: Buffer;
  /** Parts from here on come from the third upstream. @default none */
  readonly thirdFrom?: number;
  /** The first one sends nothing a second time. */
  readonly isGone?: boolean;
}

/** A transfer of which the front waits for a cue, and everything ahead has come from other upstreams. */
async function ahead(t: TestContext, given: Given) {
  const { hub = LAYER.bytes, mirror = LAYER.bytes, third = LAYER.bytes, thirdFrom = LAYER.size } = given;
  const splitOf = (_: string, upstream: string) => ({
    connections: upstream === 'hub' ? 1 : 4,
    minSegment: 100_000,
    mostOfUpstream: 8,
  });
  const world = await cacheWorld(t, { splitOf });
  world.origin.addBlobs(LIBRARY, LAYER);
  world.origin.upstreams = ['hub', 'mirror', 'third'];
  const front = new CuedBody();
  const givenUp: string[] = [];
  const asked: string[] = [];
  const bytesOf: Readonly<Record<string, Buffer>> = { hub, mirror, third };
  const state = { isOver: false };
  world.origin.deliver = ({ offset, end = LAYER.size - 1, only, prefer }) => {
    if (state.isOver) return undefined;
    const wanted = only ?? (prefer === undefined ? 'hub' : offset >= thirdFrom ? 'third' : 'mirror');
    asked.push(`${wanted} ${offset}-${end}`);
    if (only === 'hub' && given.isGone === true) throw new FakeFailure('not-found', 'hub');
    const isFront = wanted === 'hub' && offset === 0 && only === undefined;
    const body = isFront ? front : bodyOf((bytesOf[wanted] ?? hub).subarray(offset, end + 1));
    return { body, upstream: wanted, size: LAYER.size, giveUp: () => void givenUp.push(wanted) };
  };
  const whole = await world.cache.blob(LIBRARY, LAYER.digest, {});
  for (const [start, end] of [
    [AHEAD, 299_999],
    [300_000, LAYER.size - 1],
  ] as const) {
    const part = await world.cache.blob(LIBRARY, LAYER.digest, { range: `bytes=${start}-${end}` });
    assert.equal((await drain(part.reader)).length, end + 1 - start);
  }
  const finished = world.next('ingest.finished');
  /** The front sends what it has. */
  const finish = () => void front.send(hub.subarray(100_000, AHEAD));
  front.send(hub.subarray(0, 100_000));
  return { ...world, reader: whole.reader, finish, finished, givenUp, asked, state };
}

describe('a blob of which another upstream than the first sent other bytes', () => {
  test('is right for a client that has read none of these, and that upstream is given up', async (t) => {
    // Among the last bytes, which are in memory.
    const world = await ahead(t, { mirror: flipped(700_000) });
    const gate = new Gate();
    world.origin.before = ({ only }) => (only === 'hub' ? gate.pass() : undefined);
    world.finish();
    await gate.reached;
    // All has come. What is in doubt is not read before it was fetched again.
    const pieces: Buffer[] = [];
    const had = (): number => pieces.reduce((sum, { length }) => sum + length, 0);
    const read = (async () => {
      const buffer = Buffer.alloc(50_000);
      for (let count = await world.reader.read(buffer); count > 0; count = await world.reader.read(buffer)) {
        pieces.push(Buffer.from(buffer.subarray(0, count)));
      }
    })();
    while (had() < AHEAD) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.equal(had(), AHEAD);
    gate.open();
    await read;
    assert.ok(Buffer.concat(pieces).equals(LAYER.bytes));
    assert.equal((await world.finished).outcome, 'committed');
    assert.deepEqual(world.givenUp, ['mirror']);
    assert.deepEqual(world.asked.slice(-1), ['hub 200000-799999']);
    world.reader.close();
  });

  test('is cut for a client that has read one of them, and right for the next', async (t) => {
    const world = await ahead(t, { mirror: flipped(200_010) });
    const { reader, store } = world;
    let had = 0;
    const read = (async () => {
      for (const buffer = Buffer.alloc(10_000); ; ) had += await reader.read(buffer);
    })();
    // What comes ahead is hashed in pieces: it waits for the client twice.
    const ingest = world.running();
    store.before = async (step) => {
      const { written } = ingest;
      const wanted = written > AHEAD ? 300_000 : written === AHEAD ? AHEAD : 0;
      const isBehind = (): boolean => step === 'read' && had < wanted;
      while (isBehind()) await new Promise(setImmediate);
    };
    world.finish();
    await assert.rejects(read, /mirror sent other bytes than the digest says/);
    assert.ok(had >= 300_000 && had < LAYER.size);
    const { outcome } = await world.finished;
    assert.equal(outcome, 'committed');
    reader.close();
    assert.deepEqual(world.givenUp, ['mirror']);
    const again = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.ok((await drain(again.reader)).equals(LAYER.bytes));
  });

  test('leaves those their good name that were right', async (t) => {
    const world = await ahead(t, { third: flipped(799_999), thirdFrom: 300_000 });
    world.finish();
    assert.equal((await world.finished).outcome, 'committed');
    assert.deepEqual(world.givenUp, ['third']);
    const [warning, ...more] = world.seen('warning').map(({ message }) => message);
    assert.match(
      warning ?? '',
      /^third sent wrong bytes of sha256:\w+, of docker\.io\. They were fetched again from hub\./,
    );
    assert.deepEqual(more, []);
    world.reader.close();
  });

  test('is the fault of the first where the others were right', async (t) => {
    const world = await ahead(t, { hub: flipped(150_000), thirdFrom: 300_000 });
    const read = readUntilItEnds(world.reader);
    world.finish();
    const { bytes, error } = await read;
    assert.match(String(error), /have the digest/);
    assert.ok(bytes.length < LAYER.size);
    assert.deepEqual(world.givenUp, ['hub']);
  });

  test('is the fault of the first where it lies everywhere', async (t) => {
    const hub = Buffer.from(LAYER.bytes.map((byte) => byte ^ 1));
    const world = await ahead(t, { hub });
    const read = readUntilItEnds(world.reader);
    world.finish();
    assert.match(String((await read).error), /have the digest/);
    assert.deepEqual(world.givenUp, ['hub']);
  });

  test('is cut where the first cannot be asked again: the others are given up, and the next pull is right', async (t) => {
    const world = await ahead(t, { mirror: flipped(250_000), thirdFrom: 300_000, isGone: true });
    const read = readUntilItEnds(world.reader);
    world.finish();
    const { bytes, error } = await read;
    assert.match(String(error), /have the digest/);
    assert.ok(bytes.length < LAYER.size);
    assert.deepEqual(world.givenUp, ['mirror', 'third']);
    world.state.isOver = true;
    const again = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.ok((await drain(again.reader)).equals(LAYER.bytes));
  });
});
