import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cacheWorld, drain, LIBRARY } from '../../../test/support/cache-world.ts';
import { CuedBody } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';

const BLOB = content('layer', noise('borders', 1501));
const splitOf = () => ({ connections: 4, minSegment: 100, mostOfUpstream: 8 });

describe('a part that is read first', () => {
  test('ends what the front reads there: the rest of a chunk that reaches into it is not read on', async (t) => {
    const world = await cacheWorld(t, { splitOf });
    world.origin.addBlobs(LIBRARY, BLOB);
    const bodies = new Map<number, CuedBody>();
    world.origin.deliver = ({ offset }) => {
      const body = new CuedBody();
      // What is asked for again comes at once.
      if (bodies.has(offset) || offset > 51) body.send(BLOB.bytes.subarray(offset)).end();
      bodies.set(offset, body);
      return { body, size: BLOB.size };
    };
    const whole = await world.cache.blob(LIBRARY, BLOB.digest, {});
    const part = await world.cache.blob(LIBRARY, BLOB.digest, { range: 'bytes=51-' });
    const reads = [drain(whole.reader), drain(part.reader)] as const;
    while (bodies.size < 2) await new Promise(setImmediate);
    // The part is whole in the same turn in which the front's chunk comes.
    bodies.get(0)?.send(BLOB.bytes.subarray(0, 1500));
    bodies.get(51)?.send(BLOB.bytes.subarray(51)).end();
    await Promise.resolve();
    bodies.get(0)?.send(BLOB.bytes.subarray(1500)).end();
    const [all, behind] = await Promise.all(reads);
    assert.ok(all.equals(BLOB.bytes));
    assert.ok(behind.equals(BLOB.bytes.subarray(51)));
  });
});
