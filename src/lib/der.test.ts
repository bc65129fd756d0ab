import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bits, element, elementsIn, explicit, oid, readElement, sequence, TAG, time, unsigned, utf8 } from './der.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');

describe('DER is written as X.690 says', () => {
  const table: readonly [what: string, written: Buffer, expected: string][] = [
    ['an object identifier', oid('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
    ['a number', unsigned(Buffer.from([0x7f])), '02017f'],
    ['a number that would look negative', unsigned(Buffer.from([0x80])), '02020080'],
    ['a number with zeros in front', unsigned(Buffer.from([0, 0, 1])), '020101'],
    ['zero', unsigned(Buffer.from([0])), '020100'],
    ['bits', bits(Buffer.from([0x06]), 1), '03020106'],
    ['text', utf8('ö'), '0c02c3b6'],
    ['a sequence', sequence(unsigned(Buffer.from([1])), unsigned(Buffer.from([2]))), '3006020101020102'],
    ['an explicit tag', explicit(3, sequence()), 'a3023000'],
    ['a time before 2050', time(new Date('2049-12-31T23:59:59.900Z')), `170d${hex(Buffer.from('491231235959Z'))}`],
    ['a time from 2050', time(new Date('2050-01-01T00:00:00Z')), `180f${hex(Buffer.from('20500101000000Z'))}`],
  ];
  for (const [what, written, expected] of table) test(what, () => assert.equal(hex(written), expected));

  test('lengths of one, two and three bytes', () => {
    for (const [length, head] of [
      [127, '047f'],
      [128, '048180'],
      [65_535, '0482ffff'],
      [65_536, '0483010000'],
    ] as const) {
      const written = element(TAG.octetString, Buffer.alloc(length));
      assert.equal(hex(written).slice(0, head.length), head);
      assert.equal(readElement(written).content.length, length);
    }
  });
});

describe('readElement()', () => {
  test('gives back what was written, and its parts', () => {
    const parts = elementsIn(readElement(sequence(utf8('a'), utf8('b'))));
    assert.deepEqual(
      parts.map(({ content }) => content.toString()),
      ['a', 'b'],
    );
  });

  for (const [what, bytes] of [
    ['nothing', ''],
    ['a tag alone', '30'],
    ['fewer bytes than its length', '300501'],
    ['a length cut short', '3082ff'],
    ['an indefinite length', '30800000'],
    ['a length of five bytes', '30850000000001aa'],
    ['a tag of two bytes', '1f8101aa'],
  ] as const) {
    test(`refuses ${what}`, () => assert.throws(() => readElement(Buffer.from(bytes, 'hex')), RangeError));
  }
});
