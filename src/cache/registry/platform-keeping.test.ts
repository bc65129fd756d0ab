import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CacheWorld, cacheWorld, drain, LIBRARY } from '../../../test/support/cache-world.ts';
import type { Content } from '../../../test/support/image.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { type SmallImage, smallImage, smallIndex, smallLayer } from '../../../test/support/small-image.ts';
import type { Reference } from '../../oci/index.ts';
import { MemoryMetadataStore } from '../../store/index.ts';

const common = smallLayer('common');
const AMD = smallImage('amd64', [common, smallLayer('amd64')]);
const ARM = smallImage('arm64', [common, smallLayer('arm64')]);
const INDEX = smallIndex({ 'linux/amd64': AMD, 'linux/arm64': ARM });
const LATEST: Reference = { kind: 'tag', tag: 'latest' };

function offer(world: CacheWorld): void {
  world.origin.addManifest(LIBRARY, INDEX, 'latest');
  for (const image of [AMD, ARM]) {
    world.origin.addManifest(LIBRARY, image.manifest);
    world.origin.addBlobs(LIBRARY, image.config, ...image.layers);
  }
}

async function pullBlob(world: CacheWorld, { digest, bytes }: Content): Promise<string> {
  const { reader, outcome } = await world.cache.blob(LIBRARY, digest, {});
  const finished = outcome === 'HIT' ? undefined : world.next('ingest.finished');
  assert.ok((await drain(reader)).equals(bytes));
  return (await finished)?.outcome ?? outcome;
}

async function pullPlatform(world: CacheWorld, image: SmallImage): Promise<readonly string[]> {
  const index = await world.cache.manifest(LIBRARY, LATEST, {});
  assert.ok(index.bytes?.equals(INDEX.bytes), 'the index stays as it is');
  const reference: Reference = { kind: 'digest', digest: image.manifest.digest };
  assert.ok((await world.cache.manifest(LIBRARY, reference, {})).bytes?.equals(image.manifest.bytes));
  const outcomes: string[] = [];
  for (const blob of [image.config, ...image.layers]) outcomes.push(await pullBlob(world, blob));
  return outcomes;
}

describe('a cache that keeps some platforms', () => {
  test('serves the others and keeps nothing of them', async (t) => {
    const world = await cacheWorld(t, { platforms: ['linux/amd64'] });
    offer(world);
    assert.deepEqual(await pullPlatform(world, ARM), ['streamed', 'streamed', 'streamed']);
    assert.deepEqual(await world.cache.totals(), { blobs: 1, bytes: INDEX.size });
    assert.deepEqual(await pullPlatform(world, ARM), ['streamed', 'streamed', 'streamed'], 'and again');
  });

  for (const order of ['kept first', 'kept last'] as const) {
    test(`keeps what both a kept and another one have, the ${order}`, async (t) => {
      const world = await cacheWorld(t, { platforms: ['linux/amd64'] });
      offer(world);
      for (const image of order === 'kept first' ? [AMD, ARM, ARM] : [ARM, AMD, ARM]) await pullPlatform(world, image);
      for (const { digest } of [INDEX, ...AMD.parts]) assert.notEqual(await world.store.stat(digest), undefined);
      for (const { digest } of [ARM.manifest, ARM.config, ARM.layers[1] as Content]) {
        assert.equal(await world.store.stat(digest), undefined);
      }
      assert.equal(await pullBlob(world, common), 'HIT');
    });
  }

  test('keeps what a tag points to itself, whatever it runs on', async (t) => {
    const world = await cacheWorld(t, { platforms: ['linux/amd64'] });
    offer(world);
    await world.cache.manifest(LIBRARY, LATEST, {});
    world.origin.addManifest(LIBRARY, ARM.manifest, 'arm');
    await world.cache.manifest(LIBRARY, { kind: 'tag', tag: 'arm' }, {});
    assert.deepEqual(await pullPlatform(world, ARM), ['committed', 'committed', 'committed']);
  });

  test('keeps what a tag has moved to, whatever it runs on', async (t) => {
    const world = await cacheWorld(t, { platforms: ['linux/amd64'], tags: { freshFor: 0 } });
    offer(world);
    await world.cache.manifest(LIBRARY, LATEST, {});
    const single: Reference = { kind: 'tag', tag: 'single' };
    world.origin.addManifest(LIBRARY, AMD.manifest, 'single');
    await world.cache.manifest(LIBRARY, single, {});
    world.origin.addManifest(LIBRARY, ARM.manifest, 'single');
    assert.equal((await world.cache.manifest(LIBRARY, single, {})).digest, ARM.manifest.digest);
    assert.notEqual(await world.store.stat(ARM.manifest.digest), undefined);
    assert.deepEqual(await pullPlatform(world, ARM), ['committed', 'committed', 'committed']);
  });

  test('keeps the others from when they are wanted too, of an index that was here before', async (t) => {
    const world = await cacheWorld(t, { platforms: ['linux/amd64'] });
    offer(world);
    await pullPlatform(world, ARM);
    world.cache.reconfigure({ keep: true, platforms: ['linux/amd64', 'linux/arm64'] });
    assert.deepEqual(await pullPlatform(world, ARM), ['committed', 'committed', 'committed']);
    assert.deepEqual(await pullPlatform(world, ARM), ['HIT', 'HIT', 'HIT']);
  });

  test('keeps the others after a start with another list', async (t) => {
    const [store, metadata] = [new MemoryBlobStore(), new MemoryMetadataStore()];
    const before = await cacheWorld(t, { store, metadata, platforms: ['linux/amd64'] });
    offer(before);
    await pullPlatform(before, ARM);
    const world = await cacheWorld(t, { store, metadata });
    offer(world);
    assert.deepEqual(await pullPlatform(world, ARM), ['committed', 'committed', 'committed']);
    assert.equal(world.origin.calls.filter(({ what }) => what === 'latest').length, 0, 'the index was here');
  });

  test('keeps everything where none is named', async (t) => {
    const world = await cacheWorld(t);
    offer(world);
    assert.deepEqual(await pullPlatform(world, ARM), ['committed', 'committed', 'committed']);
  });
});
