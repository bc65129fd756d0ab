import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canonicalHost, isLocalHost, isPublicHost, isRegistryName, looksLikeRegistry, withoutPort } from './host.ts';

describe('canonicalHost()', () => {
  const rows: readonly [text: string, host: string | undefined][] = [
    ['ghcr.io', 'ghcr.io'],
    ['GHCR.io', 'ghcr.io'],
    ['ghcr.io.', 'ghcr.io'],
    ['ghcr.io:443', 'ghcr.io'],
    ['ghcr.io.:443', 'ghcr.io'],
    ['ghcr.io.:5000', 'ghcr.io:5000'],
    ['ghcr.io:80', 'ghcr.io:80'],
    ['localhost:5001', 'localhost:5001'],
    ['127.0.0.1:5000', '127.0.0.1:5000'],
    ['apps', 'apps'],
    ['my_registry', 'my_registry'],
    ['', undefined],
    ['.', undefined],
    ['..', undefined],
    ['a..b', undefined],
    ['.a', undefined],
    ['-a', undefined],
    ['a-', undefined],
    ['a.b..', undefined],
    ['a:', undefined],
    ['a:0', undefined],
    ['a:65535', 'a:65535'],
    ['a:65536', undefined],
    ['a:b', undefined],
    ['a:1:2', undefined],
    ['[::1]', undefined],
    ['[::1]:5000', undefined],
    ['a/b', undefined],
    ['a@b', undefined],
    ['a b', undefined],
    ['a\n', undefined],
    ['é.example', undefined],
    ['\u212a8s.gcr.io', undefined],
    ['a%2eb', undefined],
    ['a'.repeat(260), undefined],
  ];
  for (const [text, host] of rows) {
    test(`${JSON.stringify(text.slice(0, 30))} is ${host ?? 'none'}`, () => assert.equal(canonicalHost(text), host));
  }
});

describe('isPublicHost()', () => {
  const rows: readonly [host: string, isPublic: boolean][] = [
    ['ghcr.io', true],
    ['registry.example.com:5000', true],
    ['xn--bcher-kva.example', true],
    ['a.xn--p1ai', true],
    ['ghcr', false],
    ['localhost', false],
    ['localhost:5000', false],
    ['registry.localhost', false],
    ['printer.local', false],
    ['metadata.google.internal', false],
    ['registry.lan', false],
    ['registry.corp:5000', false],
    ['1.0.0.127.in-addr.arpa', false],
    ['127.0.0.1', false],
    ['8.8.8.8', false],
    ['8.8.8.8:443', false],
    // What the URL parser reads as an IPv4 address.
    ['127.1', false],
    ['0x7f.1', false],
    ['1.2.3.0x7f', false],
    ['a.0x7f', false],
    ['017700000001.1', false],
    ['a_b.example', false],
    ['-a.example', false],
    [`${'a'.repeat(64)}.example`, false],
    ['a.b.c', false],
  ];
  for (const [host, isPublic] of rows) {
    test(`${host.slice(0, 40)} is ${isPublic ? 'public' : 'not'}`, () => assert.equal(isPublicHost(host), isPublic));
  }

  test('no name it lets through is an address to the URL parser', () => {
    for (const [host, isPublic] of rows) {
      if (isPublic) assert.match(new URL(`https://${host}`).hostname, /[a-z]/);
    }
  });
});

describe('looksLikeRegistry()', () => {
  for (const component of ['ghcr.io', 'localhost', 'localhost:5000', 'a:1', '.']) {
    test(`${component} does`, () => assert.equal(looksLikeRegistry(component), true));
  }
  for (const component of ['docker', 'library', 'Localhost', '']) {
    test(`${JSON.stringify(component)} does not`, () => assert.equal(looksLikeRegistry(component), false));
  }
});

describe('isRegistryName()', () => {
  for (const name of ['ghcr.io', 'localhost', 'localhost:5001', 'apps', 'my-apps_2', '10.0.0.5:5000']) {
    test(`${name} is one`, () => assert.equal(isRegistryName(name), true));
  }
  for (const name of ['', 'v2', 'Apps', 'a/b', 'a__-b', 'GHCR.io', 'ghcr.io:443', '-a', '__proto__', 'a b']) {
    test(`${JSON.stringify(name)} is none`, () => assert.equal(isRegistryName(name), false));
  }
});

describe('isLocalHost()', () => {
  for (const host of ['localhost', 'localhost:5000', 'mirror.localhost', '127.0.0.1:5000', '10.0.0.1']) {
    test(`${host} is`, () => assert.equal(isLocalHost(host), true));
  }
  for (const host of ['ghcr.io', 'mirror', 'localhost.example.com']) {
    test(`${host} is not`, () => assert.equal(isLocalHost(host), false));
  }
});

describe('withoutPort()', () => {
  test('leaves the name', () => assert.equal(withoutPort('localhost:5001'), 'localhost'));
  test('leaves a name alone', () => assert.equal(withoutPort('ghcr.io'), 'ghcr.io'));
});
