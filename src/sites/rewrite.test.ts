import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import {
  type RewriteContext,
  rewriteAddress,
  rewriteChallenge,
  rewriteCookie,
  rewriteLink,
  rewriteLocation,
} from './rewrite.ts';
import { MirrorRoutes } from './routes.ts';

const routes = new MirrorRoutes([
  {
    name: 'hub',
    prefix: '/hub',
    upstream: upstreamSpec({ name: 'hub', url: 'https://hub.example.com', capabilities: ['pull'] }),
    preserveHost: false,
    methods: ['GET'],
    cache: { enabled: true, immutable: [] },
  },
]);

/** One route: `/hub` for https://hub.example.com. */
function rewriting(base = 'http://mirror:5000'): RewriteContext {
  return {
    from: { url: new URL('https://hub.example.com/v2/a/tags/list?n=1'), target: '/v2/a/tags/list?n=1' },
    pathOf: (written) => routes.pathOf(written),
    base,
  };
}

describe('rewriteAddress()', () => {
  const rows = [
    ['https://hub.example.com/x?y#z', 'http://mirror:5000/hub/x?y#z'],
    ['//hub.example.com/x', 'http://mirror:5000/hub/x'],
    ['/x', 'http://mirror:5000/hub/x'],
    ['other', 'http://mirror:5000/hub/v2/a/tags/other'],
    ['?n=2', 'http://mirror:5000/hub/v2/a/tags/list?n=2'],
    ['../../b', 'http://mirror:5000/hub/v2/b'],
    // Bytes that no URL can hold, as they come out of a header, are encoded one by one: é in UTF-8, and in latin1.
    ['/caf\xc3\xa9', 'http://mirror:5000/hub/caf%C3%A9'],
    ['/caf\xe9', 'http://mirror:5000/hub/caf%E9'],
    // Anything else stays as it was written, byte for byte.
    ["/x?sig='a'|b", "http://mirror:5000/hub/x?sig='a'|b"],
    ["https://hub.example.com/it's|a^b`{c}", "http://mirror:5000/hub/it's|a^b`{c}"],
    ['https://HUB.example.com:443/%7ea%2f%2Fb%zz', 'http://mirror:5000/hub/%7ea%2f%2Fb%zz'],
    ['/x?', 'http://mirror:5000/hub/x?'],
    ['https://hub.example.com?a', 'http://mirror:5000/hub/?a'],
    ["/x?a=%27&b='#it's", "http://mirror:5000/hub/x?a=%27&b='#it's"],
    ["other?q='", "http://mirror:5000/hub/v2/a/tags/other?q='"],
    // A dot in a path is resolved, as a client would resolve it over the prefix.
    ['/../x', 'http://mirror:5000/hub/x'],
    ['https://hub.example.com/a/../../x', 'http://mirror:5000/hub/x'],
    ['/a/%2e%2e/%2e%2e/v2/', 'http://mirror:5000/hub/v2/'],
    ['\\\\hub.example.com\\x', 'http://mirror:5000/hub/x'],
    ['https://cdn.example.com/x', undefined],
    ['//cdn.example.com/x', undefined],
    ['https://user:secret@hub.example.com/x', undefined],
    ['https://[', undefined],
    ['mailto:a@hub.example.com', undefined],
  ] as const;
  for (const [address, expected] of rows) {
    test(`${address} is ${expected ?? 'left alone'}`, () =>
      assert.equal(rewriteAddress(address, rewriting()), expected));
  }

  test('stays relative where the name of this server is not known', () => {
    assert.equal(rewriteAddress('https://hub.example.com/x', rewriting('')), '/hub/x');
  });
});

describe('rewriteLocation()', () => {
  const rows = [
    ['/x', 'http://mirror:5000/hub/x'],
    ["https://cdn.example.com/a?sig='b'|%2f&c=\xc3\xa9", "https://cdn.example.com/a?sig='b'|%2f&c=\xc3\xa9"],
    ['https://cdn.example.com?', 'https://cdn.example.com?'],
    ['HTTPS://CDN.example.com', 'HTTPS://CDN.example.com'],
    ["//cdn.example.com/a?b='c'#d'", "https://cdn.example.com/a?b='c'#d'"],
    ['mailto:a@hub.example.com', 'mailto:a@hub.example.com'],
    ['https://[', 'https://['],
  ] as const;
  for (const [address, expected] of rows) {
    test(address, () => assert.equal(rewriteLocation(address, rewriting()), expected));
  }
});

describe('rewriteChallenge()', () => {
  const rows = [
    [
      'Bearer realm="https://hub.example.com/token",service="hub.example.com",scope="repository:a:pull"',
      'Bearer realm="http://mirror:5000/hub/token",service="hub.example.com",scope="repository:a:pull"',
    ],
    ['Bearer realm="https://auth.example.com/token"', 'Bearer realm="https://auth.example.com/token"'],
    [
      'Basic realm="https is not an address", Bearer Realm="https://hub.example.com/t"',
      'Basic realm="https is not an address", Bearer Realm="http://mirror:5000/hub/t"',
    ],
    ['Basic realm="x"', 'Basic realm="x"'],
    ['Bearer realm = "https://hub.example.com/t"', 'Bearer realm = "http://mirror:5000/hub/t"'],
  ] as const;
  for (const [header, expected] of rows) {
    test(header, () => assert.equal(rewriteChallenge(header, rewriting()), expected));
  }
});

describe('rewriteLink()', () => {
  const rows = [
    ['</v2/a/tags/list?last=b&n=1>; rel="next"', '<http://mirror:5000/hub/v2/a/tags/list?last=b&n=1>; rel="next"'],
    [
      '<https://hub.example.com/p?page=2>; rel="next", <https://cdn.example.com/>; rel="preconnect"',
      '<http://mirror:5000/hub/p?page=2>; rel="next", <https://cdn.example.com/>; rel="preconnect"',
    ],
    ["</a?last='b'&n=%2f>; rel=next", "<http://mirror:5000/hub/a?last='b'&n=%2f>; rel=next"],
    ['rel="next"', 'rel="next"'],
  ] as const;
  for (const [header, expected] of rows) {
    test(header, () => assert.equal(rewriteLink(header, rewriting()), expected));
  }
});

describe('rewriteCookie()', () => {
  const rows = [
    ['a=1', 'a=1; Path=/hub'],
    ['a=1; Domain=hub.example.com; Path=/x; Secure; HttpOnly', 'a=1; Secure; HttpOnly; Path=/hub'],
    ['a=1; pathology=2;domain', 'a=1; pathology=2; Path=/hub'],
  ] as const;
  for (const [cookie, expected] of rows) {
    test(cookie, () => assert.equal(rewriteCookie(cookie, '/hub'), expected));
  }
});
