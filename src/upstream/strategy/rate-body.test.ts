import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ResponseMeter } from '../../net/index.ts';
import { rateBody } from './rate-body.ts';

const MIB = 1024 * 1024;

/** A body of so many chunks of 1 MiB; each takes a few milliseconds to come, and reads wait for the given share of them. */
function stage(chunks: number, waits: 'always' | 'never') {
  const meter: ResponseMeter = { bytes: 0, isOver: false, waitedMs: 0 };
  const rates: number[] = [];
  const chunk = Buffer.alloc(MIB);
  let left = chunks;
  const body = rateBody(
    {
      async read() {
        if (left === 0) return undefined;
        const startedAt = performance.now();
        await sleep(5);
        meter.bytes += chunk.length;
        if (waits === 'always') meter.waitedMs = (meter.waitedMs ?? 0) + performance.now() - startedAt;
        left -= 1;
        meter.isOver = left === 0;
        return chunk;
      },
      cancel() {},
    },
    { meter, told: (rate) => rates.push(rate) },
  );
  return { body, rates };
}

async function readAll({ body }: ReturnType<typeof stage>): Promise<void> {
  while ((await body.read()) !== undefined);
}

describe('rateBody', () => {
  test('tells a rate each four megabytes, and at the end', async () => {
    const staged = stage(10, 'always');
    await readAll(staged);
    assert.equal(staged.rates.length, 3);
    for (const rate of staged.rates) assert.ok(rate > 0 && rate <= MIB / 0.004, `${rate}`);
  });

  test('tells none that the reader limits', async () => {
    const staged = stage(10, 'never');
    await readAll(staged);
    assert.deepEqual(staged.rates, []);
  });

  test('tells that of a body that is given up', async () => {
    const staged = stage(10, 'always');
    await staged.body.read();
    await staged.body.read();
    staged.body.cancel();
    assert.equal(staged.rates.length, 1);
  });

  test('tells none of a body that was not read', () => {
    const staged = stage(10, 'always');
    staged.body.cancel();
    assert.deepEqual(staged.rates, []);
  });
});
