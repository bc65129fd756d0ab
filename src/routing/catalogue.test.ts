import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { complete } from '../../test/support/transport-spec.ts';
import type { Catalogue } from './catalogue.ts';
import { type CatalogueOptions, composeCatalogue } from './compose-catalogue.ts';

function compose(options: Omit<CatalogueOptions, 'complete'>): Catalogue {
  const { catalogue, problems } = composeCatalogue({ ...options, complete });
  assert.deepEqual(problems, []);
  assert.ok(catalogue);
  return catalogue;
}

describe('a catalogue with allow_any', () => {
  const catalogue = compose({ allowAny: { deny: ['*.corp.example.com', 'bad.example.com', 'x.example.com:8080'] } });

  const rows: readonly [name: string, url: string | undefined][] = [
    ['registry.example.com', 'https://registry.example.com'],
    ['Registry.Example.com:443', 'https://registry.example.com'],
    ['registry.example.com:5000', 'https://registry.example.com:5000'],
    ['index.docker.io', 'https://registry-1.docker.io'],
    ['bad.example.com', undefined],
    ['BAD.example.com', undefined],
    ['bad.example.com:5000', undefined],
    ['a.b.corp.example.com', undefined],
    ['x.example.com:8080', undefined],
    ['x.example.com', 'https://x.example.com'],
    ['registry', undefined],
    ['localhost:5000', undefined],
    ['127.0.0.1', undefined],
    ['127.0.0.1:5000', undefined],
    ['0x7f.0x1', undefined],
    ['[::1]', undefined],
    ['metadata.google.internal', undefined],
    ['printer.local', undefined],
    ['a.localhost', undefined],
    ['user@registry.example.com', undefined],
    ['registry.example.com/x', undefined],
    ['registry.example.com#', undefined],
  ];
  for (const [name, url] of rows) {
    test(`${name} ${url === undefined ? 'is refused' : `leads to ${url}`}`, () => {
      const registry = catalogue.byName(name);
      assert.equal(registry?.upstreams[0]?.url, url);
      assert.equal(catalogue.byPathName(name), registry);
    });
  }

  test('denies a known registry by every host of its, and a host as it may be written', () => {
    const own = compose({
      knownRegistries: false,
      defaultRegistry: 'https://registry.example.com',
      allowAny: { deny: ['docker.io', 'a.example.com:443', 'B.example.com.', 'c.example.com.:5000'] },
    });
    for (const name of ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'a.example.com', 'b.example.com']) {
      assert.equal(own.byName(name), undefined, name);
    }
    assert.equal(own.byName('c.example.com:5000'), undefined);
    assert.ok(own.byName('c.example.com'));
  });

  test('must lead to public addresses, and gets no credential', () => {
    const upstream = catalogue.byName('registry.example.com')?.upstreams[0];
    assert.equal(upstream?.addresses, 'public');
    assert.equal(upstream.credentials, undefined);
  });

  test('does not reach host names and what stands in front of /v2/', () => {
    assert.equal(catalogue.byHost('registry.example.com'), undefined);
    assert.equal(catalogue.byAlias('registry.example.com'), undefined);
  });

  test('never stands in for a registry that is configured', () => {
    const own = compose({
      registries: { 'registry.example.com': { upstreams: [{ url: 'http://10.0.0.5:5000' }] } },
      allowAny: { deny: [] },
    });
    assert.equal(own.byName('registry.example.com')?.upstreams[0]?.url, 'http://10.0.0.5:5000');
  });

  test('forgets what was named longest ago', () => {
    const first = catalogue.byName('first.example.com');
    assert.equal(catalogue.byName('first.example.com'), first);
    for (let each = 0; each < 300; each++) catalogue.byName(`r${each}.example.com`);
    const again = catalogue.byName('first.example.com');
    assert.notEqual(again, first);
    assert.deepEqual(again, first);
    assert.equal(catalogue.list().length, compose({}).list().length);
  });

  test('off, nothing of it is there', () => assert.equal(compose({}).byName('registry.example.com'), undefined));
});
