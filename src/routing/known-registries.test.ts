import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isPublicHost, isRegistryName } from './host.ts';
import {
  KNOWN_REGISTRIES,
  knownRegistryByAlias,
  knownRegistryByHost,
  knownRegistryByPattern,
} from './known-registries.ts';

describe('KNOWN_REGISTRIES', () => {
  // The aliases of crproxy's own registrymap.json, which its users have in their DNS.
  const crproxy = {
    docker: 'https://registry-1.docker.io',
    ecr: 'https://public.ecr.aws',
    gcr: 'https://gcr.io',
    ghcr: 'https://ghcr.io',
    k8s: 'https://registry.k8s.io',
    k8sgcr: 'https://k8s.gcr.io',
    quay: 'https://quay.io',
  };
  for (const [alias, url] of Object.entries(crproxy)) {
    test(`${alias} leads to ${url}`, () => assert.equal(knownRegistryByAlias(alias)?.url, url));
  }

  test('gives every name, host and alias to one registry only', () => {
    const words = KNOWN_REGISTRIES.flatMap(({ name, hosts, aliases }) => [name, ...hosts, ...aliases]);
    assert.equal(new Set(words).size, words.length);
  });

  for (const { name, hosts, aliases, url, tokenRealms } of KNOWN_REGISTRIES) {
    test(`${name} is well-formed and reached over https`, () => {
      for (const host of [name, ...hosts, ...tokenRealms]) assert.ok(isPublicHost(host), host);
      for (const alias of aliases) assert.ok(isRegistryName(alias) && !alias.includes('.'), alias);
      assert.equal(new URL(url).protocol, 'https:');
      assert.equal(knownRegistryByHost(new URL(url).host)?.name, name);
    });
  }
});

describe('knownRegistryByHost()', () => {
  for (const host of ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']) {
    test(`${host} is Docker Hub`, () => assert.equal(knownRegistryByHost(host)?.name, 'docker.io'));
  }
  test('knows no others', () => assert.equal(knownRegistryByHost('registry.example.com'), undefined));
});

describe('knownRegistryByPattern()', () => {
  test('makes a registry of each Artifact Registry region', () => {
    const region = knownRegistryByPattern('us-central1-docker.pkg.dev');
    assert.equal(region?.name, 'us-central1-docker.pkg.dev');
    assert.equal(region.url, 'https://us-central1-docker.pkg.dev');
  });
  for (const host of ['pkg.dev', '.pkg.dev', 'a.b.pkg.dev', 'a.pkg.dev.evil.example', 'a-.pkg.dev', 'a.pkg.dev:5000']) {
    test(`${host} is none`, () => assert.equal(knownRegistryByPattern(host), undefined));
  }
});
