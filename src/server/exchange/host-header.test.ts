import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';
import { faultOfHost, isHostHeader } from './host-header.ts';

function asked(hosts: readonly string[], minor = 1): IncomingMessage {
  const [host] = hosts;
  const rawHeaders = hosts.flatMap((each) => ['Host', each]);
  return { rawHeaders, headers: { host }, httpVersionMinor: minor } as unknown as IncomingMessage;
}

describe('faultOfHost()', () => {
  const good = [
    'localhost',
    'localhost:5000',
    'localhost:1',
    'localhost:65535',
    'localhost:00080',
    '[::1]:65535',
    'mirror.example.com.:5000',
    'mirror.example.com:',
    'my_registry:5000',
    '_registry',
    '192.0.2.1:80',
    '[::1]',
    '[::1]:5000',
    '[::ffff:192.0.2.1]:80',
    '%2Frun%2Fentrepot.sock',
    'xn--bcher-kva.example',
  ];
  for (const host of good) test(`takes ${host}`, () => assert.equal(faultOfHost(asked([host])), undefined));

  const bad = [
    '[::',
    '::1',
    '[::1]x',
    '[::1]:x',
    '[]',
    '[g::]',
    '[fe80::1%25eth0]',
    'a b',
    'a:b',
    'a:5000:1',
    'a:500000',
    'a:65536',
    'a:99999',
    'a:0',
    '[::1]:65536',
    '[::1]:0',
    ':5000',
    'a/b',
    'a?b',
    'a#b',
    'user@a',
    'a\\b',
    '"a"',
    '<a>',
    'a%zz',
    'b\u00fccher.example',
    'a\tb',
    'a'.repeat(256),
  ];
  for (const host of bad) {
    test(`refuses ${JSON.stringify(host.slice(0, 30))}`, () =>
      assert.match(faultOfHost(asked([host])) ?? '', /not a host/));
  }

  test('wants one, and one only, but of HTTP/1.0', () => {
    assert.match(faultOfHost(asked([''])) ?? '', /an empty Host/);
    assert.match(faultOfHost(asked([])) ?? '', /no Host/);
    assert.match(faultOfHost(asked(['a', 'a'])) ?? '', /more than one/);
    assert.equal(faultOfHost(asked([], 0)), undefined);
    assert.equal(faultOfHost(asked([''], 0)), undefined);
    assert.match(faultOfHost(asked(['a b'], 0)) ?? '', /not a host/);
  });
});

test('isHostHeader() takes no impossible port either', () => {
  for (const host of ['a:0', 'a:65536', 'a:99999', '[::1]:99999']) assert.equal(isHostHeader(host), false, host);
  for (const host of ['a', 'a:1', 'a:65535', '[::1]:5000']) assert.equal(isHostHeader(host), true, host);
});
