import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ImageState, type ImageView, summarize } from './view.ts';

const image = (name: string, state: ImageState): ImageView => ({
  image: name,
  state,
  bytes: 10,
  size: 20,
  fetched: 5,
  blobs: 1,
  blobCount: 2,
});

describe('the summary of a job', () => {
  test('counts every image, and lists a short job in the order of its call', () => {
    const images = [image('b', 'done'), image('a', 'failed'), image('c', 'waiting')];
    assert.deepEqual(summarize(images), {
      images,
      omitted: 0,
      counts: { waiting: 1, running: 0, done: 1, failed: 1, cancelled: 0 },
      bytes: 30,
      size: 60,
      fetched: 15,
    });
  });

  test('lists of a long job what failed and what runs', () => {
    const images = [
      ...Array.from({ length: 200 }, (_, at) => image(`done-${at}`, 'done')),
      image('runs', 'running'),
      image('failed', 'failed'),
      image('waits', 'waiting'),
    ];
    const { images: listed, omitted, counts } = summarize(images);
    assert.deepEqual(
      listed.slice(0, 4).map((each) => each.image),
      ['failed', 'runs', 'waits', 'done-0'],
    );
    assert.deepEqual([listed.length, omitted, counts.done], [100, 103, 200]);
    assert.deepEqual([summarize(images, 0).images, summarize(images, 0).omitted], [[], 203]);
  });
});
