import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decideRedirect, isRedirect, MAX_REDIRECTS, needsNoCredential, type RedirectContext } from './redirect.ts';

const upstream = new URL('https://reg.example.com/v2/app/blobs/sha256:0');
const PUBLIC = { kind: 'public', allow: [] } as const;

function context(changes: Partial<RedirectContext> = {}): RedirectContext {
  return { from: upstream, upstream, hops: 0, redirectHosts: undefined, addresses: PUBLIC, ...changes };
}

type Row = readonly [why: string, location: string | undefined, changes?: Partial<RedirectContext>];

const FOLLOWED: readonly Row[] = [
  ['another host', 'https://cdn.example.net/x?sig=1'],
  ['a path of the same host', '/v2/other'],
  ['a relative path', './sha256:1'],
  ['a scheme-relative URL', '//cdn.example.net/x'],
  ['an http upstream to https', 'https://cdn.example.net/x', { from: new URL('http://reg.example.com/') }],
  ['an http upstream to http', 'http://cdn.example.net/x', { from: new URL('http://reg.example.com/') }],
  ['a public address', 'https://93.184.216.34/x'],
  ['a private address of a private upstream', 'https://10.0.0.3/x', { addresses: { kind: 'any' } }],
  ['a private address that is listed', 'https://10.0.0.3/x', { addresses: { kind: 'public', allow: ['10.0.0.0/8'] } }],
  ['the upstream, private as it may be', 'https://10.0.0.1:9/x', { upstream: new URL('https://10.0.0.1/') }],
  ['a host of redirect_hosts', 'https://cdn.example.net/x', { redirectHosts: ['cdn.example.net'] }],
  ['a suffix of redirect_hosts', 'https://a.b.r2.example/x', { redirectHosts: ['*.r2.example'] }],
  ['the upstream itself, whatever redirect_hosts says', 'https://reg.example.com/y', { redirectHosts: [] }],
  ['the last of the hops', 'https://cdn.example.net/x', { hops: MAX_REDIRECTS - 1 }],
];

const REFUSED: readonly Row[] = [
  ['no Location', undefined],
  ['no URL', 'https://['],
  ['https to http', 'http://cdn.example.net/x'],
  ['another scheme', 'file:///etc/passwd'],
  ['javascript', 'javascript:alert(1)'],
  ['a user name', 'https://user:pass@cdn.example.net/x'],
  ['one hop too many', 'https://cdn.example.net/x', { hops: MAX_REDIRECTS }],
  ['a Location that is too long', `https://cdn.example.net/${'x'.repeat(9000)}`],
  ['CVE-2026-32591: a private address', 'https://10.0.0.3/x'],
  ['CVE-2026-32591: the metadata service', 'https://169.254.169.254/latest/meta-data'],
  ['CVE-2026-32591: loopback, by number', 'https://2130706433/x'],
  ['CVE-2026-32591: loopback, mapped into IPv6', 'https://[::ffff:127.0.0.1]/x'],
  ['CVE-2026-32591: localhost', 'https://localhost/x'],
  ['CVE-2026-32591: a name under localhost, with a dot', 'https://a.localhost./x'],
  ['a host that redirect_hosts does not name', 'https://cdn.example.net/x', { redirectHosts: ['cdn.example.com'] }],
  ['a host that only ends like one', 'https://evilcdn.example.net/x', { redirectHosts: ['*.cdn.example.net'] }],
];

describe('decideRedirect', () => {
  for (const [why, location, changes] of FOLLOWED) {
    test(`follows ${why}`, () => {
      const decision = decideRedirect(location, context(changes));
      assert.equal(decision.kind, 'follow', JSON.stringify(decision));
    });
  }

  for (const [why, location, changes] of REFUSED) {
    test(`refuses ${why}`, () => {
      const decision = decideRedirect(location, context(changes));
      assert.equal(decision.kind, 'refused', JSON.stringify(decision));
      assert.doesNotMatch('reason' in decision ? decision.reason : '', /pass@|sig=/);
    });
  }

  test('resolves against the URL that answered, and drops a fragment', () => {
    const decision = decideRedirect('/there#part', context({ from: new URL('https://other.example.com/a/b') }));
    assert.equal(decision.kind === 'follow' && decision.url.href, 'https://other.example.com/there');
  });
});

describe('isRedirect', () => {
  test('is true for five statuses and no other', () => {
    const found = Array.from({ length: 500 }, (_, index) => index + 100).filter(isRedirect);
    assert.deepEqual(found, [301, 302, 303, 307, 308]);
  });
});

describe('needsNoCredential', () => {
  const rows: readonly (readonly [string, boolean])[] = [
    ['https://cdn.example.net/x', true],
    ['https://reg.example.com/x', false],
    ['https://reg.example.com/x?X-Amz-Signature=abc', true],
    ['https://reg.example.com/x?sv=1&sig=abc', true],
    ['https://reg.example.com/x?Expires=1&Signature=abc', true],
    ['https://reg.example.com/x?page=2', false],
    ['https://reg.example.com:8443/x', true],
  ];
  for (const [location, expected] of rows) {
    test(`${location}: ${expected}`, () => {
      assert.equal(needsNoCredential(new URL(location), upstream), expected);
    });
  }
});

describe('a redirect leaves as it was written', () => {
  const at = { from: new URL("https://reg.example.com/v2/a'b/x?y=1"), target: "/v2/a'b/x?y=1" };
  const rows: readonly [location: string, host: string, target: string][] = [
    ["https://cdn.example.net/d?rscd=attachment%3B%20filename='a.tar'&sig=1", 'cdn.example.net', ''],
    ['https://cdn.example.net/x?', 'cdn.example.net', '/x?'],
    ['https://cdn.example.net/x#part', 'cdn.example.net', '/x'],
    ['https://cdn.example.net/x?#part', 'cdn.example.net', '/x?'],
    ['https://cdn.example.net?sig=1', 'cdn.example.net', '/?sig=1'],
    ['https://cdn.example.net', 'cdn.example.net', '/'],
    ['https://cdn.example.net/%7euser/%41%2f%2F;a=b//c', 'cdn.example.net', '/%7euser/%41%2f%2F;a=b//c'],
    ['https://cdn.example.net/"{}|^`', 'cdn.example.net', '/"{}|^`'],
    ['https://cdn.example.net/a?b="{}|^`\'<>[]\\', 'cdn.example.net', '/a?b="{}|^`\'<>[]\\'],
    ['https://cdn.example.net/a?b=%zz%', 'cdn.example.net', '/a?b=%zz%'],
    ['https://cdn.example.net/a/../b/./c', 'cdn.example.net', '/a/../b/./c'],
    // A header is read as latin1, so these are the bytes of raw UTF-8, then of raw latin1.
    ['https://cdn.example.net/\u00e6\u0096\u0087/l', 'cdn.example.net', '/%E6%96%87/l'],
    ['https://cdn.example.net/caf\u00e9?q=\u00ff', 'cdn.example.net', '/caf%E9?q=%FF'],
    ['https://cdn.example.net/a b?c d', 'cdn.example.net', '/a%20b?c%20d'],
    ['  https://cdn.example.net/a  ', 'cdn.example.net', '/a'],
    ['HTTPS://CDN.example.NET:443/a', 'cdn.example.net', '/a'],
    ["//cdn.example.net/a'", 'cdn.example.net', "/a'"],
    ["/b'?c'", 'reg.example.com', "/b'?c'"],
    ["z'", 'reg.example.com', "/v2/a'b/z'"],
    ['./z', 'reg.example.com', "/v2/a'b/z"],
    ['../z/.?q', 'reg.example.com', '/v2/z/?q'],
    ['../../../../z', 'reg.example.com', '/z'],
    ['..', 'reg.example.com', '/v2/'],
    ["?q='", 'reg.example.com', "/v2/a'b/x?q='"],
    ['?', 'reg.example.com', "/v2/a'b/x?"],
    ['', 'reg.example.com', "/v2/a'b/x?y=1"],
    // Where two parsers disagree on where the path begins, it is sent as it was checked.
    ['https:///cdn.example.net/a', 'cdn.example.net', '/a'],
    ['https:/a', 'reg.example.com', '/a'],
    ['\\\\cdn.example.net/a', 'cdn.example.net', '/a'],
    ['/\\cdn.example.net/a', 'cdn.example.net', '/a'],
    ['https://cdn.example.net\\@evil.example/a', 'cdn.example.net', '/@evil.example/a'],
  ];
  for (const [location, host, target] of rows) {
    test(JSON.stringify(location), () => {
      const decision = decideRedirect(location, context(at));
      assert.ok(decision.kind === 'follow', JSON.stringify(decision));
      assert.deepEqual([decision.url.host, decision.target], [host, target === '' ? location.slice(23) : target]);
    });
  }

  for (const location of [
    'https://cdn.example.net/a\r\nX: 1',
    'https://cdn.example.net/a\u0000',
    '/a\tb',
    '/a\u007f',
  ]) {
    test(`${JSON.stringify(location)} is refused`, () => {
      assert.equal(decideRedirect(location, context(at)).kind, 'refused');
    });
  }

  test('to the host that was checked, in a request line that can be sent, whatever it is', () => {
    const piece = fc.constantFrom(
      'http',
      's',
      ':',
      '/',
      '//',
      '\\',
      '@',
      '?',
      '#',
      '.',
      '..',
      '%',
      '%2e',
      ' ',
      "'",
      'é',
      'a.example',
      'evil.example',
      ':80',
    );
    const any = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.array(piece, { maxLength: 9 }).map((each) => each.join('')),
    );
    fc.assert(
      fc.property(any, (location) => {
        const decision = decideRedirect(location, context(at));
        if (decision.kind === 'refused') return;
        assert.match(decision.target, /^\/[\x21-\x7e]*$/);
        const { host, pathname, search } = new URL(decision.url.origin + decision.target);
        assert.deepEqual([host, pathname, search], [decision.url.host, decision.url.pathname, decision.url.search]);
        assert.equal(decision.url.hash, '');
      }),
      { numRuns: 5000 },
    );
  });
});
