import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isAllowed, isAllowedByName, isPublicAddress, plainHost, policyKey } from './address-policy.ts';

const NOT_PUBLIC = [
  ['unspecified', '0.0.0.0'],
  ['this network', '0.255.255.255'],
  ['private', '10.0.0.1'],
  ['carrier-grade NAT, first', '100.64.0.0'],
  ['carrier-grade NAT, last', '100.127.255.255'],
  ['loopback', '127.0.0.1'],
  ['loopback, far end', '127.255.255.254'],
  ['cloud metadata', '169.254.169.254'],
  ['private', '172.16.0.1'],
  ['private, last', '172.31.255.255'],
  ['protocol assignments', '192.0.0.8'],
  ['documentation', '192.0.2.1'],
  ['6to4 relay', '192.88.99.1'],
  ['private', '192.168.1.1'],
  ['benchmarking', '198.19.255.255'],
  ['documentation', '198.51.100.7'],
  ['documentation', '203.0.113.7'],
  ['multicast', '224.0.0.1'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['unspecified', '::'],
  ['loopback', '::1'],
  ['loopback, written out', '0:0:0:0:0:0:0:1'],
  ['IPv4-compatible', '::127.0.0.1'],
  ['mapped loopback', '::ffff:127.0.0.1'],
  ['mapped metadata in hexadecimal', '::ffff:a9fe:a9fe'],
  ['mapped private', '::ffff:10.1.2.3'],
  ['NAT64 of loopback', '64:ff9b::7f00:1'],
  ['NAT64 of metadata', '64:ff9b::169.254.169.254'],
  ['NAT64 of zero', '64:ff9b::'],
  ['local NAT64', '64:ff9b:1::808:808'],
  ['discard', '100::1'],
  ['Teredo', '2001::1'],
  ['ORCHID', '2001:20::1'],
  ['documentation', '2001:db8::1'],
  ['6to4 of a public address', '2002:808:808::1'],
  ['documentation', '3fff::1'],
  ['unique local', 'fd00::1'],
  ['unique local', 'fc00::1'],
  ['link-local', 'fe80::1'],
  ['link-local with a zone', 'fe80::1%eth0'],
  ['site-local', 'fec0::1'],
  ['multicast', 'ff02::1'],
  ['not an address', 'example.com'],
  ['a spelling only some parsers take', '0x7f.1'],
  ['nothing', ''],
] as const;

const PUBLIC = [
  '1.1.1.1',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.1',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2a00:1450:4001:81b::200e',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
  '64:ff9b::808:808',
];

describe('isPublicAddress()', () => {
  for (const [what, ip] of NOT_PUBLIC) {
    test(`refuses ${ip || 'the empty text'} (${what})`, () => assert.equal(isPublicAddress(ip), false));
  }
  for (const ip of PUBLIC) test(`accepts ${ip}`, () => assert.equal(isPublicAddress(ip), true));

  test('judges every IPv4 address in all of its IPv6 spellings as itself', () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        const [a = 0, b = 0, c = 0, d = 0] = ip.split('.').map(Number);
        const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
        const expected = isPublicAddress(ip);
        for (const spelling of [`::ffff:${ip}`, `::ffff:${hex}`, `64:ff9b::${ip}`, `64:ff9b::${hex}`]) {
          assert.equal(isPublicAddress(spelling), expected, spelling);
        }
      }),
    );
  });
});

describe('isAllowed()', () => {
  const allow = ['Registry.Corp', '10.1.0.0/16', '192.168.7.7', 'fd00:1::/32', '[fd00:2::5]', 'nonsense/99', '::1/200'];
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['registry.corp', '10.9.9.9', true],
    ['REGISTRY.CORP.', '10.9.9.9', true],
    ['other.corp', '10.9.9.9', false],
    ['sub.registry.corp', '10.9.9.9', false],
    ['other.corp', '10.1.255.255', true],
    ['other.corp', '10.2.0.0', false],
    ['other.corp', '::ffff:10.1.2.3', true],
    ['other.corp', '64:ff9b::10.1.2.3', true],
    ['other.corp', '::ffff:10.2.2.3', false],
    ['192.168.7.7', '192.168.7.7', true],
    ['192.168.7.8', '192.168.7.8', false],
    ['x', 'fd00:1:2::3', true],
    ['x', 'fd00:2::5', true],
    ['x', 'fd00:2::6', false],
    ['x', '::1', false],
    ['x', '8.8.8.8', true],
    ['x', 'not an address', false],
  ];
  for (const [host, ip, expected] of cases) {
    test(`${expected ? 'lets' : 'does not let'} ${host} go to ${ip}`, () => {
      assert.equal(isAllowed({ kind: 'public', allow }, host, ip), expected);
    });
  }

  test('lets anything go anywhere where the configuration named the host', () => {
    assert.equal(isAllowed({ kind: 'any' }, 'x', '169.254.169.254'), true);
  });
});

describe('isAllowedByName()', () => {
  const policy = { kind: 'public', allow: ['db', 'vault.internal', '10.1.0.0/16'] } as const;
  const allowed = [
    'example.com',
    'Example.COM.',
    'local.example',
    '8.8.8.8',
    '[2606:4700::1]',
    'db',
    'vault.internal',
    '10.1.2.3',
  ];
  const refused = [
    'localhost',
    'LOCALHOST.',
    'a.localhost',
    'localhost.localdomain',
    'localhost6.localdomain6',
    'db2',
    'printer.local.',
    'metadata.google.internal',
    'a.home.arpa',
    '127.0.0.1',
    '[::1]',
    '[::ffff:10.0.0.1]',
    '10.2.0.1',
    // Addresses too.
    '127.1',
    '0x7f.1',
    '0x7f.0.0.0x1',
    '2130706433',
    '127.0.0.1.2',
  ];
  for (const [hosts, expected] of [
    [allowed, true],
    [refused, false],
  ] as const) {
    for (const host of hosts) {
      test(`${expected ? 'lets' : 'does not let'} an outbound proxy resolve ${host}`, () => {
        assert.equal(isAllowedByName(policy, host), expected);
      });
    }
  }

  test('lets anything be resolved that the configuration named', () => {
    assert.equal(isAllowedByName({ kind: 'any' }, 'localhost'), true);
  });
});

describe('policyKey()', () => {
  test('is one for equal policies and differs for all others', () => {
    const one = policyKey({ kind: 'public', allow: ['a', 'b'] });
    assert.equal(one, policyKey({ kind: 'public', allow: ['b', 'a'] }));
    assert.notEqual(one, policyKey({ kind: 'public', allow: ['a,b'] }));
    assert.notEqual(policyKey({ kind: 'any' }), policyKey({ kind: 'public', allow: [] }));
  });
});

describe('plainHost()', () => {
  test('writes a host the way a resolver takes it', () => {
    assert.deepEqual(['[::1]', 'Example.COM.', '10.0.0.1'].map(plainHost), ['::1', 'example.com', '10.0.0.1']);
  });
});
