import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { cacheWorld, LIBRARY, readUntilItEnds, settle } from '../../../test/support/cache-world.ts';
import { bodyOf, CuedBody } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';

const BLOB = content('layer', noise('overlap', 400_000));
const splitOf = () => ({ connections: 4, minSegment: 20_000, mostOfUpstream: 0 });

/** A part that goes over a short span that has come has written a piece of that; the front has caught up with it. */
async function overlapping(t: TestContext) {
  const world = await cacheWorld(t, { splitOf });
  world.origin.addBlobs(LIBRARY, BLOB);
  const bodies = new Map<number, CuedBody>();
  world.origin.deliver = ({ offset }) => {
    const asked = [0, 180_000, 100_000].includes(offset) && !bodies.has(offset);
    const body = new CuedBody();
    if (asked) bodies.set(offset, body);
    return { body: asked ? body : bodyOf(BLOB.bytes.subarray(offset)), size: BLOB.size };
  };
  const send = async (of: number, from: number, to: number, flipped?: number): Promise<void> => {
    const bytes = Buffer.from(BLOB.bytes.subarray(from, to));
    if (flipped !== undefined) bytes[flipped - from] = (bytes[flipped - from] ?? 0) ^ 1;
    bodies.get(of)?.send(bytes);
    if (to === BLOB.size) bodies.get(of)?.end();
    for (let turn = 0; turn < 20; turn += 1) await settle();
  };
  const whole = readUntilItEnds((await world.cache.blob(LIBRARY, BLOB.digest, {})).reader);
  await send(0, 0, 10);
  const short = await world.cache.blob(LIBRARY, BLOB.digest, { range: 'bytes=180000-199999' });
  const first = readUntilItEnds(short.reader);
  await settle();
  await send(180_000, 180_000, 200_000);
  assert.equal((await first).bytes.length, 20_000);
  const long = await world.cache.blob(LIBRARY, BLOB.digest, { range: 'bytes=100000-' });
  const part = readUntilItEnds(long.reader);
  await settle();
  await send(100_000, 100_000, 190_000);
  await send(0, 10, 100_000);
  return { ...world, send, whole, part };
}

describe('a part over a short span that has come', () => {
  test('is hashed as it is written: a wrong byte of it is never stored', async (t) => {
    const { send, whole, part, store } = await overlapping(t);
    await send(100_000, 190_000, 210_000, 195_000);
    await send(100_000, 210_000, BLOB.size);
    assert.match(String((await whole).error), /have the digest/);
    await part;
    assert.equal(await store.stat(BLOB.digest), undefined);
  });

  test('is continued by the front where it ends', async (t) => {
    const { send, whole, part } = await overlapping(t);
    await send(100_000, 190_000, 195_000);
    await send(100_000, 195_000, BLOB.size);
    assert.ok((await whole).bytes.equals(BLOB.bytes));
    assert.ok((await part).bytes.equals(BLOB.bytes.subarray(100_000)));
  });
});
