import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Caller, LiveEvent, WarmImage } from '../../admin/index.ts';
import { shownTo } from './visible.ts';

const image = (name: string, state: WarmImage['state']): WarmImage => ({
  image: name,
  state,
  bytes: 10,
  size: 20,
  fetched: 5,
  blobs: 1,
  blobCount: 2,
});

const job: LiveEvent & { readonly kind: 'warm' } = {
  kind: 'warm',
  data: {
    id: 'job',
    by: 'operator',
    startedAt: 0,
    joined: 0,
    images: [image('docker.io/library/nginx:1.27', 'done'), image('ghcr.io/secret/app:1', 'failed')],
    omitted: 100,
    counts: { waiting: 100, running: 0, done: 1, failed: 1, cancelled: 0 },
    bytes: 20,
    size: 40,
    fetched: 10,
  },
};

const callerOf = (sees: Caller['sees']): Caller => ({ name: 'alice', seesAll: false, sees });

describe('a job that warms images', () => {
  test('is shown whole to a client that may see its images', async () => {
    assert.equal(
      await shownTo(
        job,
        callerOf(() => true),
      ),
      job,
    );
  });

  test('is shown with the images that a client may see, and with their numbers', async () => {
    const shown = await shownTo(
      job,
      callerOf(({ registry }) => Promise.resolve(registry === 'docker.io')),
    );
    assert.deepEqual(shown, {
      kind: 'warm',
      data: {
        ...job.data,
        images: job.data.images.slice(0, 1),
        omitted: 0,
        counts: { waiting: 0, running: 0, done: 1, failed: 0, cancelled: 0 },
        bytes: 10,
        size: 20,
        fetched: 5,
      },
    });
  });

  test('is not shown to a client that may see none of them', async () => {
    assert.equal(
      await shownTo(
        job,
        callerOf(() => false),
      ),
      undefined,
    );
  });
});
