import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TextRefusal } from '../server/index.ts';
import { formatAuthority, parseAbsoluteTarget, parseConnectTarget } from './target.ts';

describe('parseConnectTarget()', () => {
  const table: readonly [text: string, host: string, port: number][] = [
    ['registry-1.docker.io:443', 'registry-1.docker.io', 443],
    ['GHCR.io.:443', 'ghcr.io', 443],
    ['[::1]:8443', '::1', 8443],
    ['[2001:DB8:0:0::1]:443', '2001:db8::1', 443],
    ['10.0.0.1:1', '10.0.0.1', 1],
    // Every way to write an address is one address, and is judged as one.
    ['127.1:443', '127.0.0.1', 443],
    ['2130706433:443', '127.0.0.1', 443],
    ['0x7f.0.0.1:443', '127.0.0.1', 443],
    ['017700000001:443', '127.0.0.1', 443],
    ['[::ffff:127.0.0.1]:443', '::ffff:7f00:1', 443],
    ['my_host.example:65535', 'my_host.example', 65_535],
  ];
  for (const [text, host, port] of table) {
    test(`${text} is ${host} at ${port}`, () => assert.deepEqual(parseConnectTarget(text), { host, port }));
  }

  const refused = [
    '',
    ':443',
    'host',
    'host:',
    'host:0',
    'host:65536',
    'host:443x',
    'host:-1',
    'host:443:443',
    'user@host:443',
    'http://host:443',
    'host:443/path',
    'ho st:443',
    'host%2e:443',
    'hôst:443',
    '[::1:443',
    '::1:443',
    '[::1',
    '[zz::]:443',
    '.:443',
    '..:443',
    'a..b:443',
    '.a:443',
    `${'a'.repeat(64)}.example:443`,
    `${'a.'.repeat(150)}b:443`,
    'host:443\r\nX: y',
    '[::1%25eth0]:443',
    '*:443',
    '999.1.1.1:443',
  ];
  for (const text of refused) {
    test(`${JSON.stringify(text.slice(0, 40))} is refused`, () => {
      assert.throws(() => parseConnectTarget(text), TextRefusal);
    });
  }
});

describe('parseAbsoluteTarget()', () => {
  const table: readonly [url: string, host: string, port: number, path: string][] = [
    ['http://deb.debian.org/debian/dists/x?y=1', 'deb.debian.org', 80, '/debian/dists/x?y=1'],
    ['http://host:8080', 'host', 8080, '/'],
    ['http://host?q', 'host', 80, '/?q'],
    ['HTTP://HOST/', 'host', 80, '/'],
    // As it came: a tidied path would ask for something else.
    ['http://host/a/../b%2f/./c', 'host', 80, '/a/../b%2f/./c'],
    ['http://host//b', 'host', 80, '//b'],
    ['https://host/x', 'host', 443, '/x'],
    ['http://[::1]/x', '::1', 80, '/x'],
  ];
  for (const [url, host, port, path] of table) {
    test(url, () => {
      const target = parseAbsoluteTarget(url);
      assert.deepEqual([target.host, target.port, target.path], [host, port, path]);
    });
  }

  for (const url of [
    'ftp://host/',
    'http:///path',
    'http://user:secret@host/',
    'http://host:port/',
    'http://ho st/',
    'http://host/#there',
    'http://%31/',
    'http://',
    'gopher://x',
    'http://host\\@other/',
    'http://a@b@c/',
  ]) {
    test(`${url} is refused, and not repeated`, () => {
      assert.throws(
        () => parseAbsoluteTarget(url),
        (error) => error instanceof TextRefusal && !error.message.includes('secret'),
      );
    });
  }
});

test('formatAuthority() puts brackets where they must be, and leaves out the port that goes without saying', () => {
  assert.equal(formatAuthority({ host: '::1', port: 443 }, 443), '[::1]');
  assert.equal(formatAuthority({ host: 'a', port: 80 }, 443), 'a:80');
  assert.equal(formatAuthority({ host: 'a', port: 80 }), 'a:80');
});
