import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HttpError } from '../http-types.ts';
import { type BodyFraming, framingFor, MAX_CHUNK_LINE, MAX_TRAILERS } from './body-framing.ts';

/** Feeds the pieces, each in memory of its own that is longer than what it holds, as a ring's is. */
function feed(framing: BodyFraming, pieces: readonly Buffer[]): Buffer {
  const payload: Buffer[] = [];
  for (const bytes of pieces) {
    if (bytes.length === 0) continue;
    const memory = Buffer.concat([bytes, Buffer.from('not part of it')]);
    const count = framing.accept(memory, bytes.length);
    payload.push(Buffer.from(memory.subarray(0, count)));
    assert.equal(memory.subarray(bytes.length).toString(), 'not part of it');
  }
  return Buffer.concat(payload);
}

function chunked(text: string, pieces = [Buffer.from(text, 'latin1')]): { framing: BodyFraming; payload: string } {
  const framing = framingFor({ kind: 'chunked' });
  return { framing, payload: feed(framing, pieces).toString('latin1') };
}

describe('framingFor() a length', () => {
  test('is done at the last byte and leaves out what comes behind', () => {
    const framing = framingFor({ kind: 'length', length: 5 });
    assert.equal(feed(framing, [Buffer.from('abc')]).toString(), 'abc');
    assert.equal(framing.done, false);
    assert.equal(feed(framing, [Buffer.from('defg')]).toString(), 'de');
    assert.equal(framing.done, true);
    assert.equal(framing.surplus, true);
  });

  test('is done at once where nothing is to come', () => {
    assert.equal(framingFor({ kind: 'length', length: 0 }).done, true);
  });

  test('is never done where the end of the connection is the end', () => {
    const framing = framingFor({ kind: 'until-close' });
    assert.equal(feed(framing, [Buffer.from('abc')]).toString(), 'abc');
    assert.equal(framing.done, false);
  });
});

describe('framingFor() chunks', () => {
  const body = '5\r\nhello\r\nA;name="v;w"\r\n0123456789\r\n00;x\r\nT: y\r\nU: z\r\n\r\n';

  test('gives the payload whatever two pieces it comes in', () => {
    for (let cut = 0; cut <= body.length; cut++) {
      const { framing, payload } = chunked('', [Buffer.from(body.slice(0, cut)), Buffer.from(body.slice(cut))]);
      assert.equal(payload, 'hello0123456789', `cut at ${cut}`);
      assert.equal(framing.done, true);
      assert.equal(framing.surplus, false);
    }
  });

  test('gives the payload byte by byte', () => {
    const { framing, payload } = chunked(
      '',
      [...Buffer.from(body)].map((byte) => Buffer.from([byte])),
    );
    assert.equal(payload, 'hello0123456789');
    assert.equal(framing.done, true);
  });

  test('sees what comes behind the end', () => {
    const { framing } = chunked('0\r\n\r\nHTTP/1.1 200 OK');
    assert.equal(framing.done, true);
    assert.equal(framing.surplus, true);
  });

  test('takes sizes in both cases, with leading zeros', () => {
    assert.equal(chunked('0000a\r\n0123456789\r\nB\r\n01234567890\r\n0\r\n\r\n').payload.length, 21);
  });

  test('round-trips any payload in any chunks in any pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 12 }),
        fc.stringMatching(/^(;[a-z]{1,8}(=[a-z]{1,8})?)?$/),
        fc.array(fc.nat({ max: 4000 }), { maxLength: 12 }),
        (chunks, extension, cuts) => {
          const wire = Buffer.concat([
            ...chunks.flatMap((chunk) => [
              Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`),
              chunk,
              Buffer.from('\r\n'),
            ]),
            Buffer.from('0\r\n\r\n'),
          ]);
          const at = [0, ...cuts.map((cut) => cut % (wire.length + 1)), wire.length].toSorted((a, b) => a - b);
          const framing = framingFor({ kind: 'chunked' });
          const payload = feed(
            framing,
            at.slice(1).map((end, i) => wire.subarray(at[i], end)),
          );
          assert.deepEqual(payload, Buffer.concat(chunks));
          assert.equal(framing.done, true);
          assert.equal(framing.surplus, false);
        },
      ),
    );
  });

  const refused: readonly (readonly [string, string])[] = [
    ['no size', '\r\nx'],
    ['an extension without a size', ';x\r\n'],
    ['a size with a sign', '-5\r\nhello\r\n'],
    ['a size with 0x', '0x5\r\nhello\r\n'],
    ['a size that is not hexadecimal', 'g\r\n'],
    ['a size beyond exact integers', `${'f'.repeat(14)}\r\n`],
    ['a size of endless zeros', '0'.repeat(64)],
    ['a size line that ends in LF', '5\nhello\r\n'],
    ['CR without LF behind a size', '5\rhello\r\n'],
    ['a chunk longer than its size', '5\r\nhello!\r\n'],
    ['a chunk that ends in LF', '5\r\nhello\n0\r\n\r\n'],
    ['a bare LF in an extension', '5;a\nb\r\nhello\r\n'],
    ['a NUL in an extension', '5;a\0b\r\nhello\r\n'],
    ['an endless extension', `5;${'x'.repeat(MAX_CHUNK_LINE + 1)}`],
    ['a space behind a size', '3 \r\nabc\r\n'],
    ['two numbers for a size', '3 4\r\nabc\r\n'],
    ['an extension without a name', '3;\r\nabc\r\n'],
    ['a trailer without a colon', '0\r\nGARBAGE\r\n\r\n'],
    ['a trailer that frames the message', '0\r\nContent-Length: 3\r\n\r\n'],
    ['a bare LF in a trailer', '0\r\nA: b\n\r\n'],
    ['endless trailers', `0\r\n${'a: b\r\n'.repeat(MAX_TRAILERS / 4 + 1)}`],
    ['an end that ends in no LF', '0\r\n\rX'],
  ];
  for (const [what, text] of refused) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => chunked(text),
        (error) => error instanceof HttpError && error.code === 'protocol',
      );
    });
  }

  test('accepts an extension of the greatest length', () => {
    assert.equal(chunked(`1;${'x'.repeat(MAX_CHUNK_LINE)}\r\na\r\n0\r\n\r\n`).payload, 'a');
  });
});
