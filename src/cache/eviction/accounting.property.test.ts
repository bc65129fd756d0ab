import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  ELSEWHERE,
  LIBRARY,
  type Scope,
} from '../../../test/support/cache-world.ts';
import { smallImage, smallIndex, smallLayer } from '../../../test/support/small-image.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import { type Digest, digestOf } from '../../oci/index.ts';
import { openSqliteMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { reconcile } from '../integrity/reconcile.ts';

const shared = smallLayer('shared');
const empty = { ...shared, bytes: Buffer.alloc(0), size: 0, digest: digestOf(Buffer.alloc(0)) };
const IMAGES = ['a', 'b', 'c'].map((name) => smallImage(name, [shared, smallLayer(`only ${name}`), empty]));
const INDEX = smallIndex({
  'linux/amd64': IMAGES[0] as (typeof IMAGES)[0],
  'linux/arm64': IMAGES[1] as (typeof IMAGES)[0],
});
const REPOSITORIES = [LIBRARY, ELSEWHERE];
const BLOBS = IMAGES.flatMap(({ config, layers }) => [config, ...layers]);

const digit = (most: number) => fc.integer({ min: 0, max: most });
/** Things that happen to a cache, several at once. */
const EVENT = fc.oneof(
  fc.record({ does: fc.constant('tag' as const), where: digit(1), which: digit(3) }),
  fc.record({ does: fc.constant('blob' as const), where: digit(1), which: digit(BLOBS.length - 1), reads: digit(2) }),
  fc.record({ does: fc.constant('purge' as const), where: digit(2), which: digit(3) }),
  fc.record({ does: fc.constant('collect' as const), to: digit(40_000) }),
  fc.record({ does: fc.constant('limit' as const), to: digit(60_000) }),
  fc.record({ does: fc.constant('scrub' as const) }),
  fc.record({ does: fc.constant('stock' as const) }),
  fc.record({ does: fc.constant('age' as const) }),
);
type Happening = typeof EVENT extends fc.Arbitrary<infer E> ? E : never;

async function happen(world: CacheWorld, event: Happening, clock: { now: number }): Promise<void> {
  const { cache } = world;
  if (event.does === 'tag') {
    await cache.manifest(REPOSITORIES[event.where] ?? LIBRARY, { kind: 'tag', tag: `t${event.which}` }, {});
  } else if (event.does === 'blob') {
    const { reader } = await cache.blob(REPOSITORIES[event.where] ?? LIBRARY, BLOBS[event.which]?.digest as Digest, {});
    if (event.reads === 0) reader.close();
    else await drain(reader).catch(() => {});
  } else if (event.does === 'purge') {
    const { registry, repository } = REPOSITORIES[event.where] ?? { registry: '*', repository: '**' };
    const tag = event.which === 3 ? {} : { tag: `t${event.which}` };
    await cache.purge([{ repository: `${registry}/${repository}`, ...tag }]);
  } else if (event.does === 'collect') await cache.collect({ maxSize: event.to });
  else if (event.does === 'limit') cache.reconfigure({ keep: true, maxSize: event.to, tags: { freshFor: 1000 } });
  else if (event.does === 'scrub') await cache.scrub.run();
  else if (event.does === 'stock') {
    const { store, metadata } = world;
    await reconcile({ store, metadata, telemetry: new Telemetry(), signal: new AbortController().signal });
  } else clock.now += 2000;
}

test('what the cache thinks it holds is what its directory holds, whatever happens at once', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(EVENT, { maxLength: 6 }), { maxLength: 12 }), async (rounds) => {
      const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-accounting-'));
      const metadata = await openSqliteMetadataStore(join(directory, 'names.db'));
      const cleanUps: (() => Promise<void>)[] = [];
      const scope: Scope = { after: (cleanUp) => void cleanUps.push(cleanUp) };
      try {
        const clock = { now: 1_700_000_000_000 };
        const world = await cacheWorld(scope, {
          on: 'filesystem',
          metadata,
          now: () => clock.now,
          tags: { freshFor: 1000 },
        });
        for (const repository of REPOSITORIES) {
          for (const [i, image] of IMAGES.entries()) world.origin.addManifest(repository, image.manifest, `t${i}`);
          world.origin.addManifest(repository, INDEX, 't3');
          world.origin.addBlobs(repository, ...BLOBS);
        }
        for (const round of rounds) {
          await Promise.all(round.map((event) => happen(world, event, clock)));
          await Promise.all([...world.cache.transfers].map(({ settled }) => settled));
          await world.cache.collect({});
          await assertAgrees(world);
        }
      } finally {
        for (const cleanUp of cleanUps) await cleanUp();
        await metadata.close();
        await rm(directory, { recursive: true, force: true });
      }
    }),
    { numRuns: 30 },
  );
});

async function assertAgrees({ store, metadata }: CacheWorld): Promise<void> {
  let bytes = 0;
  let blobs = 0;
  for await (const { digest, size } of store.list()) {
    assert.equal((await metadata.getBlob(digest))?.size, size, `the row of ${digest}`);
    bytes += size;
    blobs += 1;
  }
  assert.deepEqual(await metadata.totals(), { blobs, bytes });
}
