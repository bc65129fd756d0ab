import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CurrentGeneration } from './current.ts';

describe('Live', () => {
  test('what began under one goes on under it, with everything it sets off', async () => {
    const live = new CurrentGeneration('one');
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const running = live.within(async (current) => {
      seen.push(current);
      await gate.promise;
      seen.push(live.here, live.current);
      await nextTurn();
      seen.push(live.here);
    });
    live.replace('two');
    gate.resolve();
    await running;
    assert.deepEqual(seen, ['one', 'one', 'two', 'one']);
    assert.equal(live.here, 'two');
    assert.equal(
      live.within(() => live.here),
      'two',
    );
  });
});
