import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import type { ConfiguredUpstream } from '../oci/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';
import { cacheUrlOf } from './cache-url.ts';

const route: MirrorSpec = {
  name: 's',
  prefix: '/s',
  upstream: upstreamSpec({ name: 's', url: 'https://a.example', capabilities: ['pull'] }),
  preserveHost: true,
  methods: ['GET'],
  cache: { enabled: true, immutable: [] },
};
const url = 'https://a.example/x?y=1';

function written(text: string): { readonly url: URL; readonly target: string } {
  return { url: new URL(text), target: text.replace(/^https?:\/\/[^/]*/, '') };
}

function as(shown: Partial<ConfiguredUpstream>): MirrorSpec {
  const { name, url: home } = route.upstream;
  return { ...route, upstream: upstreamSpec({ name, url: home, capabilities: ['pull'], ...shown }) };
}

test('the key of an answer is the URL that is asked, where nothing else makes a difference', () => {
  assert.equal(cacheUrlOf(written(url), { route, host: undefined }), url);
});

test('no two of what an answer may depend on have one key', () => {
  const password = { env: 'A' };
  const asked: [string, MirrorSpec, string | undefined][] = [
    [url, route, undefined],
    [url, route, 'a.example'],
    [url, route, 'b.example'],
    ['https://b.example/x?y=1', route, 'a.example'],
    ['http://a.example/x?y=1', route, 'a.example'],
    ['https://a.example:8443/x?y=1', route, 'a.example'],
    ['https://a.example/base/x?y=1', route, 'a.example'],
    ["https://a.example/x?y='", route, undefined],
    ['https://a.example/x?y=%27', route, undefined],
    ['https://a.example/x', route, undefined],
    ['https://a.example/x?', route, undefined],
    [url, as({ headers: { 'x-tenant': 'a' } }), undefined],
    [url, as({ headers: { 'x-tenant': 'b' } }), undefined],
    [url, as({ headers: { 'x-tenant': 'a' } }), 'a.example'],
    [url, as({ credentials: { username: 'a', password } }), undefined],
    [url, as({ credentials: { username: 'b', password } }), undefined],
    [url, as({ tls: { certFile: '/a.pem', keyFile: '/a.key' } }), undefined],
  ];
  const keys = asked.map(([each, spec, host]) => cacheUrlOf(written(each), { route: spec, host }));
  assert.equal(new Set(keys).size, keys.length, keys.join('\n'));
  for (const [i, key] of keys.entries()) assert.equal(new URL(key).host, new URL(asked[i]?.[0] ?? '').host);
  assert.doesNotMatch(keys.join('\n'), /tenant|pem/, 'what may be secret is hashed');
});
