import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CacheWorld, cacheWorld, ELSEWHERE, LIBRARY, settle } from '../../../test/support/cache-world.ts';
import { CuedBody } from '../../../test/support/fake-origin.ts';
import { content } from '../../../test/support/image.ts';
import type { Repository } from '../../oci/index.ts';
import { CRAWL_SPAN_MS, isCrawling, LEAST_UNATTENDED_RATE, LITTLE_MISSING } from './policy.ts';

const digestOf = (i: number) => content('layer', Buffer.from(`abandoned ${i}`)).digest;

/** Starts a transfer of a blob that crawls, and leaves it. */
async function abandon({ cache }: CacheWorld, i: number, repository: Repository = LIBRARY): Promise<void> {
  const { reader } = await cache.blob(repository, digestOf(i), {});
  reader.close();
  await settle();
}

/** A world whose bodies stop after a byte. */
async function crawlingWorld(t: Parameters<typeof cacheWorld>[0]) {
  const world = await cacheWorld(t);
  const bodies: CuedBody[] = [];
  world.origin.deliver = () => {
    const body = new CuedBody().send(Buffer.from('a'));
    bodies.push(body);
    return { body, size: LITTLE_MISSING };
  };
  return { ...world, bodies };
}

describe('transfers that no client follows', () => {
  test('are few, however many were abandoned', async (t) => {
    const world = await crawlingWorld(t);
    for (let i = 0; i < 20; i += 1) await abandon(world, i);
    assert.equal([...world.cache.transfers].length, 4);
    assert.equal(world.bodies.filter((body) => body.isCancelled).length, 16);
  });

  test('are given up where they crawl, and not where a client follows or bytes come', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const world = await crawlingWorld(t);
    for (const i of [0, 1, 2]) await abandon(world, i);
    const followed = await world.cache.blob(LIBRARY, digestOf(1), {});
    world.bodies[2]?.send(Buffer.alloc((LEAST_UNATTENDED_RATE * CRAWL_SPAN_MS) / 1000));
    await settle();
    t.mock.timers.tick(CRAWL_SPAN_MS);
    await settle();
    assert.deepEqual(
      world.bodies.map((body) => body.isCancelled),
      [true, false, false],
    );
    t.mock.timers.tick(CRAWL_SPAN_MS);
    await settle();
    assert.deepEqual(
      world.bodies.map((body) => body.isCancelled),
      [true, false, true],
    );
    followed.reader.close();
  });

  test('make way for a request of their registry that gets no answer', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const world = await crawlingWorld(t);
    await abandon(world, 0);
    await abandon(world, 1, ELSEWHERE);
    const answer = Promise.withResolvers<void>();
    world.origin.before = () => answer.promise;
    const waiting = world.cache.blob(LIBRARY, digestOf(2), {});
    await settle();
    t.mock.timers.tick(10_000);
    await settle();
    answer.resolve();
    (await waiting).reader.close();
    assert.deepEqual(
      world.bodies.slice(0, 2).map((body) => body.isCancelled),
      [true, false],
    );
  });

  test('crawl below 16 KiB a second', () => {
    const least = 16 * 1024 * 30;
    assert.deepEqual([isCrawling(0), isCrawling(least - 1), isCrawling(least)], [true, true, false]);
  });
});
