import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isCrossSite, isLoopbackHost, isOwnHost, type OwnHosts } from './own-host.ts';

const HOSTS: OwnHosts = {
  names: new Set(['mirror.example.com', 'box']),
  suffix: 'suffix.example.com',
  origins: ['https://mirror.example.com', 'http://plain.example.com:8080'],
};
const asked = (host: string | undefined) => ({ host, scheme: 'http' }) as const;

describe('a host', () => {
  const own = [
    'localhost',
    'a.localhost:1',
    '127.0.0.1',
    '[::1]',
    '[2001:db8::1]:5000',
    '10.1.2.3',
    'Mirror.Example.COM',
    'box:5000',
    'box.',
  ];
  own.push('suffix.example.com', 'quay.io.suffix.example.com:443', '0x7f.1', '2130706433');
  for (const host of own) test(`${host} is this server`, () => assert.equal(isOwnHost(HOSTS, asked(host)), true));

  const foreign = [
    undefined,
    '',
    'evil.com',
    'box.evil.com',
    'localhost.evil.com',
    'xsuffix.example.com',
    'a/b',
    'a b',
    'x@mirror.example.com.evil.com',
    ':80',
  ];
  for (const host of foreign) test(`${host} is not`, () => assert.equal(isOwnHost(HOSTS, asked(host)), false));

  test('of the loopback is told from others', () => {
    for (const host of ['localhost:1', 'a.localhost', '127.9.9.9:2', '[::1]:3'])
      assert.ok(isLoopbackHost(asked(host)), host);
    for (const host of ['10.0.0.1', 'box', '127.0.0.1.evil.com', '[::ffff:10.0.0.1]', undefined, '128.0.0.1']) {
      assert.equal(isLoopbackHost(asked(host)), false, String(host));
    }
  });
});

describe('a request', () => {
  const from = (more: object) =>
    isCrossSite(HOSTS, {
      origin: undefined,
      site: undefined,
      isReading: true,
      host: 'box:5000',
      scheme: 'http',
      ...more,
    });

  test('of a client that is no browser is of no site', () => assert.equal(from({}), false));

  test('is of its own site by its origin', () => {
    assert.equal(from({ origin: 'http://box:5000' }), false);
    assert.equal(from({ origin: 'http://box', host: 'box:80' }), false);
    for (const origin of [
      'https://box:5000',
      'http://box',
      'http://box:5001',
      'null',
      '',
      'http://BOX:5000x',
      'http://box:5000/',
    ]) {
      assert.equal(from({ origin }), true, origin);
    }
  });

  test('is of its own site by a public URL, where a server in front ends TLS', () => {
    assert.equal(from({ origin: 'https://mirror.example.com', host: 'mirror.example.com' }), false);
    assert.equal(from({ origin: 'https://mirror.example.com', host: 'box:5000' }), true);
    assert.equal(from({ origin: 'https://mirror.example.com', host: undefined }), true);
    assert.equal(from({ origin: 'http://mirror.example.com:81', host: 'mirror.example.com' }), true);
  });

  test('is of another site by what the browser says, except an address that was typed', () => {
    assert.equal(from({ site: 'same-origin' }), false);
    assert.equal(from({ site: 'none' }), false);
    assert.equal(from({ site: 'none', isReading: false }), true);
    for (const site of ['cross-site', 'same-site', '', 'x']) assert.equal(from({ site }), true, site);
    assert.equal(from({ site: 'same-origin', origin: 'http://evil.com' }), true);
  });
});
