import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { layoutName } from './name.ts';

describe('layoutName', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['apps', 'team/web', 'apps+2Fteam+2Fweb'],
    ['apps', 'a', 'apps+2Fa'],
    ['apps', 'a/blobs', 'apps+2Fa+2Fblobs'],
    ['localhost:5000', 'a_b-c.d', 'localhost+3A5000+2Fa_b-c.d'],
    ['Apps', 'x', '+41pps+2Fx'],
    ['..', 'x', '+2E.+2Fx'],
    ['apps', 'ü+2F%', 'apps+2F+C3+BC+2B2+46+25'],
  ];
  for (const [registry, repository, expected] of cases) {
    test(`of ${repository} at ${registry} is ${expected}`, () => {
      assert.equal(layoutName({ registry, repository }), expected);
    });
  }

  test('has at most 255 bytes, and differs where only the end does', () => {
    const names = new Set<string>();
    for (const length of [100, 200, 246, 247, 248, 255]) {
      for (const end of ['a', 'b', '/']) {
        const name = layoutName({ registry: 'registry.example', repository: `${'x/'.repeat(length / 2)}${end}` });
        assert.ok(name.length <= 255, name);
        assert.match(name, /^(?:[a-z0-9._-]|\+[0-9A-F]{2})+(?:\+h[0-9a-f]{64})?$/);
        names.add(name);
      }
    }
    assert.equal(names.size, 6 * 3 - 3, '246 and 247 are of one name');
    assert.equal(layoutName({ registry: 'apps', repository: 'x'.repeat(248) }).length, 255);
    assert.ok(!layoutName({ registry: 'apps', repository: 'x'.repeat(248) }).includes('+h'));
    assert.match(layoutName({ registry: 'apps', repository: 'x'.repeat(249) }), /^apps\+2Fx{182}\+h[0-9a-f]{64}$/);
  });

  test('never gives two repositories one directory', () => {
    const parts = ['a', 'a+2Fb', 'b', '+2F', '/', 'a.', '.', 'A', '+', 'h', '+h'];
    const seen = new Map<string, string>();
    for (const registry of parts.filter((each) => !each.includes('/'))) {
      for (const repository of parts.flatMap((one) => parts.map((other) => `${one}${other}`))) {
        const name = layoutName({ registry, repository });
        assert.equal(seen.get(name) ?? `${registry}/${repository}`, `${registry}/${repository}`, name);
        seen.set(name, `${registry}/${repository}`);
      }
    }
  });
});
