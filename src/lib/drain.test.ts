import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { byteSourceOf } from './byte-source.ts';
import { drain } from './drain.ts';

describe('drain', () => {
  test('reads a short body to its end, and copies it', async () => {
    const chunk = Buffer.from('abc');
    const found = drain(byteSourceOf([chunk, Buffer.from('def')]));
    const bytes = await found;
    chunk.fill(0);
    assert.equal(bytes.toString(), 'abcdef');
  });

  test('gives up a long one', async () => {
    let read = 0;
    let cancelled = false;
    const bytes = await drain({
      read: () => Promise.resolve(Buffer.alloc(10_000, (read += 1))),
      cancel: () => {
        cancelled = true;
      },
    });
    assert.deepEqual([bytes.length, read, cancelled], [65_536, 7, true]);
  });

  test('gives up a slow one', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const pending = Promise.withResolvers<Buffer | undefined>();
      const drained = drain({ read: () => pending.promise, cancel: () => pending.reject(new Error('cancelled')) });
      mock.timers.tick(5000);
      assert.equal((await drained).length, 0);
    } finally {
      mock.timers.reset();
    }
  });

  test('takes what came of one that broke off', async () => {
    let read = 0;
    const read2 = (): Promise<Buffer> =>
      (read += 1) === 1 ? Promise.resolve(Buffer.from('a')) : Promise.reject(new Error('x'));
    assert.equal((await drain({ read: read2, cancel: () => undefined })).toString(), 'a');
  });
});
