import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type CacheWorld, cacheWorld, LIBRARY, settle, type WorldOptions } from '../../../test/support/cache-world.ts';
import { FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { smallImage } from '../../../test/support/small-image.ts';
import type { Reference } from '../../oci/index.ts';

const OLD = smallImage('old', []);
const NEW = smallImage('new', []);
const LATEST: Reference = { kind: 'tag', tag: 'latest' };
const START = 1_700_000_000_000;

interface TagWorld extends CacheWorld {
  readonly clock: { now: number };
  /** Lets the tag point to the new image. */
  move(): void;
}

/** A world that has pulled OLD as `latest`, and has to ask again each time. */
async function pulledWorld(t: TestContext, options: WorldOptions = {}): Promise<TagWorld> {
  const clock = { now: START };
  const tags = { freshFor: 0, staleAfter: 30 };
  const world = await cacheWorld(t, { tags, now: () => clock.now, ...options });
  world.origin.addManifest(LIBRARY, OLD.manifest, 'latest');
  await pull(world);
  world.origin.calls.length = 0;
  return { ...world, clock, move: () => world.origin.addManifest(LIBRARY, NEW.manifest, 'latest') };
}

const pull = (world: CacheWorld, reference: Reference = LATEST) => world.cache.manifest(LIBRARY, reference, {});
const head = (world: CacheWorld) => world.cache.manifest(LIBRARY, LATEST, { head: true });

/** Lets every question fail from now on. */
function fail(world: CacheWorld, ...failure: ConstructorParameters<typeof FakeFailure>): void {
  world.origin.before = () => {
    throw new FakeFailure(...failure);
  };
}

describe('an upstream that takes its time', () => {
  test('is waited for so long and no longer; a later request does not wait at all', async (t) => {
    const world = await pulledWorld(t, { tags: { freshFor: 0, staleAfter: 500 } });
    const gate = new Gate();
    world.origin.before = () => gate.pass();
    const late = await pull(world);
    assert.deepEqual([late.outcome, late.digest, late.checkedAt], ['STALE', OLD.manifest.digest, START]);
    assert.match(String(late.warning), /has not answered within 0\.5 s; serving what/);
    const startedAt = performance.now();
    for (let i = 0; i < 5; i += 1) assert.equal((await (i % 2 === 0 ? head : pull)(world)).outcome, 'STALE');
    assert.ok(performance.now() - startedAt < 400, 'the wait began with the question');
    assert.equal(world.origin.count(), 1);
    // The question goes on, and its answer counts.
    world.move();
    gate.open();
    await settle();
    assert.equal((await pull(world)).digest, NEW.manifest.digest);
  });

  test('and fails in the end is asked again behind what is here, and believed as soon as it answers', async (t) => {
    const world = await pulledWorld(t);
    const silence = new Gate();
    world.origin.before = async () => {
      await silence.pass();
      throw new FakeFailure('unavailable');
    };
    assert.match(String((await pull(world)).warning), /has not answered within/);
    silence.open();
    await settle();
    world.clock.now += 5000;
    const again = new Gate();
    world.origin.before = () => again.pass();
    for (let i = 0; i < 3; i += 1) {
      const stale = await pull(world);
      assert.equal(stale.outcome, 'STALE');
      assert.doesNotMatch(String(stale.warning), /has not answered within/, 'it was waited for once');
    }
    assert.equal(world.origin.count(), 2);
    world.move();
    again.open();
    await settle();
    assert.equal((await pull(world)).digest, NEW.manifest.digest);
  });

  test('makes no request wait for its other tags', async (t) => {
    const world = await pulledWorld(t);
    const other: Reference = { kind: 'tag', tag: 'other' };
    world.origin.addManifest(LIBRARY, NEW.manifest, 'other');
    await pull(world, other);
    const silence = new Gate();
    world.origin.before = () => silence.pass();
    assert.match(String((await pull(world)).warning), /has not answered within/);
    assert.match(String((await pull(world, other)).warning), /has not answered lately/);
    silence.open();
    await settle();
    world.origin.before = () => undefined;
    assert.equal((await pull(world, other)).outcome, 'REVALIDATED', 'it has spoken again');
  });

  test('is waited for where nothing older is here', async (t) => {
    const world = await cacheWorld(t, { tags: { staleAfter: 1 } });
    world.origin.addManifest(LIBRARY, OLD.manifest, 'latest');
    const gate = new Gate();
    world.origin.before = () => gate.pass();
    const asked = pull(world);
    await new Promise((resolve) => setTimeout(resolve, 10));
    gate.open();
    assert.equal((await asked).outcome, 'MISS');
  });

  test('and then says no is not served for again, however long it thinks the next time', async (t) => {
    const world = await pulledWorld(t);
    const gate = new Gate();
    world.origin.before = async () => {
      await gate.pass();
      throw new FakeFailure('denied');
    };
    assert.equal((await pull(world)).outcome, 'STALE', 'it is not known yet');
    gate.open();
    await settle();
    const again = new Gate();
    world.origin.before = async () => {
      await again.pass();
      throw new FakeFailure('denied');
    };
    const asked = pull(world);
    await again.reached;
    setTimeout(() => again.open(), 60);
    await assert.rejects(asked, { kind: 'denied' });
  });
});

describe('an upstream that fails', () => {
  test('is asked again after 5 s, then after 10, and each time by one only', async (t) => {
    const world = await pulledWorld(t);
    fail(world, 'unavailable');
    const questions: number[] = [];
    for (let second = 0; second < 60; second += 1) {
      await Promise.all(
        Array.from({ length: 10 }, () => pull(world).then(({ outcome }) => assert.equal(outcome, 'STALE'))),
      );
      questions.push(world.origin.count());
      world.clock.now += 1000;
    }
    // At 0, 5, 15 and 35 s.
    assert.deepEqual([questions[0], questions[4], questions[5], questions[14], questions[15]], [1, 1, 2, 2, 3]);
    assert.equal(questions.at(-1), 4);
  });

  test('and comes back is believed at the next question, and forgiven', async (t) => {
    const world = await pulledWorld(t);
    fail(world, 'unavailable');
    await pull(world);
    world.clock.now += 5000;
    world.origin.before = () => {};
    assert.equal((await pull(world)).outcome, 'REVALIDATED');
    fail(world, 'unavailable');
    await pull(world);
    const asked = world.origin.count();
    world.clock.now += 5000;
    await pull(world);
    assert.equal(world.origin.count(), asked + 1, 'it begins with 5 s again');
  });

  test('is asked each time where nothing is here', async (t) => {
    const world = await cacheWorld(t);
    fail(world, 'throttled');
    for (let i = 0; i < 3; i += 1) await assert.rejects(pull(world), { kind: 'throttled' });
    assert.equal(world.origin.count(), 3);
  });
});

describe('a tag that has moved to what cannot be had', () => {
  for (const kind of ['unavailable', 'throttled', 'not-found', 'invalid'] as const) {
    test(`is the old one for HEAD and GET alike, where that is ${kind}`, async (t) => {
      const world = await pulledWorld(t);
      world.move();
      world.origin.before = ({ method }) => {
        if (method === 'getManifest') throw new FakeFailure(kind);
      };
      for (const answer of [await head(world), await pull(world), await head(world)]) {
        assert.deepEqual([answer.outcome, answer.digest], ['STALE', OLD.manifest.digest]);
      }
    });
  }

  test('is where its GET says, where there is nothing by the digest its HEAD names', async (t) => {
    const world = await pulledWorld(t);
    const ask = world.origin.headManifest.bind(world.origin);
    const { digest } = smallImage('nowhere', []).manifest;
    world.origin.headManifest = async (...asked) => ({ ...(await ask(...asked)), digest });
    const same = await pull(world);
    assert.deepEqual([same.outcome, same.digest], ['REVALIDATED', OLD.manifest.digest]);
    world.move();
    const moved = await pull(world);
    assert.deepEqual([moved.outcome, moved.digest], ['MISS', NEW.manifest.digest]);
    assert.ok(moved.bytes?.equals(NEW.manifest.bytes));
  });

  test('is refused where that is refused', async (t) => {
    const world = await pulledWorld(t);
    world.move();
    world.origin.before = ({ method }) => {
      if (method === 'getManifest') throw new FakeFailure('denied');
    };
    await assert.rejects(head(world), { kind: 'denied' });
    await assert.rejects(pull(world), { kind: 'denied' });
  });
});

describe('an upstream that has it no more', () => {
  test('is believed, and asked again after a while', async (t) => {
    const world = await pulledWorld(t);
    fail(world, 'not-found');
    for (let i = 0; i < 5; i += 1) await assert.rejects(pull(world), { kind: 'not-found' });
    assert.equal(world.origin.count(), 1);
    world.clock.now += 10_000;
    world.origin.before = () => {};
    assert.equal((await pull(world)).outcome, 'REVALIDATED');
  });

  test('is not believed where the operator says so', async (t) => {
    const world = await pulledWorld(t, { tags: { freshFor: 0, staleOnNotFound: true } });
    fail(world, 'not-found');
    assert.deepEqual([(await pull(world)).outcome, (await head(world)).outcome], ['STALE', 'STALE']);
    await assert.rejects(pull(world, { kind: 'tag', tag: 'never-heard-of' }), { kind: 'not-found' });
  });

  test('is asked each time where "not found" is not to be remembered', async (t) => {
    const world = await cacheWorld(t, { notFoundFor: 0 });
    for (let i = 0; i < 3; i += 1) await assert.rejects(pull(world), { kind: 'not-found' });
    assert.equal(world.origin.count(), 3);
  });

  test('is asked once for many who want what is not there, by tag and by digest', async (t) => {
    const world = await cacheWorld(t);
    const digest: Reference = { kind: 'digest', digest: NEW.manifest.digest };
    for (let i = 0; i < 5; i += 1) {
      await assert.rejects(pull(world), { kind: 'not-found' });
      await assert.rejects(head(world), { kind: 'not-found' });
      await assert.rejects(pull(world, digest), { kind: 'not-found' });
    }
    assert.equal(world.origin.count(), 2);
    // A refresh does not wait for it to be forgotten.
    world.origin.addManifest(LIBRARY, NEW.manifest, 'latest');
    const [refreshed] = await world.cache.refresh([{ repository: 'docker.io/library/app', tag: 'latest' }]);
    assert.equal(refreshed?.after, NEW.manifest.digest);
    assert.equal((await pull(world)).outcome, 'HIT');
  });
});

describe('refresh()', () => {
  test('says where each known tag pointed and points, and brings what moved', async (t) => {
    const world = await pulledWorld(t, { tags: { freshFor: 1e9 } });
    world.origin.addManifest(LIBRARY, OLD.manifest, 'still');
    world.origin.addManifest(LIBRARY, NEW.manifest, 'gone');
    await pull(world, { kind: 'tag', tag: 'still' });
    await pull(world, { kind: 'tag', tag: 'gone' });
    world.move();
    world.origin.before = ({ what }) => {
      if (what === 'gone') throw new FakeFailure('not-found');
    };
    const refreshed = await world.cache.refresh([{ repository: 'docker.io/**' }]);
    assert.deepEqual(
      refreshed
        .map(({ tag, before, after, error }) => [tag, before, after, error !== undefined] as const)
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
      [
        ['gone', undefined, undefined, true],
        ['latest', OLD.manifest.digest, NEW.manifest.digest, false],
        ['still', OLD.manifest.digest, OLD.manifest.digest, false],
      ],
    );
    const asked = world.origin.count();
    assert.ok((await pull(world)).bytes?.equals(NEW.manifest.bytes));
    assert.equal(world.origin.count(), asked);
  });

  test('asks an upstream that is being left in peace, and says what it says', async (t) => {
    const world = await pulledWorld(t);
    fail(world, 'unavailable');
    await pull(world);
    const [refreshed] = await world.cache.refresh([{ repository: 'docker.io/library/app', tag: 'latest' }]);
    assert.match(String(refreshed?.error), /unavailable/);
    assert.equal(world.origin.count(), 2);
  });
});
