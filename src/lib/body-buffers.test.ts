import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BodyBuffers, type BufferPair } from './body-buffers.ts';

describe('BodyBuffers', () => {
  test('lends what was given back instead of new memory', () => {
    const buffers = new BodyBuffers();
    const first = buffers.lend();
    buffers.giveBack(first);
    assert.equal(buffers.lend(), first);
  });

  test('never lends one pair twice at a time', () => {
    const buffers = new BodyBuffers();
    const pairs = Array.from({ length: 300 }, () => buffers.lend());
    assert.equal(new Set(pairs).size, 300);
    assert.equal(buffers.lent, 300);
  });

  test('two thousand bodies at once take no more than 160 MiB', () => {
    const buffers = new BodyBuffers();
    let bytes = 0;
    for (let body = 0; body < 2000; body += 1) bytes += 2 * buffers.lend()[0].length;
    assert.ok(bytes <= 160 * 1024 * 1024, `${bytes} bytes`);
  });

  test('keeps no more unused memory than its bound', () => {
    const buffers = new BodyBuffers();
    const pairs: BufferPair[] = Array.from({ length: 500 }, () => buffers.lend());
    for (const pair of pairs) buffers.giveBack(pair);
    const again = Array.from({ length: 500 }, () => buffers.lend());
    const kept = again.filter((pair) => pairs.includes(pair)).reduce((sum, [one]) => sum + 2 * one.length, 0);
    assert.ok(kept > 0 && kept <= 32 * 1024 * 1024, `${kept} bytes`);
  });
});
