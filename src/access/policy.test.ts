import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { AccessRequest, Action } from './gate.ts';
import { Policy, type PolicySpec, type RuleSpec, type Ruling } from './policy.ts';
import { ANONYMOUS, type Principal } from './principal.ts';

const NAMES = ['alice', 'bob', 'constructor', 'token:alice', 'token:ci'];
const ACTIONS: readonly Action[] = ['pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy'];
const PATTERNS = ['**', '*/a', 'r/**', 'r/a', 'r/*', 'r/a/*', 'mirror:m/**', 'mirror:m/x', 'mirror:*/x', 's/?'];
const PLACES = ['r/a', 'r/a/b', 'r/b', 's/a', 's/ab', 'mirror:m/x', 'mirror:m/x/y', 'mirror:n/x'];

const rule = fc.record<RuleSpec>({
  who: fc.subarray([...NAMES, '@g', '@h', '@toString', 'anonymous'], { minLength: 1 }),
  may: fc.subarray([...ACTIONS], { minLength: 1 }),
  on: fc.subarray(PATTERNS),
  private: fc.boolean(),
});
const spec = fc.record<PolicySpec>({
  groups: fc.record({ g: fc.subarray(NAMES), h: fc.subarray(NAMES) }),
  rules: fc.array(rule, { maxLength: 5 }),
});
const request = fc.record<AccessRequest>({
  principal: fc.constantFrom(ANONYMOUS, ...NAMES.map(principalOf)),
  action: fc.constantFrom(...ACTIONS),
  repository: fc.constantFrom(
    undefined,
    ...PLACES.map((place) => ({
      registry: place.split('/')[0] ?? '',
      repository: place.split('/').slice(1).join('/'),
    })),
  ),
});

function principalOf(text: string): Principal {
  const [, name] = /^token:(.*)$/.exec(text) ?? [];
  return name === undefined ? { kind: 'user', name: text } : { kind: 'token', name };
}

/** Written from the words of docs/access.md, without the code under test. */
function model({ groups, rules }: PolicySpec, { principal, action, repository }: AccessRequest): Ruling | undefined {
  const own =
    { user: '', token: 'token:', anonymous: '', operator: '' }[principal.kind] +
    ('name' in principal ? principal.name : '');
  const found: Ruling[] = [];
  if (principal.kind === 'anonymous' && (action === 'push' || action === 'delete' || action === 'admin'))
    return undefined;
  for (const [at, { who, may, on, private: coversPrivate }] of rules.entries()) {
    let isNamed = false;
    for (const name of who) {
      if (principal.kind !== 'anonymous' && name === own) isNamed = true;
      const members = Object.entries(groups).find(([group]) => `@${group}` === name)?.[1] ?? [];
      if (principal.kind !== 'anonymous' && members.includes(own)) isNamed = true;
    }
    if ((!isNamed && !who.includes('anonymous')) || !may.includes(action)) continue;
    if (action === 'status' || action === 'admin' || action === 'proxy') return { rule: at, onlyPublic: false };
    if (repository === undefined) continue;
    const parts = [repository.registry, ...repository.repository.split('/')];
    for (const text of on) {
      if (text.startsWith('mirror:') === parts[0]?.startsWith('mirror:') && fits(text.split('/'), parts)) {
        found.push({ rule: at, onlyPublic: coversPrivate !== true && !isNamed });
        break;
      }
    }
  }
  return found.find(({ onlyPublic }) => !onlyPublic) ?? found[0];
}

/** `**` stands alone in these patterns, for one component or more behind a name, and for everything in front. */
function fits([first, ...rest]: readonly string[], [part, ...parts]: readonly string[]): boolean {
  if (first === undefined || part === undefined) return first === undefined && part === undefined;
  if (first === '**') return true;
  const isSame =
    first === part ||
    first === '*' ||
    (first === '?' && part.length === 1) ||
    (first === 'mirror:*' && part.startsWith('mirror:'));
  return isSame && fits(rest, parts);
}

describe('Policy', () => {
  test('decides as the model does, whatever the rules', () => {
    fc.assert(
      fc.property(spec, request, (rules, asked) => {
        assert.deepEqual(new Policy(rules).decide(asked), model(rules, asked));
      }),
      { numRuns: 10_000 },
    );
  });

  test('without rules nothing is allowed', () => {
    const policy = new Policy({ groups: {}, rules: [] });
    for (const action of ACTIONS) {
      const asked = { principal: ANONYMOUS, action, repository: { registry: 'r', repository: 'a' } };
      assert.equal(policy.decide(asked), undefined);
    }
  });
});
