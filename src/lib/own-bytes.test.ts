import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownBytes } from './own-bytes.ts';

test('bytes cut from a larger buffer are copied, and hold no more than they are', () => {
  const cut = Buffer.from('a manifest');
  assert.ok(cut.buffer.byteLength > cut.length, 'Node cuts small buffers from a large one');
  const own = ownBytes(cut);
  assert.deepEqual(own, cut);
  assert.equal(own.buffer.byteLength, cut.length);
});

test('bytes that have their memory to themselves stay as they are', () => {
  const alone = Buffer.alloc(100, 'x');
  assert.equal(ownBytes(alone), alone);
});
