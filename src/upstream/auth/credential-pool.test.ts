import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PullRateLimit } from '../rate-limit.ts';
import { type CredentialBudget, CredentialPool, chooseCredential, isLow } from './credential-pool.ts';

/** `76/100`: 76 left of 100; `?`: nothing known; `!` in front: aside. */
function standing(text: string): CredentialBudget {
  const [remaining, limit] = text.replace('!', '').split('/');
  const budget =
    remaining === '?'
      ? undefined
      : { remaining: Number(remaining), limit: limit === undefined ? undefined : Number(limit), windowSeconds: 60 };
  return { budget, aside: text.startsWith('!') };
}

describe('isLow', () => {
  const rows: readonly (readonly [string, boolean])[] = [
    ['?', false],
    ['100/100', false],
    ['10/100', false],
    ['9/100', true],
    ['5/20', false],
    ['4/20', true],
    ['4', true],
    ['5', false],
    ['0/100', true],
    ['99/1000', true],
  ];
  for (const [text, expected] of rows) {
    test(`${text}: ${expected}`, () => assert.equal(isLow(standing(text).budget), expected));
  }
});

describe('chooseCredential', () => {
  const rows: readonly (readonly [readonly string[], number, number | undefined])[] = [
    [['?', '?'], 0, 0],
    [['50/100', '?'], 0, 0],
    [['50/100', '90/100'], 0, 0],
    [['9/100', '?'], 0, 1],
    [['9/100', '50/100', '60/100'], 0, 2],
    [['9/100', '60/100', '?'], 0, 2],
    [['9/100', '3/100'], 1, 0],
    [['0/100', '0/100'], 1, 0],
    [['!50/100', '20/100'], 0, 1],
    [['!?', '3/100', '!?'], 0, 1],
    [['!?', '!?'], 0, undefined],
    [['?', '?'], 7, 0],
  ];
  for (const [budgets, current, expected] of rows) {
    test(`${budgets.join(' ')}, before it ${current}: ${expected}`, () => {
      assert.equal(chooseCredential(budgets.map(standing), current), expected);
    });
  }
});

describe('CredentialPool', () => {
  const ann = { name: 'ann' };
  const bob = { name: 'bob' };
  const limit: PullRateLimit = { limit: 100, remaining: 50, windowSeconds: 3600 };
  const none: ReadonlySet<typeof ann> = new Set();

  function stage() {
    const clock = { now: 1_000_000 };
    const pool = new CredentialPool([ann, bob], () => clock.now);
    const choose = (tried = none): string | undefined => pool.choose('pull', tried)?.name;
    return { clock, pool, choose };
  }

  test('keeps to one until it runs low, and comes back to it when its window is over', () => {
    const { clock, pool, choose } = stage();
    assert.equal(choose(), 'ann');
    pool.observe(ann, { ...limit, remaining: 10, credential: 'ann' });
    assert.equal(choose(), 'ann');
    pool.observe(ann, { ...limit, remaining: 9, credential: 'ann' });
    assert.equal(choose(), 'bob');
    pool.observe(bob, { ...limit, remaining: 3, credential: 'bob' });
    assert.equal(choose(), 'ann', 'the one with the most');
    pool.observe(ann, { ...limit, remaining: 2, credential: 'ann' });
    assert.equal(choose(), 'bob');
    clock.now += 3600_000;
    assert.deepEqual(pool.quotas(), []);
    assert.equal(choose(), 'bob');
  });

  test('one that is throttled is put aside for such questions, as long as it was told', () => {
    const { clock, pool, choose } = stage();
    pool.park(ann, 'pull', 40);
    assert.equal(choose(), 'bob');
    assert.equal(pool.wait('pull'), 40_000);
    assert.equal(pool.wait('blob'), undefined);
    pool.park(bob, 'pull', 20);
    assert.equal(choose(), undefined);
    assert.equal(pool.wait('pull'), 20_000);
    assert.equal(pool.choose('check', none)?.name, 'bob', 'other questions go on');
    clock.now += 20_000;
    assert.equal(choose(), 'bob');
  });

  test('without a time, for its window, or a quarter of an hour where that is shorter', () => {
    const { pool } = stage();
    pool.park(ann, 'pull', undefined);
    assert.equal(pool.wait('pull'), 900_000);
    pool.observe(bob, { ...limit, windowSeconds: 60, credential: 'bob' });
    pool.park(bob, 'pull', undefined);
    assert.equal(pool.wait('pull'), 60_000);
  });

  test('one that was refused is left out for a minute, unless no other is left', () => {
    const { clock, pool, choose } = stage();
    pool.refuse(ann);
    assert.equal(choose(), 'bob');
    assert.equal(choose(new Set([bob])), 'ann');
    assert.equal(choose(new Set([ann, bob])), undefined);
    pool.refuse(bob);
    assert.notEqual(choose(), undefined, 'one may have been mended');
    assert.equal(pool.wait('pull'), undefined, 'waiting does not mend it');
    clock.now += 60_000;
    pool.park(bob, 'pull', 5);
    assert.equal(choose(), 'ann');
  });

  test('a clock that was set back ends what was to last', () => {
    const { clock, pool, choose } = stage();
    pool.observe(ann, { ...limit, credential: 'ann' });
    pool.refuse(ann);
    pool.park(bob, 'pull', 3600);
    clock.now -= 1;
    assert.deepEqual(
      [choose(), choose(new Set([ann])), pool.wait('pull'), pool.quotas()],
      ['ann', 'bob', undefined, []],
    );
  });

  test('says what is left, in the order of the configuration', () => {
    const { pool } = stage();
    pool.observe(bob, { ...limit, credential: 'bob' });
    pool.observe(ann, { ...limit, remaining: 1, credential: 'ann' });
    assert.deepEqual(
      pool.quotas().map(({ credential, remaining }) => [credential, remaining]),
      [
        ['ann', 1],
        ['bob', 50],
      ],
    );
  });

  test('a stranger is a mistake', () => {
    assert.throws(() => stage().pool.park({ name: 'x' }, 'pull', 1), RangeError);
  });
});
