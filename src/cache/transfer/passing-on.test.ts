import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type CacheWorld, cacheWorld, drain, LIBRARY } from '../../../test/support/cache-world.ts';
import { CuedBody } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';
import { diskFull } from '../../../test/support/strict-store.ts';
import type { BlobReader } from '../../lib/index.ts';

const MiB = 1024 * 1024;
const PIECE = 256 * 1024;

/** Larger than what a transfer keeps in memory. */
const LAYER = content('layer', noise('passed on', 8 * MiB));

/** A world that keeps nothing, or does, and counts what the disk is asked for. */
async function countingWorld(t: TestContext, options: { readonly keep: boolean }) {
  const world = await cacheWorld(t, options);
  const steps = { begin: 0, write: 0, read: 0 };
  const bodies: CuedBody[] = [];
  world.origin.addBlobs(LIBRARY, LAYER);
  world.origin.deliver = ({ end }) => {
    if (end !== undefined) return undefined;
    const body = new CuedBody();
    bodies.push(body);
    return { body };
  };
  world.store.before = (step) => {
    if (step === 'begin' || step === 'write' || step === 'read') steps[step] += 1;
  };
  const blob = (): ReturnType<CacheWorld['cache']['blob']> => world.cache.blob(LIBRARY, LAYER.digest, {});
  return { ...world, steps, bodies, blob };
}

function send(body: CuedBody | undefined, from: number, to: number): void {
  for (let at = from; at < to; at += PIECE) body?.send(LAYER.bytes.subarray(at, Math.min(to, at + PIECE)));
}

/** Reads so many bytes. */
async function take(reader: BlobReader, count: number): Promise<Buffer> {
  const target = Buffer.alloc(count);
  for (let filled = 0; filled < count; ) filled += await reader.read(target.subarray(filled));
  return target;
}

describe('a follower that keeps up', () => {
  for (const keep of [true, false]) {
    test(`never reads the file${keep ? '' : ', and what is not kept has none'}`, async (t) => {
      const world = await countingWorld(t, { keep });
      const { reader } = await world.blob();
      const ingest = world.running();
      for (let at = 0; at < LAYER.bytes.length - PIECE; at += PIECE) {
        send(world.bodies[0], at, at + PIECE);
        assert.ok((await take(reader, PIECE)).equals(LAYER.bytes.subarray(at, at + PIECE)));
      }
      send(world.bodies[0], LAYER.bytes.length - PIECE, LAYER.bytes.length);
      world.bodies[0]?.end();
      assert.ok((await drain(reader)).equals(LAYER.bytes.subarray(-PIECE)));
      assert.equal(await ingest.settled, keep ? 'committed' : 'streamed');
      assert.equal(world.steps.read, 0);
      assert.deepEqual([world.steps.begin, world.steps.write > 0], keep ? [1, true] : [0, false]);
    });
  }
});

describe('a transfer that is passed on', () => {
  test('is written to a file from the moment its only client falls behind', async (t) => {
    const world = await countingWorld(t, { keep: false });
    const { reader } = await world.blob();
    const ingest = world.running();
    send(world.bodies[0], 0, LAYER.bytes.length);
    world.bodies[0]?.end();
    // Nothing is read: it goes on all the same.
    assert.equal(await ingest.settled, 'streamed');
    assert.equal(world.steps.begin, 1);
    assert.ok((await drain(reader)).equals(LAYER.bytes));
    assert.equal(world.origin.count(), 1);
  });

  test('is written to a file from its first byte on where another client comes early', async (t) => {
    const world = await countingWorld(t, { keep: false });
    const first = await world.blob();
    send(world.bodies[0], 0, MiB / 2);
    await take(first.reader, MiB / 2);
    const second = await world.blob();
    send(world.bodies[0], MiB / 2, LAYER.bytes.length);
    world.bodies[0]?.end();
    assert.ok((await drain(second.reader)).equals(LAYER.bytes));
    assert.ok((await drain(first.reader)).equals(LAYER.bytes.subarray(MiB / 2)));
    assert.equal(world.steps.begin, 1);
    assert.equal(world.origin.count(), 1);
  });

  test('goes on alone where others come later: they share one more', async (t) => {
    const world = await countingWorld(t, { keep: false });
    const first = await world.blob();
    for (let at = 0; at < 3 * MiB; at += PIECE) {
      send(world.bodies[0], at, at + PIECE);
      await take(first.reader, PIECE);
    }
    const others = await Promise.all([world.blob(), world.blob(), world.blob()]);
    assert.deepEqual(others.map(({ outcome }) => outcome).toSorted(), ['JOIN', 'JOIN', 'MISS']);
    assert.equal(world.origin.count(), 2);
    for (const [body, from] of [[world.bodies[0], 3 * MiB] as const, [world.bodies[1], 0] as const]) {
      send(body, from, LAYER.bytes.length);
      body?.end();
    }
    const late = await world.blob();
    assert.equal(late.outcome, 'JOIN');
    for (const { reader } of [...others, late]) assert.ok((await drain(reader)).equals(LAYER.bytes));
    assert.ok((await drain(first.reader)).equals(LAYER.bytes.subarray(3 * MiB)));
    assert.equal(world.origin.count(), 2);
    assert.ok(world.steps.begin >= 1);
  });

  for (const step of ['begin', 'write'] as const) {
    test(`costs no byte where the disk refuses the ${step} of a file that begins late`, async (t) => {
      const world = await countingWorld(t, { keep: false });
      const { reader } = await world.blob();
      for (let at = 0; at < 3 * MiB; at += PIECE) {
        send(world.bodies[0], at, at + PIECE);
        await take(reader, PIECE);
      }
      world.store.before = (taken) => {
        if (taken === step) throw diskFull();
      };
      // The rest is asked for again, and comes at once.
      world.origin.deliver = () => undefined;
      const ingest = world.running();
      send(world.bodies[0], 3 * MiB, LAYER.bytes.length);
      assert.equal(await ingest.settled, 'failed');
      assert.ok((await drain(reader)).equals(LAYER.bytes.subarray(3 * MiB)));
    });
  }
});
