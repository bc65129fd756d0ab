import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CuedBody } from '../../../../test/support/fake-origin.ts';
import { Segment } from './segment.ts';

/** A segment of 100 to 200 whose bodies come on cue, and whose writes wait. */
function stage() {
  const body = new CuedBody();
  const writes: { readonly at: number; readonly length: number; readonly done: () => void }[] = [];
  const stop = new AbortController();
  const segment = new Segment(100, 200, {
    size: 300,
    signal: stop.signal,
    open: ({ offset = 0 }) => Promise.resolve({ body, offset, size: 300, upstream: 'hub', visibility: 'public' }),
    write: (chunk, at) => new Promise((done) => writes.push({ at, length: chunk.length, done })),
    came: () => {},
  });
  const written = async (count: number) => {
    while (writes.length < count) await new Promise(setImmediate);
    return writes[count - 1];
  };
  return { segment, body, written, stop };
}

describe('a segment', () => {
  test('keeps what it is writing where it leaves the rest to another', async () => {
    const { segment, body, written } = stage();
    body.send(Buffer.alloc(40));
    const first = await written(1);
    segment.shorten(110);
    assert.deepEqual([segment.end, segment.reach, segment.position], [140, 140, 100]);
    first?.done();
    assert.equal(await segment.ended, 'done');
    assert.equal(segment.position, 140);
    assert.ok(body.isCancelled);
  });

  test('writes nothing of a chunk behind its end', async () => {
    const { segment, body, written } = stage();
    segment.shorten(150);
    body.send(Buffer.alloc(90));
    const first = await written(1);
    assert.deepEqual([first?.at, first?.length], [100, 50]);
    first?.done();
    assert.equal(await segment.ended, 'done');
  });

  test('hands its body over behind what it has written', async () => {
    const { segment, body, written } = stage();
    body.send(Buffer.alloc(10));
    const first = await written(1);
    const handed = segment.handOver();
    first?.done();
    assert.equal((await handed)?.body, body);
    assert.deepEqual([segment.position, await segment.ended, body.isCancelled], [110, 'handed-over', false]);
    assert.equal(await segment.handOver(), undefined);
  });

  test('ends with its transfer', async () => {
    const { segment, stop, body } = stage();
    stop.abort(new Error('over'));
    body.cut();
    assert.equal(await segment.ended, 'stopped');
  });
});
