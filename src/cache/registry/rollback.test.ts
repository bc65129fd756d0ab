import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type CacheWorld, cacheWorld, LIBRARY, settle } from '../../../test/support/cache-world.ts';
import { smallImage } from '../../../test/support/small-image.ts';
import { MemoryMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';

const OLD = smallImage('old', []);
const NEW = smallImage('new', []);
const LATEST = { kind: 'tag', tag: 'latest' } as const;

/** A world whose tag has moved from OLD to NEW, and is asked for each time. */
async function movedWorld(t: TestContext): Promise<CacheWorld> {
  const world = await cacheWorld(t, { tags: { freshFor: 0 } });
  for (const { manifest } of [OLD, NEW]) {
    world.origin.addManifest(LIBRARY, manifest, 'latest');
    await world.cache.manifest(LIBRARY, LATEST, {});
  }
  return world;
}

const rollback = ({ cache, origin }: CacheWorld, image = OLD) =>
  cache.rollback(
    { repository: LIBRARY, tag: 'latest', digest: image.manifest.digest },
    { originFor: () => origin.source },
  );

describe('a held tag', () => {
  test('is answered without a question to the upstream', async (t) => {
    const world = await movedWorld(t);
    const { current, parts } = await rollback(world);
    assert.equal(current, NEW.manifest.digest);
    assert.deepEqual(parts, { manifest: true, stored: 0, named: 1 });
    world.origin.calls.length = 0;
    for (const head of [true, false]) {
      const answer = await world.cache.manifest(LIBRARY, LATEST, { head });
      assert.deepEqual([answer.digest, answer.outcome, answer.checkedAt], [OLD.manifest.digest, 'HIT', undefined]);
      assert.match(answer.warning ?? '', /^held at sha256:\w{64} by the operator of this mirror$/);
    }
    assert.equal(world.origin.count(), 0);
  });

  test('is never answered with another digest, by HEAD or GET, where its own is lost everywhere', async (t) => {
    const world = await movedWorld(t);
    await rollback(world);
    await world.store.delete(OLD.manifest.digest);
    const { store, metadata } = world;
    // Nothing is in the memory of the next one, and its upstream has the new manifest alone.
    const next = await cacheWorld(t, { store, metadata, tags: { freshFor: 0 } });
    next.origin.addManifest(LIBRARY, NEW.manifest, 'latest');
    for (const head of [true, false]) {
      await assert.rejects(next.cache.manifest(LIBRARY, LATEST, { head }), { kind: 'not-found' });
    }
    next.origin.addManifest(LIBRARY, OLD.manifest, 'old');
    next.cache.clearFailures();
    for (const head of [true, false]) {
      assert.equal((await next.cache.manifest(LIBRARY, LATEST, { head })).digest, OLD.manifest.digest);
    }
  });

  test('keeps its bytes through a purge of the digest, also where no repository lists them any more', async (t) => {
    const world = await movedWorld(t);
    await rollback(world);
    const { digest } = OLD.manifest;
    await world.metadata.deleteMembers(LIBRARY, [digest]);
    const purged = await world.cache.purge([{ digest }]);
    assert.equal(purged.blobs, 0);
    assert.ok((await world.store.stat(digest)) !== undefined);
  });

  test('is held in the database that replaces a damaged one', async (t) => {
    const telemetry = new Telemetry();
    const world = await cacheWorld(t, { tags: { freshFor: 0 }, telemetry });
    world.origin.addManifest(LIBRARY, OLD.manifest, 'latest');
    await world.cache.manifest(LIBRARY, LATEST, {});
    await rollback(world);
    await world.metadata.deleteHold(LIBRARY, 'latest');
    telemetry.publish('names.recovered', { found: 'it is damaged', source: 'nothing' });
    await settle();
    assert.equal((await world.metadata.listHolds()).length, 1);
  });

  test('is refused where nothing is kept', async (t) => {
    const world = await movedWorld(t);
    world.cache.reconfigure({ keep: true, tags: 'never' });
    await assert.rejects(rollback(world), { name: 'HoldError', message: /cache\.tags: never/ });
  });

  test('is refused where too many are held', async (t) => {
    const world = await movedWorld(t);
    assert.ok(world.metadata instanceof MemoryMetadataStore);
    t.mock.method(world.metadata, 'putHold', () => Promise.resolve(false));
    await assert.rejects(rollback(world), { name: 'HoldError', message: /too many tags are held/ });
    assert.deepEqual(await world.cache.holds(), []);
  });
});
