import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { type Delivery, ExportQueue, MAX_BATCH, MAX_WAITING, type SendSpans } from './export-queue.ts';
import type { Span } from './span.ts';
import { newTrace } from './trace-context.ts';

const TAKEN: Delivery = { kind: 'taken', rejected: 0, reason: undefined };
const LATER: Delivery = { kind: 'retry', reason: 'busy', after: undefined };

function span(): Span {
  const said = { name: 'GET', kind: 'server', attributes: {}, events: [], links: [], failure: undefined } as const;
  return { context: newTrace(1), parentSpanId: undefined, start: 1, end: 2, ...said };
}

function queueWith(send: SendSpans, options: { interval?: number; timeout?: number } = {}) {
  const fates = { exported: 0, failed: 0, dropped: 0 };
  const reasons: (string | undefined)[] = [];
  const queue = new ExportQueue({
    encode: (spans) => String(spans.length),
    send,
    timeout: 60_000,
    interval: 1,
    backOff: 1,
    onFate: (outcome, spans) => (fates[outcome] += spans),
    onAttempt: (reason) => reasons.push(reason),
    ...options,
  });
  return { queue, fates, reasons };
}

function add(queue: ExportQueue, count: number): void {
  for (let each = 0; each < count; each += 1) queue.add(span());
}

const soon = (): number => performance.now() + 10_000;

describe('an export queue', () => {
  test('sends what waits after a while, and a full batch at once', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const bodies: string[] = [];
      const { queue } = queueWith((body) => Promise.resolve((bodies.push(body), TAKEN)), { interval: 5000 });
      add(queue, 3);
      assert.deepEqual(bodies, []);
      mock.timers.tick(5000);
      assert.deepEqual(bodies, ['3']);
      await new Promise(setImmediate);
      add(queue, MAX_BATCH);
      assert.deepEqual(bodies, ['3', String(MAX_BATCH)]);
      mock.timers.reset();
      await queue.close(soon());
    } finally {
      mock.timers.reset();
    }
  });

  test('holds a bounded number while the collector is slow, and counts the rest as dropped', async () => {
    const gate = Promise.withResolvers<Delivery>();
    const { queue, fates } = queueWith(() => gate.promise);
    add(queue, MAX_BATCH);
    add(queue, MAX_WAITING + 100);
    assert.equal(fates.dropped, 100);
    gate.resolve(TAKEN);
    await queue.close(soon());
    assert.deepEqual(fates, { exported: MAX_BATCH + MAX_WAITING, failed: 0, dropped: 100 });
  });

  test('repeats what may succeed later, four times in all', async () => {
    const answers = [LATER, LATER, LATER, TAKEN, LATER, LATER, LATER, LATER];
    const done = Promise.withResolvers<void>();
    const { queue, fates, reasons } = queueWith(() => {
      const answer = answers.shift() ?? TAKEN;
      if (answers.length === 0) done.resolve();
      return Promise.resolve(answer);
    });
    add(queue, MAX_BATCH * 2);
    await done.promise;
    await queue.close(soon());
    assert.deepEqual(fates, { exported: MAX_BATCH, failed: MAX_BATCH, dropped: 0 });
    assert.deepEqual(reasons.slice(0, 4), ['busy', 'busy', 'busy', undefined]);
  });

  test('does not repeat what is refused or fails by itself, and counts what is taken in part', async () => {
    const answers: (() => Promise<Delivery>)[] = [
      () => Promise.resolve({ kind: 'refused', reason: 'answered 400' }),
      () => Promise.reject(new TypeError('a defect')),
      () => Promise.resolve({ kind: 'taken', rejected: 12, reason: 'too old' }),
      () => Promise.resolve({ kind: 'taken', rejected: 1e9, reason: 'more than there were' }),
    ];
    const { queue, fates } = queueWith(() => (answers.shift() ?? (() => Promise.resolve(TAKEN)))());
    add(queue, MAX_BATCH * 4);
    await queue.close(soon());
    assert.deepEqual(fates, { exported: MAX_BATCH - 12, failed: MAX_BATCH * 3 + 12, dropped: 0 });
  });

  test('gives an attempt its timeout', async () => {
    let asked = 0;
    const { queue, fates, reasons } = queueWith(
      (_, signal) => {
        asked += 1;
        if (asked > 1) return Promise.resolve(TAKEN);
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      { timeout: 5 },
    );
    const kept = setTimeout(() => undefined, 20_000);
    add(queue, MAX_BATCH);
    while (fates.exported === 0) await new Promise(setImmediate);
    clearTimeout(kept);
    assert.deepEqual(reasons, ['no answer within 0.005 s', undefined]);
    await queue.close(soon());
  });

  test('when closed, sends all that waits once, cuts at the deadline, and takes no more', async () => {
    const hangs: SendSpans = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const cut = queueWith(hangs);
    add(cut.queue, MAX_BATCH + 5);
    await cut.queue.close(performance.now() + 5);
    assert.deepEqual(cut.fates, { exported: 0, failed: 0, dropped: MAX_BATCH + 5 });
    add(cut.queue, 1);
    assert.equal(cut.fates.dropped, MAX_BATCH + 6);

    const well = queueWith(() => Promise.resolve(TAKEN), { interval: 60_000 });
    add(well.queue, 7);
    await well.queue.close(soon());
    assert.equal(well.fates.exported, 7);
  });

  test('when closed during a pause before a repetition, does not wait for it', async () => {
    const asked = Promise.withResolvers<void>();
    const { queue, fates } = queueWith(() => {
      asked.resolve();
      return Promise.resolve({ kind: 'retry', reason: 'busy', after: 3_600_000 });
    });
    add(queue, MAX_BATCH);
    await asked.promise;
    await new Promise(setImmediate);
    await queue.close(soon());
    assert.equal(fates.failed, MAX_BATCH);
  });
});
