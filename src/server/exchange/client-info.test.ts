import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileTrustedProxies, identifyClient } from './client-info.ts';

describe('trusted servers in front', () => {
  const trusts = compileTrustedProxies(['127.0.0.1', '10.0.0.0/8', '2001:db8::/32']);
  const table: readonly (readonly [string | undefined, boolean])[] = [
    ['127.0.0.1', true],
    ['127.0.0.2', false],
    ['10.200.3.4', true],
    ['11.0.0.1', false],
    ['2001:db8:1::5', true],
    ['2001:db9::5', false],
    ['not an address', false],
    ['', false],
    [undefined, false],
  ];
  for (const [address, trusted] of table) test(`${address}`, () => assert.equal(trusts(address), trusted));

  test('a Unix socket is trusted by its word', () => {
    assert.equal(compileTrustedProxies(['unix'])(undefined), true);
    assert.equal(compileTrustedProxies(['unix'])('127.0.0.1'), false);
  });
});

describe('the client', () => {
  const trusts = compileTrustedProxies(['127.0.0.1', '10.0.0.0/8']);
  const plain = { encrypted: false } as const;

  test('the peer, where no proxy is trusted', () => {
    const headers = { host: 'm:5000', 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' };
    assert.deepEqual(identifyClient({ ...plain, peer: '::ffff:203.0.113.9', headers }, trusts), {
      address: '203.0.113.9',
      scheme: 'http',
      host: 'm:5000',
    });
  });

  const table: readonly (readonly [string, string, string])[] = [
    ['one server in front', '192.0.2.1', '192.0.2.1'],
    ['what the client says of itself is not reached', '10.0.0.1, 198.51.100.1, 192.0.2.1', '192.0.2.1'],
    ['two servers in front', '192.0.2.1, 10.0.0.7', '192.0.2.1'],
    ['a client of the own network', '10.0.0.8, 10.0.0.7', '10.0.0.8'],
    ['a port is not part of it', '192.0.2.1:4711', '192.0.2.1'],
    ['nothing that can be read', 'x', 'unknown'],
    ['nothing that can be read, behind one that can', '192.0.2.1, x', 'unknown'],
    ['nothing that can be read, before a trusted one', 'x, 10.0.0.7', 'unknown'],
    ['an endless list', `${'127.0.0.1, '.repeat(1000)}192.0.2.1`, '192.0.2.1'],
    ['a client of this machine', '127.0.0.1', '127.0.0.1'],
    ['one that says so from a network that is trusted as a whole', '127.0.0.1, 10.1.2.3', 'unknown'],
    ['a script', '<script>, 192.0.2.1', '192.0.2.1'],
  ];
  for (const [name, forwarded, address] of table) {
    test(name, () => {
      const caller = identifyClient({ ...plain, peer: '127.0.0.1', headers: { 'x-forwarded-for': forwarded } }, trusts);
      assert.equal(caller.address, address);
    });
  }

  test('scheme and host are those of the same hop', () => {
    const headers = {
      host: 'inner:5000',
      'x-forwarded-for': '198.51.100.1, 192.0.2.1, 10.0.0.7',
      'x-forwarded-proto': 'http, https, http',
      'x-forwarded-host': 'evil.example, m.example, inner.example',
    };
    assert.deepEqual(identifyClient({ ...plain, peer: '127.0.0.1', headers }, trusts), {
      address: '192.0.2.1',
      scheme: 'https',
      host: 'm.example',
      isForwarded: true,
    });
  });

  test('what is no scheme and no host is not repeated', () => {
    const headers = {
      host: 'm:5000',
      'x-forwarded-for': '192.0.2.1',
      'x-forwarded-proto': 'javascript',
      'x-forwarded-host': 'a/b"><script>',
    };
    assert.deepEqual(identifyClient({ peer: '127.0.0.1', encrypted: true, headers }, trusts), {
      address: '192.0.2.1',
      scheme: 'https',
      host: 'm:5000',
      isForwarded: true,
    });
  });

  test('a Unix socket has no address', () => {
    assert.equal(identifyClient({ ...plain, peer: undefined, headers: {} }, trusts).address, '');
  });
});
