import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { failsWith } from '../../../test/support/fails-with.ts';
import { outboundProxyFor, parseOutboundProxy, shownOutboundProxy } from './outbound-proxy.ts';

describe('outboundProxyFor() and no_proxy', () => {
  // The rules of golang.org/x/net/http/httpproxy.
  const cases: readonly (readonly [noProxy: string, url: string, through: boolean])[] = [
    ['', 'https://example.com/', true],
    ['*', 'https://example.com/', false],
    ['*', 'https://10.1.2.3/', false],
    ['a.test, *', 'https://example.com/', false],
    ['example.com', 'https://example.com/', false],
    ['example.com', 'https://EXAMPLE.com./', false],
    ['EXAMPLE.COM', 'https://example.com/', false],
    ['example.com', 'https://registry.example.com/', false],
    ['example.com', 'https://myexample.com/', true],
    ['example.com', 'https://example.com.evil.test/', true],
    ['.example.com', 'https://registry.example.com/', false],
    ['.example.com', 'https://example.com/', true],
    ['*.example.com', 'https://registry.example.com/', false],
    ['*.example.com', 'https://example.com/', true],
    ['example.com:8443', 'https://example.com:8443/', false],
    ['example.com:8443', 'https://example.com/', true],
    ['example.com:443', 'https://example.com/', false],
    ['example.com:80', 'http://example.com/', false],
    ['10.1.2.3', 'https://10.1.2.3/', false],
    ['10.1.2.3', 'https://10.1.2.4/', true],
    ['10.1.2.3:443', 'https://10.1.2.3:5000/', true],
    ['10.1.2.3:5000', 'https://10.1.2.3:5000/', false],
    ['10.0.0.0/8', 'https://10.200.2.3/', false],
    ['10.0.0.0/8', 'https://11.0.0.1/', true],
    ['10.0.0.0/8', 'https://10.example.com/', true],
    ['2001:db8::/32', 'https://[2001:db8::5]/', false],
    ['2001:db8::5', 'https://[2001:db8:0::5]/', false],
    ['[2001:db8::5]:443', 'https://[2001:db8::5]/', false],
    ['[2001:db8::5]:80', 'https://[2001:db8::5]/', true],
    [' a.test ,, example.com , ', 'https://example.com/', false],
    ['.', 'https://example.com/', true],
    ['', 'https://localhost/', false],
    ['', 'https://127.8.9.10:5000/', false],
    ['', 'https://[::1]/', false],
  ];
  for (const [noProxy, url, through] of cases) {
    test(`no_proxy=${JSON.stringify(noProxy)} ${through ? 'asks elsewhere' : 'goes straight'} for ${url}`, () => {
      const env = { http_proxy: 'http://p.test', https_proxy: 'http://p.test', no_proxy: noProxy };
      assert.equal(outboundProxyFor(new URL(url), env) !== undefined, through);
    });
  }
});

describe('outboundProxyFor()', () => {
  const cases: readonly (readonly [string, Record<string, string>, string, string | undefined])[] = [
    ['nothing', {}, 'https://h.test/', undefined],
    ['https_proxy for https', { https_proxy: 'http://a:1', http_proxy: 'http://b:2' }, 'https://h.test/', 'http://a:1'],
    ['http_proxy for http', { https_proxy: 'http://a:1', http_proxy: 'http://b:2' }, 'http://h.test/', 'http://b:2'],
    ['not http_proxy for https', { http_proxy: 'http://b:2' }, 'https://h.test/', undefined],
    ['upper case', { HTTPS_PROXY: 'http://a:1' }, 'https://h.test/', 'http://a:1'],
    ['lower case first', { HTTPS_PROXY: 'http://a:1', https_proxy: 'http://b:2' }, 'https://h.test/', 'http://b:2'],
    ['all_proxy for what has none', { all_proxy: 'socks5://s:1' }, 'https://h.test/', 'socks5://s:1'],
    ['all_proxy last', { ALL_PROXY: 'socks5://s:1', https_proxy: 'http://a:1' }, 'https://h.test/', 'http://a:1'],
    ['NO_PROXY in upper case', { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'h.test' }, 'https://h.test/', undefined],
    ['a host without a scheme', { https_proxy: 'a.test:3128' }, 'https://h.test/', 'http://a.test:3128'],
    ['an empty value as none', { https_proxy: ' ', all_proxy: 'http://a:1' }, 'https://h.test/', 'http://a:1'],
    [
      'not HTTP_PROXY of a CGI program',
      { HTTP_PROXY: 'http://a:1', REQUEST_METHOD: 'GET' },
      'http://h.test/',
      undefined,
    ],
  ];
  for (const [what, env, url, expected] of cases) {
    test(`takes ${what}`, () => {
      const proxy = outboundProxyFor(new URL(url), env);
      assert.equal(proxy === undefined ? undefined : `${proxy.protocol}//${proxy.host}`, expected);
    });
  }

  test('names the variable it cannot read, never its value', () => {
    const env = { https_proxy: 'ftp://user:secret@h' };
    assert.throws(
      () => outboundProxyFor(new URL('https://h.test/'), env),
      (error: Error) =>
        failsWith('refused', /environment variable https_proxy/)(error) && !String(error.stack).includes('secret'),
    );
  });
});

describe('parseOutboundProxy()', () => {
  test('knows HTTP, HTTPS and SOCKS5, and shows no password', () => {
    const shown = (text: string): string | undefined => {
      const url = parseOutboundProxy(text);
      return url === undefined ? undefined : shownOutboundProxy(url);
    };
    assert.equal(shown('http://user:secret@p.test'), 'http://p.test:80');
    assert.equal(shown('https://p.test'), 'https://p.test:443');
    assert.equal(shown('socks5://user:secret@p.test'), 'socks5://p.test:1080');
    assert.equal(shown('socks5h://[::1]:99'), 'socks5h://[::1]:99');
    for (const text of ['ftp://p.test', 'socks4://p.test', 'http://', ':', ''])
      assert.equal(shown(text), undefined, text);
  });
});
