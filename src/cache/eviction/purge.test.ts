import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  ELSEWHERE,
  LIBRARY,
  readSome,
  settle,
} from '../../../test/support/cache-world.ts';
import { CuedBody, Gate } from '../../../test/support/fake-origin.ts';
import type { Content } from '../../../test/support/image.ts';
import { type SmallImage, smallImage, smallLayer } from '../../../test/support/small-image.ts';
import type { Repository } from '../../oci/index.ts';

const APP = 'docker.io/library/app';
const shared = smallLayer('base');
const ONE = smallImage('one', [shared, smallLayer('only in one')]);
const TWO = smallImage('two', [shared, smallLayer('only in two')]);

async function pull(world: CacheWorld, repository: Repository, image: SmallImage, tag: string): Promise<void> {
  world.origin.addManifest(repository, image.manifest, tag);
  world.origin.addBlobs(repository, image.config, ...image.layers);
  await world.cache.manifest(repository, { kind: 'tag', tag }, {});
  for (const { digest } of [image.config, ...image.layers]) {
    await drain((await world.cache.blob(repository, digest, {})).reader);
    await settle();
  }
}

async function stored(world: CacheWorld, parts: readonly Content[]): Promise<number> {
  let count = 0;
  for (const { digest } of parts) if ((await world.store.stat(digest)) !== undefined) count += 1;
  return count;
}

describe('purge()', () => {
  test('forgets an image whole, so that the next pull fetches all of it', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, '1');
    const purged = await world.cache.purge([{ repository: APP }]);
    assert.deepEqual([purged.tagCount, purged.members, purged.blobs], [1, 4, 4]);
    assert.deepEqual(purged.tags, [{ repository: LIBRARY, tag: '1', digest: ONE.manifest.digest }]);
    assert.deepEqual(await world.cache.totals(), { blobs: 0, bytes: 0 });
    assert.equal(await stored(world, ONE.parts), 0);
    world.origin.calls.length = 0;
    await pull(world, LIBRARY, ONE, '1');
    assert.deepEqual(world.origin.methods(), ['getManifest', 'openBlob', 'openBlob', 'openBlob']);
  });

  test('tells what it would take, which is what it takes, and takes nothing', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, '1');
    await pull(world, ELSEWHERE, TWO, '2');
    const before = await world.cache.totals();
    for (const selections of [[{ repository: APP }], [{ repository: '**' }], [{ digest: shared.digest }]]) {
      const planned = await world.cache.purge(selections, { dryRun: true });
      assert.deepEqual(await world.cache.totals(), before);
      assert.equal((await world.cache.manifest(LIBRARY, { kind: 'tag', tag: '1' }, {})).outcome, 'HIT');
      const copy = await cacheWorld(t);
      await pull(copy, LIBRARY, ONE, '1');
      await pull(copy, ELSEWHERE, TWO, '2');
      assert.deepEqual({ ...(await copy.cache.purge(selections)), dryRun: true }, planned);
    }
  });

  const OVERLAPPING = {
    'the same image twice': [{ repository: APP }, { repository: APP }],
    'a pattern, and a tag it fits': [{ repository: '**' }, { repository: APP, tag: '1' }],
    'two tags that share a layer': [
      { repository: APP, tag: '1' },
      { repository: APP, tag: '2' },
    ],
    'a digest, and the images that have it': [{ digest: shared.digest }, { repository: '**' }],
    'a digest in one repository, twice': [
      { repository: APP, digest: shared.digest },
      { repository: APP, digest: shared.digest },
    ],
    'a digest that answers to a URL as well': [{ digest: shared.digest }],
  };
  for (const [what, selections] of Object.entries(OVERLAPPING)) {
    test(`tells what it would take, each thing once, of ${what}`, async (t) => {
      const world = await cacheWorld(t);
      await pull(world, LIBRARY, ONE, '1');
      await pull(world, LIBRARY, TWO, '2');
      await pull(world, ELSEWHERE, TWO, '2');
      const { digest, size } = shared;
      const record = { digest, size, headers: {}, checkedAt: 1, freshUntil: 0 };
      await world.metadata.putUrl({ route: 'site', url: 'https://site.example/base' }, record);
      const planned = await world.cache.purge(selections, { dryRun: true });
      assert.ok(planned.members > 0);
      assert.deepEqual({ ...(await world.cache.purge(selections)), dryRun: true }, planned);
      const { tagCount, members, urls, blobs } = await world.cache.purge(selections);
      assert.deepEqual({ tagCount, members, urls, blobs }, { tagCount: 0, members: 0, urls: 0, blobs: 0 }, 'again');
    });
  }

  test('of one tag leaves what other tags lead to', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, '1');
    await pull(world, LIBRARY, TWO, '2');
    const purged = await world.cache.purge([{ repository: APP, tag: '1' }]);
    assert.deepEqual([purged.tagCount, purged.members, purged.blobs], [1, 3, 3]);
    assert.equal(await stored(world, TWO.parts), 4);
    assert.equal(await stored(world, ONE.parts), 1);
    const asked = world.origin.count();
    await pull(world, LIBRARY, TWO, '2');
    assert.equal(world.origin.count(), asked);
  });

  test('leaves the bytes that another repository has, and takes the right to them', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, '1');
    await pull(world, ELSEWHERE, ONE, '1');
    const purged = await world.cache.purge([{ repository: APP }]);
    assert.deepEqual([purged.members, purged.blobs], [4, 0]);
    const asked = world.origin.count();
    await pull(world, ELSEWHERE, ONE, '1');
    assert.equal(world.origin.count(), asked);
    await world.cache.headBlob(LIBRARY, shared.digest, {});
    assert.equal(world.origin.calls.at(-1)?.method, 'headBlob', 'its upstream is asked whether it has it');
  });

  test('of a digest takes it from everyone, with the tags that point to it', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, '1');
    await pull(world, LIBRARY, ONE, 'latest');
    await pull(world, ELSEWHERE, ONE, '1');
    const { digest } = ONE.manifest;
    const purged = await world.cache.purge([{ digest }]);
    assert.equal(purged.tagCount, 3);
    assert.equal(await world.store.stat(digest), undefined);
    assert.equal((await world.cache.manifest(LIBRARY, { kind: 'tag', tag: '1' }, {})).outcome, 'MISS');
  });

  test('of a digest in one repository goes although an index there leads to it', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, '1');
    const purged = await world.cache.purge([{ repository: APP, digest: shared.digest }]);
    assert.deepEqual([purged.tagCount, purged.members, purged.blobs], [0, 1, 1]);
    assert.equal(await stored(world, ONE.parts), 3);
  });

  test('goes by patterns', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, 'test-1');
    await pull(world, LIBRARY, TWO, 'stable');
    await pull(world, ELSEWHERE, ONE, 'test-1');
    const purged = await world.cache.purge([{ repository: '*/*/*', tag: 'test-*' }]);
    assert.deepEqual(
      purged.tags.map(({ repository, tag }) => `${repository.registry}/${repository.repository}:${tag}`),
      [`${APP}:test-1`, 'ghcr.io/someone/else:test-1'],
    );
    assert.deepEqual((await world.cache.purge([{ repository: 'quay.io/**' }])).members, 0);
    assert.equal(await stored(world, TWO.parts), 4);
  });

  test('ends the pins of what it takes, also of tags without a record, and says how many', async (t) => {
    const world = await cacheWorld(t);
    await pull(world, LIBRARY, ONE, '1');
    await pull(world, LIBRARY, TWO, '2');
    for (const tag of ['1', '2']) await world.cache.pins.put(LIBRARY, tag);
    await world.metadata.putPin(LIBRARY, '1-gone', { pinnedAt: 1 });
    await world.metadata.putPin(ELSEWHERE, '1', { pinnedAt: 1 });
    const selections = [
      { repository: APP, tag: '1*' },
      { repository: APP, tag: '1' },
    ];
    assert.equal((await world.cache.purge(selections, { dryRun: true })).pins, 2);
    assert.equal((await world.metadata.listPins()).length, 4);
    assert.equal((await world.cache.purge(selections)).pins, 2);
    const left = (await world.metadata.listPins()).map(({ repository, tag }) => `${repository.registry}:${tag}`);
    assert.deepEqual(new Set(left), new Set(['docker.io:2', `${ELSEWHERE.registry}:1`]));
    assert.equal((await world.cache.purge([{ repository: APP, digest: TWO.manifest.digest }])).pins, 1);
    assert.equal(await stored(world, TWO.parts), 0);
  });

  test('disturbs no running pull', async (t) => {
    const world = await cacheWorld(t, { on: 'filesystem' });
    await pull(world, LIBRARY, ONE, '1');
    const coming = smallLayer('coming', 50_000);
    world.origin.addBlobs(LIBRARY, coming);
    const body = new CuedBody();
    world.origin.deliver = (_, bytes) => (bytes === coming.bytes ? { body, size: coming.size } : undefined);
    const reading = await world.cache.blob(LIBRARY, shared.digest, {});
    const first = await readSome(reading.reader, 100);
    const arriving = await world.cache.blob(LIBRARY, coming.digest, {});
    body.send(coming.bytes.subarray(0, 20_000));
    await readSome(arriving.reader, 20_000);
    await world.cache.purge([{ repository: '**' }]);
    assert.ok(Buffer.concat([first, await drain(reading.reader)]).equals(shared.bytes));
    body.send(coming.bytes.subarray(20_000)).end();
    const finished = world.next('ingest.finished');
    assert.ok((await drain(arriving.reader)).equals(coming.bytes.subarray(20_000)));
    assert.equal((await finished).outcome, 'committed');
    // What was pulled before may be on its way to the disk as well.
    await Promise.all([...world.cache.transfers].map(({ settled }) => settled));
    const again = await world.cache.purge([{ repository: '**' }]);
    assert.ok(again.members > 0 && again.freed >= coming.size, 'the next one reaches it');
    assert.deepEqual(await world.cache.totals(), { blobs: 0, bytes: 0 });
  });

  test('lets a tag whose manifest is just being stored be purged by the next one', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addManifest(LIBRARY, ONE.manifest, '1');
    const gate = new Gate();
    world.store.before = (step) => (step === 'commit' ? gate.pass() : undefined);
    const pulling = world.cache.manifest(LIBRARY, { kind: 'tag', tag: '1' }, {});
    await gate.reached;
    await world.cache.purge([{ repository: '**' }]);
    gate.open();
    await pulling;
    const again = await world.cache.purge([{ repository: '**' }]);
    assert.deepEqual([again.tagCount, again.members, again.blobs], [1, 4, 1]);
    assert.deepEqual(await world.cache.totals(), { blobs: 0, bytes: 0 });
    assert.deepEqual(await world.metadata.listTags({ limit: 1 }), []);
  });
});
