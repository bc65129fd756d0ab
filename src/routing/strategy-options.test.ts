import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complete } from '../../test/support/transport-spec.ts';
import { composeCatalogue, type RegistryOptions } from './compose-catalogue.ts';

function specOf(registry: RegistryOptions) {
  const { catalogue, problems } = composeCatalogue({ registries: { apps: registry }, complete });
  assert.deepEqual(problems, []);
  return catalogue?.byName('apps');
}

const upstreams = [
  { url: 'https://a.example', weight: 3 },
  { url: 'https://b.example' },
  { url: 'https://a.example/x' },
];

describe('the strategy of a registry', () => {
  test('is none where it is ordered, however that is written', () => {
    for (const registry of [{}, { strategy: 'ordered' }, { strategy: { by: 'ordered', tags: true } }] as const) {
      assert.equal(specOf({ ...registry, upstreams })?.strategy, undefined);
    }
  });

  test('has the weights by the names of upstreams, 1 where there is none', () => {
    assert.deepEqual(specOf({ strategy: 'weighted', upstreams })?.strategy, {
      by: 'weighted',
      tags: false,
      weights: new Map([
        ['a.example', 3],
        ['b.example', 1],
        ['a.example#2', 1],
      ]),
    });
  });

  test('has a plugin by its path', () => {
    const { by, plugin, tags } =
      specOf({ strategy: { plugin: '/etc/routing.mjs', tags: true }, upstreams })?.strategy ?? {};
    assert.deepEqual([by, plugin, tags], ['plugin', '/etc/routing.mjs', true]);
  });

  test('leaves the upstreams as they are: another weight is no other upstream', () => {
    for (const upstream of specOf({ strategy: 'weighted', upstreams })?.upstreams ?? []) {
      assert.ok(!('weight' in upstream));
    }
  });
});
