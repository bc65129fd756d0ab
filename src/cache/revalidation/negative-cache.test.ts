import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NegativeCache } from './negative-cache.ts';

describe('NotFound', () => {
  test('repeats what the upstream said for as long as that is believed', () => {
    let now = 1000;
    const notFound = new NegativeCache({ notFoundFor: 10, now: () => now });
    notFound.assertNotMissing('a');
    notFound.note('a', new Error('no a'));
    now += 9;
    assert.throws(() => notFound.assertNotMissing('a'), /no a/);
    notFound.assertNotMissing('b');
    now += 1;
    notFound.assertNotMissing('a');
  });

  test('ends where the clock was set back, where it is told, and where nothing is to be remembered', () => {
    let now = 1000;
    const notFound = new NegativeCache({ notFoundFor: 10, now: () => now });
    notFound.note('a', new Error('no'));
    now -= 1;
    notFound.assertNotMissing('a');
    notFound.note('a', new Error('no'));
    notFound.forget('a');
    notFound.assertNotMissing('a');
    notFound.note('a', new Error('no'));
    notFound.clear();
    notFound.assertNotMissing('a');
    const never = new NegativeCache({ notFoundFor: 0, now: () => now });
    never.note('a', new Error('no'));
    never.assertNotMissing('a');
  });

  test('remembers ten thousand at the most', () => {
    const notFound = new NegativeCache({ notFoundFor: 1000, now: () => 0 });
    for (let i = 0; i <= 10_000; i += 1) notFound.note(String(i), new Error('no'));
    notFound.assertNotMissing('0');
    assert.throws(() => notFound.assertNotMissing('1'));
  });
});
