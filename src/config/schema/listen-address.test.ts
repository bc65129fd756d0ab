import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatListenAddress, type ListenAddress, parseListenAddress } from './listen-address.ts';

const read: readonly (readonly [string | number, ListenAddress, string])[] = [
  ['127.0.0.1:5000', { host: '127.0.0.1', port: 5000 }, '127.0.0.1:5000'],
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }, '127.0.0.1:0'],
  ['localhost:5000', { host: 'localhost', port: 5000 }, 'localhost:5000'],
  [':5000', { port: 5000 }, ':5000'],
  ['5000', { port: 5000 }, ':5000'],
  [5000, { port: 5000 }, ':5000'],
  ['*:5000', { port: 5000 }, ':5000'],
  ['[::1]:5000', { host: '::1', port: 5000 }, '[::1]:5000'],
  ['[::]:443', { host: '::', port: 443 }, '[::]:443'],
  ['[fe80::1%eth0]:80', { host: 'fe80::1%eth0', port: 80 }, '[fe80::1%eth0]:80'],
  ['unix:/run/a.sock', { path: '/run/a.sock' }, 'unix:/run/a.sock'],
  ['unix:///run/a.sock', { path: '/run/a.sock' }, 'unix:/run/a.sock'],
];

const refused: readonly (string | number)[] = [
  '',
  ':',
  'x',
  '127.0.0.1',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '300.1.1.1:80',
  '1.2.3:80',
  '::1:5000',
  '[::1]',
  '[::g]:1',
  '[127.0.0.1]:1',
  'http://localhost:1',
  'a b:1',
  '-a:1',
  'a_b:1',
  'unix:a.sock',
  'unix:/',
  'unix:',
  'unix:/a\0b',
  -1,
  1.5,
  70_000,
];

describe('parseListenAddress', () => {
  for (const [text, address, written] of read) {
    test(`${text} is understood`, () => {
      assert.deepEqual(parseListenAddress(text), address);
      assert.equal(formatListenAddress(address), written);
      assert.deepEqual(parseListenAddress(written), address);
    });
  }
  for (const text of refused) {
    test(`${JSON.stringify(text)} is refused`, () => assert.equal(parseListenAddress(text), undefined));
  }
});
