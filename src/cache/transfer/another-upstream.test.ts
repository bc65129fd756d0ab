import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type CacheWorld, cacheWorld, drain, LIBRARY, readUntilItEnds } from '../../../test/support/cache-world.ts';
import { bodyOf, CuedBody, type Delivery } from '../../../test/support/fake-origin.ts';
import { buildImage, type Content } from '../../../test/support/image.ts';
import { isOriginFailure } from '../../oci/index.ts';
import { HELD_BACK } from './policy.ts';

const IMAGE = buildImage({ architectures: ['amd64'], layers: [2 * HELD_BACK] });
const LAYER = IMAGE.platforms[0]?.layers[0] as Content;

/** Two upstreams, of which the first gives the layer in its own way; a manifest has named the layer. */
async function twoUpstreams(t: TestContext, hot: (offset: number) => Omit<Delivery, 'upstream' | 'giveUp'>) {
  const world = await cacheWorld(t);
  const manifest = IMAGE.platforms[0]?.manifest as Content;
  world.origin.addManifest(LIBRARY, manifest);
  world.origin.addBlobs(LIBRARY, LAYER);
  await world.cache.manifest(LIBRARY, { kind: 'digest', digest: manifest.digest }, {});
  const asked: string[] = [];
  const givenUp: string[] = [];
  world.origin.deliver = ({ offset }) => {
    const upstream = givenUp.includes('hot') ? 'cold' : 'hot';
    asked.push(`${upstream} ${offset}`);
    const giveUp = (): void => void givenUp.push(upstream);
    const delivery = upstream === 'hot' ? hot(offset) : { body: bodyOf(LAYER.bytes.subarray(offset)) };
    return { ...delivery, upstream, giveUp };
  };
  return { ...world, asked, givenUp };
}

async function assertWhole(world: Pick<CacheWorld, 'cache'>): Promise<void> {
  const { reader, size } = await world.cache.blob(LIBRARY, LAYER.digest, {});
  assert.equal(size, LAYER.size);
  assert.ok((await drain(reader)).equals(LAYER.bytes));
}

const page = Buffer.from('<html>log in</html>');

describe('a first upstream that gives a blob wrongly', () => {
  const wrong: readonly [why: string, hot: (offset: number) => Omit<Delivery, 'upstream' | 'giveUp'>][] = [
    ['a page that says how long it is', () => ({ body: bodyOf(page), size: page.length })],
    ['a page that does not', (offset) => ({ body: bodyOf(page.subarray(offset)), size: null })],
    ['nothing, and says so', () => ({ body: bodyOf(Buffer.alloc(0)), size: 0 })],
    ['nothing', () => ({ body: new CuedBody().cut() })],
    ['more than the manifest says', () => ({ body: bodyOf(LAYER.bytes), size: LAYER.size + 1 })],
    ['a short body', (offset) => ({ body: bodyOf(LAYER.bytes.subarray(offset, 1000)) })],
    ['a body from elsewhere', () => ({ body: bodyOf(LAYER.bytes), offset: 7 })],
  ];
  for (const [why, hot] of wrong) {
    test(`${why}: the next is asked within the same request`, async (t) => {
      const world = await twoUpstreams(t, hot);
      await assertWhole(world);
      assert.equal(world.asked.at(-1), 'cold 0');
      assert.deepEqual(world.givenUp, ['hot']);
    });
  }

  test('a body that always breaks at the same place is continued by the next', async (t) => {
    const world = await twoUpstreams(t, (offset) => {
      const body = new CuedBody();
      if (offset === 0) body.send(LAYER.bytes.subarray(0, HELD_BACK + 10));
      return { body: body.cut() };
    });
    const { reader } = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.ok((await drain(reader)).equals(LAYER.bytes));
    assert.equal(world.asked.at(-1), `cold ${HELD_BACK + 10}`);
  });

  test('other bytes of the right number are cut, and the next request asks the next', async (t) => {
    const world = await twoUpstreams(t, () => ({ body: bodyOf(Buffer.alloc(LAYER.size, 'W'), 10_000) }));
    const first = await readUntilItEnds((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    assert.ok(first.bytes.length > 0 && first.bytes.length < LAYER.size);
    assert.match(String(first.error), /have the digest/);
    await assertWhole(world);
    assert.deepEqual(world.asked, ['hot 0', 'cold 0']);
  });

  test('the one whose bytes came first is given up where a mixture is wrong', async (t) => {
    const world = await twoUpstreams(t, (offset) => {
      const body = new CuedBody();
      if (offset === 0) body.send(Buffer.alloc(HELD_BACK + 10, 'W'));
      return { body: body.cut() };
    });
    const { error } = await readUntilItEnds((await world.cache.blob(LIBRARY, LAYER.digest, {})).reader);
    assert.match(String(error), /have the digest/);
    assert.deepEqual(world.givenUp, ['hot', 'hot']);
    await assertWhole(world);
  });

  test('of a mixture of segments the one that was asked besides the first is given up', async (t) => {
    const splitOf = () => ({ connections: 4, minSegment: 100_000, mostOfUpstream: 8 });
    const world = await cacheWorld(t, { splitOf });
    world.origin.addBlobs(LIBRARY, LAYER);
    const front = new CuedBody();
    const givenUp: string[] = [];
    let isLying = true;
    world.origin.deliver = ({ offset, end = LAYER.size - 1 }) => {
      if (!isLying) return undefined;
      const upstream = offset === 0 ? 'hot' : 'cold';
      const wrong = bodyOf(Buffer.alloc(end + 1 - offset, 'W'));
      return { upstream, giveUp: () => givenUp.push(upstream), size: LAYER.size, body: offset === 0 ? front : wrong };
    };
    const whole = await world.cache.blob(LIBRARY, LAYER.digest, {});
    const part = await world.cache.blob(LIBRARY, LAYER.digest, { range: 'bytes=100000-' });
    assert.equal((await drain(part.reader)).length, LAYER.size - 100_000);
    const read = readUntilItEnds(whole.reader);
    front.send(LAYER.bytes.subarray(0, 100_000));
    const { bytes, error } = await read;
    assert.match(String(error), /have the digest/);
    assert.ok(bytes.length < LAYER.size);
    assert.deepEqual(givenUp, ['cold']);
    isLying = false;
    await assertWhole(world);
  });

  test('a size that no manifest confirms is not changed once it was told', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, LAYER);
    let isGivenUp = false;
    const giveUp = (): void => {
      isGivenUp = true;
    };
    world.origin.deliver = () => ({
      ...(isGivenUp ? { body: bodyOf(LAYER.bytes) } : { body: bodyOf(page), size: page.length }),
      giveUp,
    });
    const answer = await world.cache.blob(LIBRARY, LAYER.digest, {});
    assert.equal(answer.size, page.length);
    const { bytes, error } = await readUntilItEnds(answer.reader);
    assert.equal(bytes.length, 0);
    assert.ok(isOriginFailure(error) && error.another === true, 'the request may be repeated at once');
    await assertWhole(world);
  });
});
