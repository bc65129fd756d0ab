import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bareHost, compileAllowedHosts, isHostPattern } from './allowed-hosts.ts';
import { DEFAULT_PRESETS, HOST_PRESETS, type HostPreset, hostsOfPresets } from './host-presets.ts';

describe('compileAllowedHosts()', () => {
  const table: readonly [entry: string, host: string, allowed: boolean][] = [
    ['docker.io', 'docker.io', true],
    ['docker.io', 'DOCKER.IO', true],
    ['Docker.IO.', 'docker.io', true],
    ['docker.io:443', 'docker.io', true],
    ['docker.io', 'docker.io.:8443', true],
    ['docker.io', 'registry-1.docker.io', false],
    ['docker.io', 'docker.io.example.com', false],
    // A dot is a dot: without another sign it is no pattern.
    ['docker.io', 'dockerxio', false],
    ['docker\\.io', 'registry-1.docker.io', true],
    ['docker.io$', 'dockerxio', true],
    ['^docker\\.io$', 'docker.io', true],
    ['^docker\\.io$', 'docker.io.example.com', false],
    ['^DOCKER\\.', 'docker.io', true],
    ['(ghcr|quay)\\.io', 'quay.io:443', true],
    ['.*', 'anything.example', true],
    ['.*', '', false],
    ['.*', 'x'.repeat(254), false],
    ['2001:db8::1', '[2001:db8::1]:443', true],
    ['2001:0DB8:0::1', '2001:db8::1', true],
    // Brackets are those of an address here, not the letters 2, 0, 1, d, b and 8.
    ['[2001:db8::1]', '2001:db8::1', true],
    ['[2001:db8::1]:443', '2001:db8::1', true],
    ['[2001:db8::1]', 'docker.io', false],
    ['[ab]\\.io$', 'docker.b.io', true],
    ['10.0.0.1', '10.0.0.1', true],
  ];
  for (const [entry, host, allowed] of table) {
    test(`${entry} ${allowed ? 'allows' : 'does not allow'} ${host.slice(0, 40)}`, () => {
      assert.equal(compileAllowedHosts([entry])(host), allowed);
    });
  }

  test('an empty list allows no host', () => assert.equal(compileAllowedHosts([])('docker.io'), false));

  test('what is no regular expression is refused', () => {
    assert.throws(() => compileAllowedHosts(['docker.(io']), SyntaxError);
  });

  test('each sign makes a pattern', () => {
    for (const sign of '\\^$*+?()[]{}|') assert.ok(isHostPattern(`a${sign}b`), sign);
    for (const none of ['a.b-c_d:1', '[::1]', '[::1]:443']) assert.ok(!isHostPattern(none), none);
  });

  test('bareHost() takes port, brackets and final dot off', () => {
    assert.deepEqual(['A.b.:1', '[::1]:2', '::1', 'a'].map(bareHost), ['a.b', '::1', '::1', 'a']);
  });
});

describe('presets', () => {
  test('every entry compiles, and every pattern is anchored at both ends', () => {
    for (const [name, entries] of Object.entries(HOST_PRESETS)) {
      compileAllowedHosts(entries);
      for (const entry of entries.filter(isHostPattern)) assert.match(entry, /^\^.*\$$/, name);
    }
  });

  test('a pull from each has its API, its tokens and its blobs', () => {
    const needed: Partial<Record<HostPreset, readonly string[]>> = {
      'docker.io': [
        'registry-1.docker.io',
        'auth.docker.io',
        'production.cloudflare.docker.com',
        'production.cloudfront.docker.com',
      ],
      'ghcr.io': ['ghcr.io', 'pkg-containers.githubusercontent.com'],
      'quay.io': ['quay.io', 'cdn.quay.io', 'cdn01.quay.io'],
      'gcr.io': ['gcr.io', 'eu.gcr.io', 'storage.googleapis.com'],
      'registry.k8s.io': [
        'registry.k8s.io',
        'europe-west4-docker.pkg.dev',
        'prod-registry-k8s-io-eu-central-1.s3.dualstack.eu-central-1.amazonaws.com',
      ],
      'docker.elastic.co': ['docker.elastic.co', 'docker-auth.elastic.co'],
      'mcr.microsoft.com': ['mcr.microsoft.com', 'westeurope.data.mcr.microsoft.com'],
    };
    for (const [name, hosts] of Object.entries(needed)) {
      const allows = compileAllowedHosts(HOST_PRESETS[name as HostPreset]);
      for (const host of hosts) assert.ok(allows(host), `${name}: ${host}`);
      assert.ok(!allows('example.com'));
      assert.ok(!allows(`${hosts[0]}.example.com`));
    }
  });

  test('the default is what Container Registry Mirrors allows, and more', () => {
    const allows = compileAllowedHosts(hostsOfPresets(DEFAULT_PRESETS));
    for (const host of [
      'docker.io',
      'registry-1.docker.io',
      'gcr.io',
      'k8s.io',
      'registry.k8s.io',
      'docker.elastic.co',
    ]) {
      assert.ok(allows(host), host);
    }
  });
});
