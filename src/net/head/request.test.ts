import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { authorityOf, requestBytes, requestHeaders, requestTarget } from './request.ts';

describe('requestBytes()', () => {
  test('asks for the path and query of the URL, of its host, undecoded', () => {
    const url = new URL('https://registry.test:8443/v2/a%2fb/../c/blobs/x?sig=a%20b&c=d#part');
    const headers = { Authorization: 'Bearer x', 'Accept-Encoding': 'gzip' };
    assert.equal(
      requestBytes({ method: 'GET', url, headers }).toString('latin1'),
      'GET /v2/c/blobs/x?sig=a%20b&c=d HTTP/1.1\r\nhost: registry.test:8443\r\n' +
        'user-agent: entrepot\r\nauthorization: Bearer x\r\naccept-encoding: identity\r\n\r\n',
    );
  });

  test('asks for a target as it was written, and for none that ends the request line', () => {
    const url = new URL("https://h/a?b='c'");
    const head = (target: string) => requestBytes({ method: 'GET', url, target, headers: {} }).toString('latin1');
    assert.match(head("/a?b='c'"), /^GET \/a\?b='c' HTTP/);
    for (const target of ['', 'a', '/a b', '/a\r\nx: y', '/a\0', '/\u00e9', '/\u6587']) {
      assert.throws(() => head(target), TypeError, JSON.stringify(target));
    }
  });

  test('lets the caller name the user agent', () => {
    const url = new URL('http://h/');
    const headers = { 'user-agent': 'me/1' };
    assert.match(requestBytes({ method: 'GET', url, headers }).toString(), /\r\nuser-agent: me\/1\r\n/);
  });
});

describe('requestBytes() of a POST', () => {
  const url = new URL('http://h/');
  test('says its length in bytes, also where it is empty', () => {
    const bytes = requestBytes({ method: 'POST', url, headers: { 'x-latin': 'é' }, body: 'é' });
    assert.ok(
      bytes.toString('latin1').endsWith('\r\nx-latin: é\r\naccept-encoding: identity\r\ncontent-length: 2\r\n\r\nÃ©'),
    );
    assert.match(requestBytes({ method: 'POST', url, headers: {} }).toString(), /\r\ncontent-length: 0\r\n\r\n$/);
  });
});

describe('requestHeaders()', () => {
  const refused: readonly (readonly [string, string, string])[] = [
    ['CR LF in a value', 'x', 'a\r\nhost: evil'],
    ['a bare LF in a value', 'x', 'a\nb'],
    ['a bare CR in a value', 'x', 'a\rb'],
    ['a NUL in a value', 'x', 'a\0b'],
    ['a value beyond one byte', 'x', '\u560a\u560d'],
    ['a name with CR LF', 'x\r\ny', 'a'],
    ['a name with a colon', 'x:y', 'a'],
    ['an empty name', '', 'a'],
    ...[
      'Host',
      'connection',
      'content-length',
      'transfer-encoding',
      'te',
      'trailer',
      'upgrade',
      'expect',
      'keep-alive',
      'proxy-authorization',
    ].map((name) => [`the header ${name}`, name, 'x'] as const),
  ];
  for (const [what, name, value] of refused) {
    test(`refuses ${what}`, () => assert.throws(() => requestHeaders({ [name]: value }), TypeError));
  }

  test('never shows a value in the message', () => {
    assert.throws(
      () => requestHeaders({ authorization: 'secret\n' }),
      (error: Error) => error.message.includes('authorization') && !error.message.includes('secret'),
    );
  });
});

describe('requestTarget()', () => {
  test('refuses other protocols and credentials in the URL, without showing them', () => {
    assert.throws(() => requestTarget(new URL('ftp://h/')), TypeError);
    assert.throws(
      () => requestTarget(new URL('http://user:secret@h/')),
      (error: Error) => error instanceof TypeError && !error.message.includes('secret'),
    );
  });
});

describe('authorityOf()', () => {
  test('names host and port, never path or query', () => {
    assert.equal(authorityOf(new URL('https://h/p?q')), 'h:443');
    assert.equal(authorityOf(new URL('http://[::1]:5000/p?q')), '[::1]:5000');
  });
});
