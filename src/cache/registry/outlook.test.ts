import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cacheWorld, drain, ELSEWHERE, LIBRARY, type WorldOptions } from '../../../test/support/cache-world.ts';
import { smallImage, smallLayer } from '../../../test/support/small-image.ts';

const LATEST = { kind: 'tag', tag: 'latest' } as const;
const MINUTE = 60_000;
const START = 1_700_000_000_000;
const LAYER = smallLayer('layer');
const IMAGE = smallImage('image', [LAYER]);
const NEXT = smallImage('next', [LAYER]);
const NOTHING = {
  digest: undefined,
  parts: undefined,
  checkedAt: undefined,
  freshUntil: undefined,
  hold: undefined,
  cooling: undefined,
};

async function world(t: Parameters<typeof cacheWorld>[0], options: WorldOptions = {}) {
  const clock = { now: START };
  const made = await cacheWorld(t, { now: () => clock.now, tags: { freshFor: MINUTE }, ...options });
  made.origin.addManifest(LIBRARY, IMAGE.manifest, 'latest');
  made.origin.addBlobs(LIBRARY, IMAGE.config, LAYER);
  const pull = () => made.cache.manifest(LIBRARY, LATEST, {});
  return { ...made, clock, pull };
}

describe('the outlook of', () => {
  test('what was never pulled is empty', async (t) => {
    const { cache } = await world(t);
    const { digest } = IMAGE.manifest;
    assert.deepEqual(await cache.outlook(LIBRARY, LATEST), { keepsManifests: true, ...NOTHING });
    assert.deepEqual(await cache.outlook(LIBRARY, { kind: 'digest', digest }), { keepsManifests: true, ...NOTHING });
  });

  test('a tag says what is stored, and until when no upstream is asked', async (t) => {
    const { cache, pull, origin, clock } = await world(t);
    await pull();
    const asked = origin.count();
    const { digest } = IMAGE.manifest;
    const expected = { keepsManifests: true, ...NOTHING, digest, checkedAt: START, freshUntil: START + MINUTE };
    assert.deepEqual(await cache.outlook(LIBRARY, LATEST), {
      ...expected,
      parts: { manifest: true, stored: 0, named: 2 },
    });
    for (const part of [IMAGE.config, LAYER]) {
      const { reader } = await cache.blob(LIBRARY, part.digest, {});
      await drain(reader);
    }
    clock.now += 2 * MINUTE;
    assert.deepEqual(await cache.outlook(LIBRARY, LATEST), {
      ...expected,
      parts: { manifest: true, stored: 2, named: 2 },
    });
    assert.equal(origin.count(), asked + 2, 'an outlook asks no upstream');
  });

  test('a digest is that of its own repository alone', async (t) => {
    const { cache, pull } = await world(t);
    await pull();
    const { digest } = IMAGE.manifest;
    const parts = { manifest: true, stored: 0, named: 2 };
    const reference = { kind: 'digest', digest } as const;
    assert.deepEqual(await cache.outlook(LIBRARY, reference), { keepsManifests: true, ...NOTHING, digest, parts });
    assert.equal((await cache.outlook(ELSEWHERE, reference)).digest, undefined);
    assert.equal((await cache.outlook(LIBRARY, { kind: 'digest', digest: LAYER.digest })).digest, undefined);
  });

  test('a held tag is its hold', async (t) => {
    const { cache, pull, origin } = await world(t, { tags: { freshFor: 0 } });
    await pull();
    origin.addManifest(LIBRARY, NEXT.manifest, 'latest');
    await pull();
    const { digest } = IMAGE.manifest;
    const held = { repository: LIBRARY, tag: 'latest', digest, until: undefined, reason: 'broken' };
    await cache.rollback(held, { originFor: () => origin.source });
    const { hold, digest: found, freshUntil } = await cache.outlook(LIBRARY, LATEST);
    assert.deepEqual([hold?.digest, hold?.reason, found, freshUntil], [digest, 'broken', digest, undefined]);
    await cache.unhold(LIBRARY, 'latest');
    assert.equal((await cache.outlook(LIBRARY, LATEST)).digest, NEXT.manifest.digest);
  });

  test('a tag that cools down is the digest that clients get', async (t) => {
    const rules = [{ match: '**:latest', cooldown: MINUTE }];
    const { cache, pull, origin, clock } = await world(t, { tags: { freshFor: 0, rules } });
    await pull();
    clock.now += 2 * MINUTE;
    origin.addManifest(LIBRARY, NEXT.manifest, 'latest');
    const answer = await pull();
    const outlook = await cache.outlook(LIBRARY, LATEST);
    assert.equal(outlook.digest, answer.digest);
    assert.equal(outlook.digest, IMAGE.manifest.digest);
    assert.deepEqual(outlook.cooling, { digest: NEXT.manifest.digest, until: clock.now + MINUTE });
    clock.now += MINUTE;
    assert.equal((await cache.outlook(LIBRARY, LATEST)).digest, NEXT.manifest.digest);
  });

  test('a cache that keeps no manifests is empty', async (t) => {
    const { cache, pull } = await world(t, { tags: 'never' });
    await pull();
    assert.deepEqual(await cache.outlook(LIBRARY, LATEST), { keepsManifests: false, ...NOTHING });
  });
});
