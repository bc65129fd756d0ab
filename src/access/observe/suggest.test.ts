import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { atOnce } from '../../lib/index.ts';
import type { Action } from '../gate.ts';
import { Policy } from '../policy.ts';
import type { Principal } from '../principal.ts';
import type { Need } from './needs.ts';
import { type SuggestedRule, type SuggestOptions, suggestRules as suggestInPieces } from './suggest.ts';

const PRINCIPALS = ['anonymous', 'alice', 'bob', 'constructor'];
const PLACES = ['r/n/a', 'r/n/b', 'r/n/c', 'r/n/d/e', 'r/m/a', 'r/a', 's/n/a', 'mirror:x/a', 'mirror:x/a/b/**'];

const suggestRules = (needs: readonly Need[], options?: SuggestOptions) => atOnce(suggestInPieces(needs, options));

function need(over: Partial<Need> = {}): Need {
  const base = { principal: 'alice', action: 'pull', target: 'r/n/a', answered: 1, audited: 0, answeredAt: 10 };
  return { ...base, denied: 0, deniedAt: undefined, ...over };
}

const outcome = fc.oneof(
  fc.record({
    answered: fc.integer({ min: 1, max: 9 }),
    answeredAt: fc.integer({ min: 1, max: 9 }),
    denied: fc.constantFrom(0, 3),
    deniedAt: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({
    answered: fc.constant(0),
    answeredAt: fc.constant(undefined),
    denied: fc.constant(2),
    deniedAt: fc.constant(5),
  }),
);
const needs = fc
  .uniqueArray(
    fc.oneof(
      fc.record({
        principal: fc.constantFrom(...PRINCIPALS),
        action: fc.constant('pull'),
        target: fc.constantFrom(...PLACES),
      }),
      fc.record({
        principal: fc.constantFrom(...PRINCIPALS),
        action: fc.constant('catalog'),
        target: fc.constantFrom('r', 's'),
      }),
      fc.record({
        principal: fc.constantFrom(...PRINCIPALS),
        action: fc.constantFrom('status', 'proxy'),
        target: fc.constant(''),
      }),
    ),
    { selector: (each) => JSON.stringify(each), maxLength: 30 },
  )
  .chain((keys) =>
    fc.tuple(
      ...keys.map((key) =>
        outcome.map(({ deniedAt, ...rest }): Need => {
          return { ...key, ...rest, audited: 0, deniedAt: rest.denied > 0 ? deniedAt : undefined };
        }),
      ),
    ),
  );

function policyOf(rules: readonly SuggestedRule[]): Policy {
  const specs = rules.map(({ who, may, on }) => ({ who, may: may as Action[], on: on.map(({ pattern }) => pattern) }));
  return new Policy({ groups: {}, rules: specs });
}

function mayDo(policy: Policy, { principal, action, target }: Pick<Need, 'principal' | 'action' | 'target'>): boolean {
  const who: Principal = principal === 'anonymous' ? { kind: 'anonymous' } : { kind: 'user', name: principal };
  const slash = target.indexOf('/');
  const repository =
    target === ''
      ? undefined
      : { registry: target.slice(0, slash), repository: target.slice(slash + 1).replace('**', 'some/path') };
  return policy.decide({ principal: who, action: action as Action, repository }) !== undefined;
}

/** Everything that can be asked: by each principal, of each place. */
const ASKED = PRINCIPALS.flatMap((principal) => [
  ...[...PLACES, 'r/n', 'r/n/x', 'r/n/d', 's/m/a', 'mirror:x/b', 'mirror:x/a/c/**', 'mirror:y/a'].map((target) => ({
    principal,
    action: 'pull',
    target,
  })),
  { principal, action: 'status', target: '' },
  { principal, action: 'proxy', target: '' },
]);

describe('suggestRules()', () => {
  test('allows what was answered, and nothing else', () => {
    fc.assert(
      fc.property(needs, (observed) => {
        const policy = policyOf(suggestRules(observed).rules);
        for (const asked of ASKED) {
          const expected = observed.some(
            ({ principal, action, target, answered }) =>
              answered > 0 &&
              [asked.principal, 'anonymous'].includes(principal) &&
              action === asked.action &&
              target === asked.target,
          );
          assert.equal(mayDo(policy, asked), expected, JSON.stringify(asked));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('lets a list show only what its principal may pull', () => {
    fc.assert(
      fc.property(needs, (observed) => {
        const policy = policyOf(suggestRules(observed).rules);
        for (const { principal, target } of ASKED.filter(({ action }) => action === 'pull')) {
          if (!mayDo(policy, { principal, action: 'catalog', target })) continue;
          assert.ok(mayDo(policy, { principal, action: 'pull', target }));
          const lists = observed.filter((each) => each.action === 'catalog' && each.answered > 0);
          const isListed = lists.some(
            (each) => target.startsWith(`${each.target}/`) && [principal, 'anonymous'].includes(each.principal),
          );
          assert.ok(isListed, `${principal} ${target}`);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('generalized, allows all that was answered, and nothing that was only refused', () => {
    fc.assert(
      fc.property(needs, (observed) => {
        const policy = policyOf(suggestRules(observed, { generalize: true }).rules);
        const exact = policyOf(suggestRules(observed).rules);
        for (const { principal, action, target, answered } of observed) {
          if (action === 'catalog') continue;
          const asked = { principal, action, target };
          if (answered > 0) assert.ok(mayDo(policy, asked), JSON.stringify(asked));
          else if (!mayDo(exact, asked)) assert.ok(!mayDo(policy, asked), JSON.stringify(asked));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('says each thing once: no rule repeats what an earlier one says', () => {
    fc.assert(
      fc.property(needs, fc.boolean(), (observed, generalize) => {
        const { rules } = suggestRules(observed, { generalize });
        const said = rules.flatMap(({ who, may, on }) =>
          who.flatMap((one) =>
            may.flatMap((action) =>
              (on.length === 0 ? [''] : on.map(({ pattern }) => pattern)).map((pattern) =>
                [one, action, pattern].join(),
              ),
            ),
          ),
        );
        assert.equal(new Set(said).size, said.length, said.join('\n'));
      }),
    );
  });

  test('joins principals with the same needs, and sums up', () => {
    const { rules } = suggestRules([
      need({ principal: 'bob', answered: 2, audited: 1, answeredAt: 30 }),
      need({ principal: 'bob', target: 'r/n/b', answered: 5 }),
      need({ target: 'r/n/b' }),
      need(),
      need({ principal: 'carol' }),
    ]);
    assert.deepEqual(
      rules.map(({ who, on, requests, audited, lastAt }) => ({
        who,
        on: on.map((one) => one.pattern),
        requests,
        audited,
        lastAt,
      })),
      [
        { who: ['alice', 'bob'], on: ['r/n/a', 'r/n/b'], requests: 9, audited: 1, lastAt: 30 },
        { who: ['carol'], on: ['r/n/a'], requests: 1, audited: 0, lastAt: 10 },
      ],
    );
    assert.deepEqual(rules[0]?.on[0], { pattern: 'r/n/a', requests: 3, audited: 1, lastAt: 30 });
  });

  test('generalizes from the third repository of a namespace on, and across nothing wider', () => {
    const of = (...targets: readonly string[]) =>
      suggestRules(
        targets.map((target) => need({ target })),
        { generalize: true },
      ).rules.flatMap(({ on }) =>
        on.map(({ pattern, repositories }) => (repositories === undefined ? pattern : `${pattern} (${repositories})`)),
      );
    assert.deepEqual(of('r/n/a', 'r/n/b'), ['r/n/a', 'r/n/b']);
    assert.deepEqual(of('r/n/a', 'r/n/b', 'r/n/c/d', 'r/m/a'), ['r/m/a', 'r/n/** (3)']);
    assert.deepEqual(of('r/a', 'r/b', 'r/c'), ['r/a', 'r/b', 'r/c']);
    assert.deepEqual(of('mirror:x/n/a/**', 'mirror:x/n/b/**', 'mirror:x/n/c'), ['mirror:x/n/** (3)']);
  });

  test('leaves a namespace as it is where a pattern for it would allow what was refused, of anonymous to anyone', () => {
    const refusal = { target: 'r/n/d', answered: 0, answeredAt: undefined, denied: 1, deniedAt: 5 };
    const of = (principal: string, refused: string) =>
      suggestRules(
        [
          ...['r/n/a', 'r/n/b', 'r/n/c'].map((target) => need({ principal, target })),
          need({ ...refusal, principal: refused }),
        ],
        { generalize: true },
      ).rules.flatMap(({ on }) => on.map(({ pattern }) => pattern));
    assert.deepEqual(of('alice', 'alice'), ['r/n/a', 'r/n/b', 'r/n/c']);
    assert.deepEqual(of('alice', 'bob'), ['r/n/**']);
    assert.deepEqual(of('anonymous', 'bob'), ['r/n/a', 'r/n/b', 'r/n/c']);
  });

  test('leaves out of the rules for users what every client may do', () => {
    const { rules } = suggestRules([need({ principal: 'anonymous' }), need(), need({ target: 'r/n/b' })]);
    assert.deepEqual(
      rules.map(({ who, on }) => [...who, ...on.map(({ pattern }) => pattern)]),
      [
        ['anonymous', 'r/n/a'],
        ['alice', 'r/n/b'],
      ],
    );
  });

  test('lists what was refused, the most frequent first, without what clients ask before they log in', () => {
    const { refused, rules } = suggestRules([
      need(),
      need({ principal: 'anonymous', answered: 0, answeredAt: undefined, denied: 7, deniedAt: 3 }),
      need({ principal: 'bob', answered: 0, answeredAt: undefined, denied: 1, deniedAt: 4 }),
      need({ principal: 'bob', target: 'r/x', answered: 0, answeredAt: undefined, denied: 2, deniedAt: 4 }),
    ]);
    assert.deepEqual(
      refused.map(({ principal, target, requests }) => [principal, target, requests]),
      [
        ['bob', 'r/x', 2],
        ['bob', 'r/n/a', 1],
      ],
    );
    assert.equal(rules.length, 1);
  });

  test('marks what was refused since it was answered, and leaves it to a user beside anonymous', () => {
    const { rules } = suggestRules([need({ principal: 'anonymous', denied: 1, deniedAt: 20 }), need()]);
    assert.deepEqual(
      rules.map(({ who, on }) => [who, on[0]?.refusedAt]),
      [
        [['anonymous'], 20],
        [['alice'], undefined],
      ],
    );
  });

  test('leaves out what the configuration refuses, with the reason', () => {
    const { rules, left } = suggestRules([need({ target: 'gone/a/b', answered: 4 }), need()], {
      faultOf: ({ target }) => (target.startsWith('gone/') ? 'no such registry' : undefined),
    });
    assert.deepEqual(
      rules.flatMap(({ on }) => on.map(({ pattern }) => pattern)),
      ['r/n/a'],
    );
    assert.deepEqual(left, [
      { principal: 'alice', action: 'pull', target: 'gone/a/b', requests: 4, lastAt: 10, reason: 'no such registry' },
    ]);
  });

  test('a list without a pull of its registry gets no rule', () => {
    const { rules, left } = suggestRules([need({ action: 'catalog', target: 's' })]);
    assert.deepEqual(rules, []);
    assert.match(left[0]?.reason ?? '', /none was pulled/);
  });

  test('private repositories of anonymous have a rule of their own, which is never generalized', () => {
    const targets = ['r/n/a', 'r/n/b', 'r/n/c', 'r/n/d'];
    const { rules } = suggestRules(
      targets.map((target) => need({ principal: 'anonymous', target })),
      { generalize: true, isPrivate: (target) => target === 'r/n/d' },
    );
    assert.deepEqual(
      rules.map(({ on, private: isPrivate }) => [on.map(({ pattern }) => pattern), isPrivate]),
      [
        [['r/n/**'], undefined],
        [['r/n/d'], true],
      ],
    );
  });
});
