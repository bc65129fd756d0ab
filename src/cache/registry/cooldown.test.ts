import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type CacheWorld, cacheWorld, LIBRARY, type WorldOptions } from '../../../test/support/cache-world.ts';
import { FakeFailure } from '../../../test/support/fake-origin.ts';
import { smallImage } from '../../../test/support/small-image.ts';

const [FIRST, SECOND, THIRD] = ['first', 'second', 'third'].map((seed) => smallImage(seed, [])) as [
  ReturnType<typeof smallImage>,
  ReturnType<typeof smallImage>,
  ReturnType<typeof smallImage>,
];
const DAY = 24 * 3_600_000;
const WEEK = 7 * DAY;
const START = 1_700_000_000_000;

interface CoolWorld extends CacheWorld {
  readonly clock: { now: number };
  /** Lets the tag point to an image, and pulls it so that the move is seen. */
  move(image: typeof FIRST): Promise<unknown>;
}

async function coolWorld(t: TestContext, options: WorldOptions = {}): Promise<CoolWorld> {
  const clock = { now: START };
  const tags = { freshFor: 0, rules: [{ match: '**:latest', cooldown: WEEK }] };
  const world = await cacheWorld(t, { tags, now: () => clock.now, ...options });
  const move = (image: typeof FIRST) => {
    world.origin.addManifest(LIBRARY, image.manifest, 'latest');
    return pull(world);
  };
  return { ...world, clock, move };
}

const pull = ({ cache }: CacheWorld, head = false) => cache.manifest(LIBRARY, { kind: 'tag', tag: 'latest' }, { head });

/** That HEAD and GET answer with an image, cooling or not. */
async function assertServes(world: CacheWorld, image: typeof FIRST, warning: RegExp | undefined): Promise<void> {
  for (const head of [true, false]) {
    const answer = await pull(world, head);
    assert.equal(answer.digest, image.manifest.digest);
    if (!head) assert.ok(answer.bytes?.equals(image.manifest.bytes));
    assert.equal(answer.cooling === undefined, warning === undefined);
    if (warning === undefined) assert.equal(answer.warning, undefined);
    else assert.match(answer.warning ?? '', warning);
  }
}

describe('a tag with a cooldown', () => {
  test('answers with the newest digest that is old enough', async (t) => {
    const world = await coolWorld(t);
    await world.move(FIRST);
    await assertServes(world, FIRST, /younger than its cooldown until .*; no older digest of it can be had$/);
    world.clock.now += WEEK;
    await assertServes(world, FIRST, undefined);
    await world.move(SECOND);
    await assertServes(
      world,
      FIRST,
      /^the tag points to sha256:\w+, which is younger .*; serving the newest digest that is/,
    );
    assert.deepEqual((await pull(world)).cooling, { digest: SECOND.manifest.digest, until: START + 2 * WEEK });
    world.clock.now += DAY;
    await world.move(THIRD);
    world.clock.now += WEEK - DAY;
    await assertServes(world, SECOND, /serving the newest digest that is older/);
    world.clock.now += DAY;
    await assertServes(world, THIRD, undefined);
    const { manifest } = FIRST;
    const byDigest = await world.cache.manifest(LIBRARY, { kind: 'digest', digest: manifest.digest }, {});
    assert.equal(byDigest.warning, undefined);
  });

  test('leaves other tags, and digests that are young, as they are', async (t) => {
    const world = await coolWorld(t);
    await world.move(FIRST);
    world.clock.now += WEEK;
    await world.move(SECOND);
    const { digest } = SECOND.manifest;
    const young = await world.cache.manifest(LIBRARY, { kind: 'digest', digest }, {});
    assert.deepEqual([young.digest, young.warning], [digest, undefined]);
    world.origin.addManifest(LIBRARY, SECOND.manifest, 'other');
    const other = await world.cache.manifest(LIBRARY, { kind: 'tag', tag: 'other' }, {});
    assert.deepEqual([other.digest, other.warning, other.cooling], [digest, undefined, undefined]);
  });

  test('keeps the aged digest through an eviction and an outage, and refuses what the upstream refuses', async (t) => {
    const world = await coolWorld(t);
    await world.move(FIRST);
    world.clock.now += WEEK;
    await world.move(SECOND);
    await world.cache.collect({ maxSize: 0 });
    assert.ok((await world.store.stat(FIRST.manifest.digest)) !== undefined);
    // The young one too: the tag is answered from it while its upstream is down.
    assert.ok((await world.store.stat(SECOND.manifest.digest)) !== undefined);
    await assertServes(world, FIRST, /serving the newest digest/);
    world.origin.before = () => {
      throw new FakeFailure('unavailable');
    };
    await assertServes(world, FIRST, /^fake is unavailable; .*; serving the newest digest/);
    world.cache.clearFailures();
    world.origin.before = () => {
      throw new FakeFailure('denied');
    };
    for (const head of [true, false]) await assert.rejects(pull(world, head), { kind: 'denied' });
  });

  test('answers with the young digest where the aged one is lost everywhere', async (t) => {
    const world = await coolWorld(t);
    await world.move(FIRST);
    world.clock.now += WEEK;
    await world.move(SECOND);
    await world.store.delete(FIRST.manifest.digest);
    const { store, metadata, clock } = world;
    const next = await coolWorld(t, { store, metadata, now: () => clock.now });
    next.origin.addManifest(LIBRARY, SECOND.manifest, 'latest');
    await assertServes(next, SECOND, /no older digest of it can be had$/);
  });

  test('answers with the digest of its hold while it is held', async (t) => {
    const world = await coolWorld(t);
    for (const image of [FIRST, SECOND]) {
      await world.move(image);
      world.clock.now += WEEK;
    }
    await world.move(THIRD);
    const originFor = () => world.origin.source;
    await world.cache.rollback({ repository: LIBRARY, tag: 'latest', digest: FIRST.manifest.digest }, { originFor });
    const held = await pull(world);
    assert.deepEqual([held.digest, held.cooling], [FIRST.manifest.digest, undefined]);
    await world.cache.unhold(LIBRARY, 'latest');
    await assertServes(world, SECOND, /serving the newest digest/);
  });
});
