import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../oci/index.ts';
import { InUse, releasing } from './in-use.ts';

const digest = digestOf(Buffer.from('held'));

test('InUse counts holders, and each of them once', () => {
  const inUse = new InUse();
  const first = inUse.hold(digest);
  const second = inUse.hold(digest);
  first();
  first();
  assert.ok(inUse.has(digest), 'the other one still has it');
  second();
  assert.ok(!inUse.has(digest));
  inUse.hold(digest)();
  assert.ok(!inUse.has(digest));
});

test('releasing() lets go at the first close, and passes everything on', async () => {
  const seen: string[] = [];
  const inner = { read: () => Promise.resolve(seen.push('read')), close: () => void seen.push('close') };
  const reader = releasing(inner, () => void seen.push('release'));
  assert.equal(await reader.read(Buffer.alloc(1)), 1);
  reader.close();
  assert.deepEqual(seen, ['read', 'release', 'close']);
});
