import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CacheWorld, cacheWorld, drain, LIBRARY, type Scope } from '../../test/support/cache-world.ts';
import { CuedBody, FakeFailure, FakeOrigin, Gate } from '../../test/support/fake-origin.ts';
import { buildImage, platformOf } from '../../test/support/image.ts';
import { MEDIA_TYPES, type Reference } from '../oci/index.ts';

const OLD = buildImage({ seed: 'negotiated', layers: [1000], format: 'docker' });
const LATEST: Reference = { kind: 'tag', tag: 'latest' };
const NOW = 1_700_000_000_000;

/** A world whose upstream is asked where `latest` points to every time. */
async function imageWorld(scope: Scope): Promise<CacheWorld> {
  const world = await cacheWorld(scope, { tags: { freshFor: 0 }, now: () => NOW });
  for (const manifest of OLD.manifests) world.origin.addManifest(LIBRARY, manifest);
  world.origin.addManifest(LIBRARY, OLD.index, 'latest');
  return world;
}

describe('a client that knows no manifest list', () => {
  const accept = `${MEDIA_TYPES.dockerManifest}, ${MEDIA_TYPES.ociManifest}`;

  test('gets the image of linux/amd64 for a tag, GET and HEAD alike', async (t) => {
    const world = await imageWorld(t);
    const { manifest } = platformOf(OLD, 'amd64');
    const first = await world.cache.manifest(LIBRARY, LATEST, { accept, head: true });
    const got = await world.cache.manifest(LIBRARY, LATEST, { accept });
    const then = await world.cache.manifest(LIBRARY, LATEST, { accept, head: true });
    for (const answer of [first, got, then]) {
      assert.deepEqual(
        [answer.digest, answer.mediaType, answer.size, answer.checkedAt],
        [manifest.digest, manifest.mediaType, manifest.size, NOW],
      );
    }
    assert.ok(got.bytes?.equals(manifest.bytes));
  });

  test('gets what it asked for by digest, whatever that is: other bytes would have another digest', async (t) => {
    const world = await imageWorld(t);
    for (const isHead of [true, false]) {
      const answer = await world.cache.manifest(
        LIBRARY,
        { kind: 'digest', digest: OLD.index.digest },
        { accept, head: isHead },
      );
      assert.equal(answer.digest, OLD.index.digest);
    }
  });

  test('gets an OCI index as it is: only Docker’s list is replaced', async (t) => {
    const oci = buildImage({ seed: 'oci', layers: [10] });
    const world = await cacheWorld(t);
    world.origin.addManifest(LIBRARY, oci.index, 'latest');
    for (const types of [accept, MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerManifest, 'application/json']) {
      for (const head of [true, false]) {
        const answer = await world.cache.manifest(LIBRARY, LATEST, { accept: types, head });
        assert.deepEqual([answer.digest, answer.mediaType], [oci.index.digest, MEDIA_TYPES.ociIndex]);
      }
    }
  });

  test('gets the list where there is no image for it, or it takes anything', async (t) => {
    const arm = buildImage({ seed: 'arm', layers: [10], architectures: ['arm64'], format: 'docker' });
    const world = await cacheWorld(t);
    world.origin.addManifest(LIBRARY, arm.index, 'latest');
    assert.equal((await world.cache.manifest(LIBRARY, LATEST, { accept })).digest, arm.index.digest);
    assert.equal((await world.cache.manifest(LIBRARY, LATEST, { accept: '*/*' })).digest, arm.index.digest);
    assert.equal((await world.cache.manifest(LIBRARY, LATEST, { accept: undefined })).digest, arm.index.digest);
  });

  test('is told of a stale answer as everyone is', async (t) => {
    const world = await imageWorld(t);
    await world.cache.manifest(LIBRARY, LATEST, { accept });
    world.origin.before = () => {
      throw new FakeFailure('unavailable');
    };
    const answer = await world.cache.manifest(LIBRARY, LATEST, { accept });
    assert.equal(answer.outcome, 'STALE');
    assert.match(String(answer.warning), /serving what/);
  });
});

test('what is without a cache is passed on, and not kept', async (t) => {
  const world = await cacheWorld(t, { keep: false });
  world.origin.addManifest(LIBRARY, OLD.index, 'latest');
  assert.equal((await world.cache.manifest(LIBRARY, LATEST, {})).outcome, 'PASS');
  assert.equal((await world.cache.manifest(LIBRARY, LATEST, {})).outcome, 'PASS');
  assert.equal(world.origin.count(), 2);
  assert.equal(world.store.begun, 0);
});

describe('a request after a reload', () => {
  test('joins a transfer that keeps the origin it was started with, also when it resumes', async (t) => {
    const world = await cacheWorld(t);
    const later = new FakeOrigin();
    const layer = platformOf(OLD, 'amd64').layers[0] ?? assert.fail('the image has no layer');
    world.origin.addBlobs(LIBRARY, layer);
    const bodies = [new CuedBody(), new CuedBody()];
    world.origin.deliver = () => ({
      body: bodies[world.origin.count('openBlob') - 1] ?? new CuedBody(),
      size: layer.size,
    });
    const first = await world.cache.blob(LIBRARY, layer.digest, {});
    const second = await world.cache.blob(LIBRARY, layer.digest, { origin: later.source });
    assert.equal(second.outcome, 'JOIN');
    bodies[0]?.send(layer.bytes.subarray(0, 400)).cut();
    bodies[1]?.send(layer.bytes.subarray(400)).end();
    for (const { reader } of [first, second]) assert.ok((await drain(reader)).equals(layer.bytes));
    assert.deepEqual([world.origin.count('openBlob'), later.count()], [2, 0]);
  });

  test('shares a revalidation that fetches from the origin it was started with', async (t) => {
    const world = await imageWorld(t);
    const later = new FakeOrigin();
    const gate = new Gate();
    world.origin.before = (call) => (call.what === 'latest' ? gate.pass() : undefined);
    const first = world.cache.manifest(LIBRARY, LATEST, {});
    await gate.reached;
    const second = world.cache.manifest(LIBRARY, LATEST, { origin: later.source });
    gate.open();
    assert.deepEqual([(await first).digest, (await second).digest], [OLD.index.digest, OLD.index.digest]);
    assert.equal(later.count(), 0);
    await assert.rejects(world.cache.manifest(LIBRARY, LATEST, { origin: later.source }), { kind: 'not-found' });
    assert.deepEqual(later.methods(), ['headManifest']);
  });
});
