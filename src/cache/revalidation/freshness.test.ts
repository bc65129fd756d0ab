import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCooldown, createFreshness, isFresh } from './freshness.ts';

const nginx = { registry: 'docker.io', repository: 'library/nginx' };

describe('createFreshness()', () => {
  test('is ten minutes where nothing is said', () => {
    assert.equal(createFreshness({})(nginx, 'latest'), 600_000);
  });

  test('takes the first rule that matches, else the default', () => {
    const freshness = createFreshness({
      freshFor: 5,
      rules: [
        { match: 'docker.io/library/*:latest', freshFor: 1 },
        { match: 'docker.io/**', freshFor: 2 },
      ],
    });
    assert.equal(freshness(nginx, 'latest'), 1);
    assert.equal(freshness(nginx, '1.27'), 2);
    assert.equal(freshness({ registry: 'ghcr.io', repository: 'a/b' }, 'latest'), 5);
  });
});

describe('rules that set one key', () => {
  const rules = [
    { match: 'docker.io/library/*:latest', cooldown: 7 },
    { match: 'docker.io/**', freshFor: 2 },
    { match: '**', freshFor: 3, cooldown: 9 },
  ];

  test('leave the others to the rules behind them', () => {
    const [freshness, cooldown] = [createFreshness({ rules }), createCooldown({ rules })];
    assert.deepEqual([freshness(nginx, 'latest'), cooldown(nginx, 'latest')], [2, 7]);
    assert.deepEqual([freshness(nginx, '1'), cooldown(nginx, '1')], [2, 9]);
    assert.equal(createCooldown({})(nginx, 'latest'), 0);
    assert.equal(createCooldown({ rules: [{ match: '**', cooldown: 0 }, ...rules] })(nginx, '1'), 0);
  });
});

describe('isFresh()', () => {
  const rows: readonly [checkedAt: number, freshFor: number, now: number, fresh: boolean, why: string][] = [
    [100, 10, 105, true, 'within its time'],
    [100, 10, 110, false, 'just over'],
    [100, 0, 100, false, 'zero asks every time'],
    [200, 10, 100, false, 'confirmed in the future: the clock was set back'],
  ];
  for (const [checkedAt, freshFor, now, fresh, why] of rows) {
    test(why, () => assert.equal(isFresh(checkedAt, freshFor, now), fresh));
  }
});
