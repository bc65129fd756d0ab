import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MAX_REGISTRY_MAP_LENGTH, parseRegistryMap } from './registry-map.ts';

describe('parseRegistryMap()', () => {
  test("reads crproxy's file as it is", () => {
    const text = JSON.stringify({
      default: 'https://registry-1.docker.io',
      ghcr: 'https://ghcr.io',
      k8s: 'https://registry.k8s.io/',
      apps: 'http://localhost:5001/team/v2/',
      'registry.corp.example': 'https://10.0.0.5:5000',
    });
    const { map, problems } = parseRegistryMap(text);
    assert.deepEqual(problems, []);
    assert.equal(map?.default, 'https://registry-1.docker.io');
    assert.deepEqual(
      map.entries.map(({ key, url }) => [key, url.url]),
      [
        ['ghcr', 'https://ghcr.io'],
        ['k8s', 'https://registry.k8s.io'],
        ['apps', 'http://localhost:5001/team'],
        ['registry.corp.example', 'https://10.0.0.5:5000'],
      ],
    );
  });

  test('an empty map is one', () => assert.deepEqual(parseRegistryMap('{}').map, { default: undefined, entries: [] }));

  test('reports everything that is wrong at once', () => {
    const { map, problems } = parseRegistryMap(
      JSON.stringify({
        default: 'registry-1.docker.io',
        ghcr: 5,
        'a b': 'https://a.example',
        v2: 'https://b.example',
        quay: 'ftp://quay.io',
        mine: 'https://user:hunter2@c.example',
        signed: 'https://c.example/?token=hunter2',
      }),
    );
    assert.equal(map, undefined);
    assert.deepEqual(
      problems.map((problem) => problem.slice(0, problem.indexOf(':'))),
      ['default', 'ghcr', 'a b', 'v2', 'quay', 'mine', 'signed'].map((key) => `registry_map.${key}`),
    );
    assert.match(problems[0] ?? '', /found "registry-1\.docker\.io", expected an http:\/\/ or https:\/\/ address/);
    assert.doesNotMatch(problems.join('\n'), /hunter2/);
  });

  for (const text of ['', '[]', '"x"', 'null', '{"a":', ' '.repeat(MAX_REGISTRY_MAP_LENGTH + 1)]) {
    test(`refuses ${JSON.stringify(text.slice(0, 8))}`, () => {
      const { map, problems } = parseRegistryMap(text);
      assert.equal(map, undefined);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', /^registry_map: /);
    });
  }

  test('refuses more entries than any map has registries', () => {
    const entries = Array.from({ length: 1001 }, (_, each) => [`r${each}`, 'https://ghcr.io']);
    assert.match(parseRegistryMap(JSON.stringify(Object.fromEntries(entries))).problems[0] ?? '', /1001 entries/);
  });

  test('takes __proto__ for a bad word', () => {
    assert.match(parseRegistryMap('{"__proto__": "https://ghcr.io"}').problems[0] ?? '', /registry_map\.__proto__/);
  });
});

describe('parseRegistryMap() refuses the names of reserved paths', () => {
  for (const name of ['api', 'ui', 'API']) {
    test(name, () => {
      const { map, problems } = parseRegistryMap(JSON.stringify({ [name]: 'https://ghcr.io' }));
      assert.equal(map, undefined);
      assert.match(problems.join(), /expected another name: \/(api|ui) is reserved/);
    });
  }
});
