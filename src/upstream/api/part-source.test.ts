import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type ByteSource, byteSourceOf } from '../../lib/index.ts';
import { HttpError } from '../../net/index.ts';
import { partOf } from './part-source.ts';

async function readAll(source: ByteSource): Promise<string> {
  let text = '';
  for (;;) {
    const chunk = await source.read();
    if (chunk === undefined) return text;
    text += chunk.toString('latin1');
  }
}

describe('partOf', () => {
  test('is the slice, however the body is cut into chunks', async () => {
    const chunks = fc.array(fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme-ascii' }), { maxLength: 8 });
    const small = fc.nat({ max: 40 });
    await fc.assert(
      fc.asyncProperty(chunks, small, fc.option(small, { nil: undefined }), async (texts, skip, limit) => {
        const whole = texts.join('');
        fc.pre(skip < whole.length);
        const source = byteSourceOf(texts.map((text) => Buffer.from(text, 'latin1')));
        const end = limit === undefined ? undefined : skip + limit;
        assert.equal(await readAll(partOf(source, { skip, limit })), whole.slice(skip, end));
      }),
    );
  });

  test('cancels what follows the part', async () => {
    let cancelled = false;
    const source: ByteSource = {
      read: () => Promise.resolve(Buffer.from('abc')),
      cancel: () => {
        cancelled = true;
      },
    };
    assert.equal(await readAll(partOf(source, { skip: 4, limit: 3 })), 'bca');
    assert.equal(cancelled, true);
  });

  test('a body that ends before the part begins has broken off', async () => {
    const part = partOf(byteSourceOf([Buffer.from('abc')]), { skip: 4 });
    await assert.rejects(part.read(), (error) => error instanceof HttpError && error.code === 'truncated');
  });

  test('hands on whole chunks as they are', async () => {
    const chunk = Buffer.from('abc');
    assert.equal(await partOf(byteSourceOf([chunk]), { skip: 0 }).read(), chunk);
  });
});
