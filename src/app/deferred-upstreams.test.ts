import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Digest, digestOf, type Repository } from '../oci/index.ts';
import type { Upstreams } from '../upstream/index.ts';
import { deferUpstreams } from './deferred-upstreams.ts';

const REPOSITORY: Repository = { registry: 'up', repository: 'team/app' };
const DIGEST: Digest = digestOf(Buffer.from('blob'));

/** Upstreams that have a blob and a state of health, and nothing else. */
const SOME = {
  headBlob: async () => ({ size: 4, upstream: 'up', visibility: 'public' }),
  healthOf: () => [{ upstream: 'up', state: 'closed', scope: 'all' }],
} as unknown as Upstreams;

describe('deferUpstreams()', () => {
  test('opens them at the first question, once for all who ask', async () => {
    let times = 0;
    const upstreams = deferUpstreams(async () => {
      times += 1;
      return SOME;
    });
    assert.equal(times, 0);
    assert.deepEqual(upstreams.healthOf('up'), []);
    const heads = await Promise.all([1, 2].map(() => upstreams.headBlob(REPOSITORY, DIGEST)));
    assert.deepEqual(
      heads.map(({ size }) => size),
      [4, 4],
    );
    assert.equal(times, 1);
    assert.equal(upstreams.healthOf('up').length, 1);
    upstreams.close();
  });

  test('tries again where they could not be opened', async () => {
    let times = 0;
    const upstreams = deferUpstreams(async () => {
      times += 1;
      if (times === 1) throw new Error('no file');
      return SOME;
    });
    await assert.rejects(upstreams.headBlob(REPOSITORY, DIGEST), /no file/);
    assert.equal((await upstreams.headBlob(REPOSITORY, DIGEST)).size, 4);
    upstreams.close();
  });

  test('opens them of its own accord a little later', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const opened = Promise.withResolvers<void>();
    const upstreams = deferUpstreams(async () => {
      opened.resolve();
      return SOME;
    });
    t.mock.timers.tick(1000);
    await opened.promise;
    upstreams.close();
  });
});
