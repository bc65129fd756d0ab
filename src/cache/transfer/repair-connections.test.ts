import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyOf } from '../../../test/support/fake-origin.ts';
import { noise } from '../../../test/support/image.ts';
import { digestOf, type OpenBlobOptions } from '../../oci/index.ts';
import { repairSpans } from './repair.ts';
import { Deliveries } from './segments/index.ts';

test('a repair asks for as many spans at once as it may, and tells what was wrong in order', async () => {
  const right = noise('repair', 400);
  const held = Buffer.from(right);
  for (const at of [50, 150, 250, 350]) held[at] = (held[at] ?? 0) ^ 1;
  const spans = [0, 100, 200, 300].map((start) => ({ start, end: start + 100, upstream: 'mirror' }));
  const state = { open: 0, most: 0 };
  const { wrong, holds, suspects } = await repairSpans(spans, {
    trusted: 'hub',
    digest: digestOf(right),
    size: right.length,
    file: {
      read: async (target, position) => held.copy(target, 0, position, position + target.length),
      write: async (chunk, position) => void chunk.copy(held, position),
    },
    open: async ({ offset = 0, end = 0 }: OpenBlobOptions) => {
      state.open += 1;
      state.most = Math.max(state.most, state.open);
      await new Promise(setImmediate);
      state.open -= 1;
      const body = bodyOf(right.subarray(offset, end + 1));
      return { body, offset, size: right.length, upstream: 'hub', visibility: 'public' };
    },
    deliveries: new Deliveries(),
    connections: 2,
    signal: new AbortController().signal,
  });
  assert.equal(state.most, 2);
  assert.equal(holds, true);
  assert.deepEqual([...suspects], ['mirror']);
  assert.deepEqual(
    wrong.map(({ start }) => start),
    [50, 150, 250, 350],
  );
  assert.ok(held.equals(right));
});
