import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BlobReader, ReaderClosedError } from '../lib/index.ts';
import { BlobBody } from './blob-body.ts';

const { signal } = new AbortController();

/** A reader of texts, one each time. */
function readerOf(texts: readonly string[]): BlobReader & { isClosed: boolean } {
  const waiting = texts.map((text) => Buffer.from(text));
  return {
    isClosed: false,
    async read(target) {
      const next = waiting.shift();
      return next === undefined ? 0 : next.copy(target);
    },
    close() {
      this.isClosed = true;
    },
  };
}

describe('the body of an upload', () => {
  test('gives what its reader reads, and keeps a chunk over the next read', async () => {
    const counts: number[] = [];
    const reader = readerOf(['one', 'three', 'x']);
    const body = new BlobBody(reader, { onBytes: (count) => void counts.push(count), signal });
    const first = await body.read();
    const second = await body.read();
    assert.deepEqual([first?.toString(), second?.toString()], ['one', 'three']);
    assert.equal((await body.read())?.toString(), 'x');
    assert.equal(await body.read(), undefined);
    await body.release();
    assert.deepEqual([counts, reader.isClosed], [[3, 5, 1], true]);
  });

  test('ends with a cancellation, which closes its reader', async () => {
    const reader = readerOf(['one', 'two']);
    const body = new BlobBody(reader, { onBytes: () => undefined, signal });
    await body.read();
    body.cancel();
    await assert.rejects(body.read(), ReaderClosedError);
    assert.equal(reader.isClosed, true);
    await body.release();
  });

  test('ends where the signal aborts, before or after its start', async () => {
    for (const isBefore of [true, false]) {
      const cancelled = new AbortController();
      if (isBefore) cancelled.abort();
      const reader = readerOf(['one']);
      const body = new BlobBody(reader, { onBytes: () => undefined, signal: cancelled.signal });
      cancelled.abort();
      assert.equal(reader.isClosed, true);
      await assert.rejects(body.read(), ReaderClosedError);
      await body.release();
    }
  });

  test('fails with its reader, and can be released', async () => {
    const reader = { ...readerOf([]), read: () => Promise.reject(new Error('the digest is another one')) };
    const body = new BlobBody(reader, { onBytes: () => undefined, signal });
    await assert.rejects(body.read(), { message: 'the digest is another one' });
    await body.release();
  });
});
