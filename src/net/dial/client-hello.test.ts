import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { recordsOf } from '../../../test/support/middlebox.ts';
import { ClientHelloSplitter } from './client-hello.ts';

function record(length: number, type = 22): Buffer {
  const payload = Buffer.from(Array.from({ length }, (_, i) => i & 0xff));
  return Buffer.concat([Buffer.from([type, 3, 1, length >> 8, length & 0xff]), payload]);
}

describe('ClientHelloSplitter', () => {
  for (const length of [1, 3, 100, 255]) {
    test(`cuts after ${length} bytes`, () => {
      const hello = record(1500);
      const pieces = new ClientHelloSplitter(length).push(hello);
      assert.deepEqual(
        pieces.flatMap(recordsOf).map(({ type, version, payload }) => [type, version, payload.length]),
        [
          [22, 0x0301, length],
          [22, 0x0301, 1500 - length],
        ],
      );
      assert.deepEqual(
        Buffer.concat(recordsOf(Buffer.concat(pieces)).map(({ payload }) => payload)),
        hello.subarray(5),
      );
      assert.equal(pieces.length, 2);
    });
  }

  const untouched: readonly (readonly [string, number, Buffer])[] = [
    ['everything where nothing is to be cut', 0, record(1500)],
    ['what is no handshake', 3, record(1500, 23)],
    ['a message that the first record would hold', 255, record(255)],
    ['what is no TLS at all', 3, Buffer.from('GET')],
  ];
  for (const [what, length, bytes] of untouched) {
    test(`passes ${what} as it is`, () => {
      const splitter = new ClientHelloSplitter(length);
      assert.deepEqual(splitter.push(bytes), [bytes]);
      assert.equal(splitter.done, true);
    });
  }

  test('cuts the first record only', () => {
    const splitter = new ClientHelloSplitter(3);
    splitter.push(record(600));
    const again = record(600);
    assert.deepEqual(splitter.push(again), [again]);
  });

  test('cuts the same wherever its bytes were cut before, and loses none that follow', () => {
    const wire = Buffer.concat([record(600), record(40, 20)]);
    const expected = Buffer.concat(new ClientHelloSplitter(3).push(wire));
    fc.assert(
      fc.property(fc.array(fc.nat(wire.length), { maxLength: 8 }), (cuts) => {
        const splitter = new ClientHelloSplitter(3);
        const at = [0, ...cuts, wire.length].toSorted((a, b) => a - b);
        const out = at.slice(1).flatMap((end, i) => splitter.push(wire.subarray(at[i], end)));
        assert.deepEqual(Buffer.concat(out), expected);
      }),
    );
  });

  test('refuses other lengths', () => {
    for (const length of [-1, 256, 1.5, Number.NaN]) assert.throws(() => new ClientHelloSplitter(length), RangeError);
  });
});
