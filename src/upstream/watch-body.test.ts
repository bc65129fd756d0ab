import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ByteSource, byteSourceOf } from '../lib/index.ts';
import { watchBody } from './watch-body.ts';

function watched(source: ByteSource) {
  const heard: string[] = [];
  const body = watchBody(source, {
    begun: () => heard.push('begun'),
    broken: (error) => heard.push(`broken: ${String(error)}`),
    left: () => heard.push('left'),
  });
  return { body, heard };
}

describe('watchBody', () => {
  test('hears of the first bytes, once, and passes every byte', async () => {
    const { body, heard } = watched(byteSourceOf([Buffer.from('a'), Buffer.from('b')]));
    assert.deepEqual(heard, []);
    assert.equal((await body.read())?.toString(), 'a');
    assert.deepEqual(heard, ['begun']);
    assert.equal((await body.read())?.toString(), 'b');
    assert.equal(await body.read(), undefined);
    body.cancel();
    assert.deepEqual(heard, ['begun']);
  });

  test('a body without bytes that ends as it should has begun', async () => {
    const { body, heard } = watched(byteSourceOf([]));
    assert.equal(await body.read(), undefined);
    assert.deepEqual(heard, ['begun']);
  });

  test('hears that it broke before the first bytes, and not that it broke after them', async () => {
    const error = new Error('cut');
    const broken = watched({ read: () => Promise.reject(error), cancel: () => undefined });
    await assert.rejects(broken.body.read(), error);
    await assert.rejects(broken.body.read(), error);
    assert.deepEqual(broken.heard, ['broken: Error: cut']);
    let reads = 0;
    const later = watched({
      read: () => ((reads += 1) === 1 ? Promise.resolve(Buffer.from('a')) : Promise.reject(error)),
      cancel: () => undefined,
    });
    await later.body.read();
    await assert.rejects(later.body.read(), error);
    assert.deepEqual(later.heard, ['begun']);
  });

  test('hears that it was left, also while the first bytes are waited for; and passes the reason on', async () => {
    const reason = new Error('no reader waits');
    const reasons: unknown[] = [];
    const first = Promise.withResolvers<Buffer | undefined>();
    const source: ByteSource = {
      read: () => first.promise,
      cancel(why) {
        reasons.push(why);
        first.reject(new Error('cancelled'));
      },
    };
    const { body, heard } = watched(source);
    const reading = body.read();
    body.cancel(reason);
    await assert.rejects(reading, /cancelled/);
    assert.deepEqual([heard, reasons], [['left'], [reason]]);
  });

  test("after the first, a read is the source's own", async () => {
    const reads = [Promise.resolve(Buffer.from('a')), Promise.resolve(Buffer.from('b'))];
    let next = 0;
    const { body } = watched({
      read: () => reads[next++] as Promise<Buffer>,
      cancel: () => undefined,
    });
    await body.read();
    assert.equal(body.read(), reads[1], 'nothing is allocated for a chunk');
  });
});
