import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { digestOf } from '../../oci/index.ts';
import { byWeight } from './weighted.ts';

const names = (upstreams: readonly { readonly name: string }[]): string[] => upstreams.map(({ name }) => name);
const digest = (at: number): string => digestOf(Buffer.from(`content ${at}`));

describe('byWeight', () => {
  const cases: readonly (readonly number[])[] = [
    [1, 1],
    [3, 1],
    [1, 2, 7],
    [1000, 1],
    [5, 5, 5, 5, 5],
  ];
  for (const weights of cases) {
    test(`the weights ${weights.join(', ')} are the shares of digests, within four standard deviations`, () => {
      const upstreams = weights.map((weight, at) => ({ name: `up${at}.example.com`, weight }));
      const sum = weights.reduce((a, b) => a + b);
      const many = 20_000;
      const counts = new Map<string, number>();
      for (let at = 0; at < many; at += 1) {
        const first = byWeight(upstreams, digest(at))[0]?.name ?? '';
        counts.set(first, (counts.get(first) ?? 0) + 1);
      }
      for (const { name, weight } of upstreams) {
        const share = weight / sum;
        const deviation = Math.sqrt(many * share * (1 - share));
        const off = Math.abs((counts.get(name) ?? 0) - many * share);
        assert.ok(off <= 4 * deviation, `${name}: ${counts.get(name)} of ${many}, expected ${many * share}`);
      }
    });
  }

  test('the second place is by weight among the rest', () => {
    const upstreams = [
      { name: 'a', weight: 2 },
      { name: 'b', weight: 3 },
      { name: 'c', weight: 1 },
    ];
    let seconds = 0;
    let firsts = 0;
    for (let at = 0; at < 20_000; at += 1) {
      const [first, second] = names(byWeight(upstreams, digest(at)));
      if (first !== 'a') continue;
      firsts += 1;
      if (second === 'b') seconds += 1;
    }
    assert.ok(Math.abs(seconds / firsts - 0.75) < 0.03, `${seconds} of ${firsts}`);
  });

  const upstreams = fc.uniqueArray(
    fc.record({ name: fc.string({ minLength: 1, maxLength: 12 }), weight: fc.nat({ max: 1000 }) }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 8 },
  );

  test('it is an order of just these, the same each time, with weights of 0 last as they were', () => {
    fc.assert(
      fc.property(upstreams, fc.string(), (given, key) => {
        const ordered = byWeight(given, key);
        assert.deepEqual(ordered, byWeight(given, key));
        assert.deepEqual(new Set(ordered), new Set(given));
        assert.equal(ordered.length, given.length);
        const idle = given.filter(({ weight }) => weight === 0);
        assert.deepEqual(ordered.slice(given.length - idle.length), idle);
      }),
    );
  });

  test('it does not depend on the order in which they are listed, nor does one that is added move others', () => {
    fc.assert(
      fc.property(upstreams, fc.string(), (given, key) => {
        const weighted = given.filter(({ weight }) => weight > 0);
        assert.deepEqual(names(byWeight(weighted.toReversed(), key)), names(byWeight(weighted, key)));
        const more = [...weighted, { name: 'one more, which none of them is', weight: 5 }];
        const rest = byWeight(more, key).filter(({ name }) => name !== 'one more, which none of them is');
        assert.deepEqual(names(rest), names(byWeight(weighted, key)));
      }),
    );
  });
});
