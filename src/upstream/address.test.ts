import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isNameAllowed, isPrivateNetwork } from './address.ts';

describe('isNameAllowed', () => {
  const rows: readonly (readonly [string, readonly string[], boolean])[] = [
    ['cdn.example.net', [], true],
    ['93.184.216.34', [], true],
    ['10.0.0.1', [], false],
    ['10.0.0.1', ['10.0.0.0/8'], true],
    ['10.0.0.1', ['10.0.0.1'], true],
    ['::1', [], false],
    ['localhost', [], false],
    ['x.localhost', [], false],
    ['localhost', ['localhost'], true],
  ];
  for (const [host, allow, expected] of rows) {
    test(`${host} with [${allow.join()}]: ${expected}`, () => {
      assert.equal(isNameAllowed({ kind: 'public', allow }, host), expected);
      assert.equal(isNameAllowed({ kind: 'any' }, host), true);
    });
  }
});

describe('isInside', () => {
  const rows: readonly (readonly [string, string | undefined, boolean])[] = [
    ['reg.example.com', '93.184.216.34', false],
    ['reg.example.com', '10.0.0.1', true],
    ['reg.example.com', undefined, false],
    ['10.0.0.1', undefined, true],
    ['localhost', undefined, true],
    ['reg.example.com', '::ffff:192.168.0.1', true],
  ];
  for (const [host, address, expected] of rows) {
    test(`${host} at ${address}: ${expected}`, () => assert.equal(isPrivateNetwork(host, address), expected));
  }
});
