import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseChallenges } from './challenge.ts';

const HUB =
  'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"';
const HUB_PARAMS = {
  realm: 'https://auth.docker.io/token',
  service: 'registry.docker.io',
  scope: 'repository:library/nginx:pull',
};

type Expected = readonly (readonly [scheme: string, params: Readonly<Record<string, string>>])[];

const TABLE: readonly (readonly [why: string, header: string, expected: Expected])[] = [
  ['Docker Hub', HUB, [['bearer', HUB_PARAMS]]],
  [
    'ECR',
    'Basic realm="https://1.dkr.ecr/",service="ecr.amazonaws.com"',
    [['basic', { realm: 'https://1.dkr.ecr/', service: 'ecr.amazonaws.com' }]],
  ],
  [
    'a comma in a quoted value',
    'Bearer realm="r",scope="repository:a:pull,push repository:b:pull"',
    [['bearer', { realm: 'r', scope: 'repository:a:pull,push repository:b:pull' }]],
  ],
  ['escapes', 'Basic realm="a \\"b\\" \\\\c"', [['basic', { realm: 'a "b" \\c' }]]],
  [
    'two challenges in one header',
    'Basic realm="x", Bearer realm="y",service="z"',
    [
      ['basic', { realm: 'x' }],
      ['bearer', { realm: 'y', service: 'z' }],
    ],
  ],
  [
    'schemes without parameters',
    'Negotiate, NTLM, Basic realm="x"',
    [
      ['negotiate', {}],
      ['ntlm', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  [
    'a token68',
    'Negotiate YII/abc+d==, Basic realm="x"',
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  ['spaces around the equals sign', 'Bearer realm = "x" , service="y"', [['bearer', { realm: 'x', service: 'y' }]]],
  [
    'an unquoted URL',
    'Bearer realm=https://x.example/token,service=x',
    [['bearer', { realm: 'https://x.example/token', service: 'x' }]],
  ],
  ['names in capitals', 'BEARER Realm="x"', [['bearer', { realm: 'x' }]]],
  ['the first of two equal names', 'Bearer realm="good",realm="evil"', [['bearer', { realm: 'good' }]]],
  [
    'a name of the prototype',
    'Bearer __proto__="x",realm="y"',
    [
      [
        'bearer',
        Object.assign(Object.create(null) as object, { ['__proto__']: 'x', realm: 'y' }) as Record<string, string>,
      ],
    ],
  ],
  [
    'an unclosed quote ends the reading',
    'Basic realm="x", Bearer realm="y',
    [
      ['basic', { realm: 'x' }],
      ['bearer', {}],
    ],
  ],
  ['empty list elements', ', ,Bearer realm="x",, ,', [['bearer', { realm: 'x' }]]],
  ['nothing', '', []],
  ['no token', '"Bearer" realm="x"', []],
  ['too long a header', `Bearer realm="${'x'.repeat(9000)}"`, []],
];

describe('parseChallenges', () => {
  for (const [why, header, expected] of TABLE) {
    test(why, () => {
      const found = parseChallenges(header).map(({ scheme, params }) => [scheme, Object.entries(params)]);
      assert.deepEqual(
        found,
        expected.map(([scheme, params]) => [scheme, Object.entries(params)]),
      );
    });
  }

  test('no header is no challenge', () => {
    assert.deepEqual(parseChallenges(undefined), []);
  });

  test('stops at a bound of challenges and parameters', () => {
    assert.equal(parseChallenges('Basic a="b", '.repeat(100)).length, 8);
    const many = Array.from({ length: 100 }, (_, index) => `p${index}="x"`).join(',');
    assert.equal(Object.keys(parseChallenges(`Bearer ${many}`)[0]?.params ?? {}).length <= 17, true);
  });

  test('whatever comes, it ends, and quickly', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~\t]*$/, { size: 'large' }), (header) => {
        assert.equal(parseChallenges(header).length <= 8, true);
      }),
    );
    const startedAt = performance.now();
    for (const evil of ['"\\', '= ', 'a=', ', ', '\\"', 'a b ']) parseChallenges(`Bearer a=${evil.repeat(2000)}`);
    assert.equal(performance.now() - startedAt < 500, true);
  });

  test('what is written can be read', () => {
    const value = fc.stringMatching(/^[ -~]{0,40}$/);
    fc.assert(
      fc.property(value, value, (realm, scope) => {
        const quote = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;
        const [challenge] = parseChallenges(`Bearer realm=${quote(realm)}, scope=${quote(scope)}`);
        assert.deepEqual([challenge?.params['realm'], challenge?.params['scope']], [realm, scope]);
      }),
    );
  });
});
