import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { forwardedHops, parseForwarded, parseNode, plainAddress, UNKNOWN } from './forwarded.ts';

const NOTHING = { address: undefined, scheme: undefined, host: undefined };

describe('an address as a server in front writes it', () => {
  const table: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:80', '192.0.2.1'],
    ['', undefined],
    ['unknown', undefined],
    ['_hidden', undefined],
    ['localhost', undefined],
    ['192.0.2.1.', undefined],
    ['192.0.2', undefined],
    ['192.0.2.256', undefined],
    ['192.0.2.01', undefined],
    ['0300.0.2.1', undefined],
    ['192.0.2.1:', undefined],
    ['192.0.2.1:123456', undefined],
    ['[192.0.2.1]', undefined],
    ['[2001:db8::1', undefined],
    ['2001:db8::1]', undefined],
    ['fe80::1%eth0', undefined],
    ['192.0.2.1\n', undefined],
    ['192.0.2.1 192.0.2.2', undefined],
  ];
  for (const [text, address] of table) {
    test(JSON.stringify(text), () => assert.equal(parseNode(text), address));
  }

  test('a zone is no part of an address', () => assert.equal(plainAddress('FE80::1%eth0'), 'fe80::1'));
});

describe('Forwarded', () => {
  const table: readonly (readonly [string, ReturnType<typeof parseForwarded>])[] = [
    ['for=192.0.2.1', [{ ...NOTHING, address: '192.0.2.1' }]],
    ['For="[2001:db8::17]:4711"', [{ ...NOTHING, address: '2001:db8::17' }]],
    [
      'for=192.0.2.60;proto=https;by=203.0.113.43;host=m.example',
      [{ address: '192.0.2.60', scheme: 'https', host: 'm.example' }],
    ],
    [
      'for=192.0.2.43, for=198.51.100.17;proto=HTTP',
      [
        { ...NOTHING, address: '192.0.2.43' },
        { ...NOTHING, address: '198.51.100.17', scheme: 'http' },
      ],
    ],
    ['for=_mystery;host="m.example:8443"', [{ ...NOTHING, address: UNKNOWN, host: 'm.example:8443' }]],
    ['for="192.0.2.1";', [{ ...NOTHING, address: '192.0.2.1' }]],
    [
      'for="_a,b;c\\"d", for=192.0.2.1',
      [
        { ...NOTHING, address: UNKNOWN },
        { ...NOTHING, address: '192.0.2.1' },
      ],
    ],
    ['host="a\\tb<script>"', [NOTHING]],
    ['', []],
    ['for', undefined],
    ['for=', undefined],
    ['for=1.2.3.4;for=5.6.7.8', undefined],
    ['for="1.2.3.4', undefined],
    ['for="1.2.3.4"x', undefined],
    ['for=1.2.3.4 for=5.6.7.8', undefined],
    [', for=1.2.3.4', undefined],
    [`for=1.2.3.4${', for=1.2.3.4'.repeat(40)}`, undefined],
    [`for="${'a'.repeat(5000)}"`, undefined],
  ];
  for (const [header, hops] of table) {
    test(JSON.stringify(header.slice(0, 60)), () => assert.deepEqual(parseForwarded(header), hops));
  }

  test('takes whatever comes without a complaint, and within its time', () => {
    const piece = fc.constantFrom('for', '=', '"', '\\', ';', ',', ' ', '192.0.2.1', '[::1]', 'proto', 'https', 'x');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        for (const { address } of parseForwarded(pieces.join('')) ?? []) {
          assert.ok([undefined, UNKNOWN, '192.0.2.1', '::1'].includes(address));
        }
      }),
    );
  });
});

describe('hops', () => {
  test('the three headers agree on the last one', () => {
    const headers = {
      'x-forwarded-for': '198.51.100.9, 192.0.2.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.example, m.example',
    };
    assert.deepEqual(forwardedHops(headers), [
      { address: '198.51.100.9', scheme: undefined, host: 'evil.example' },
      { address: '192.0.2.1', scheme: 'https', host: 'm.example' },
    ]);
  });

  test('Forwarded counts only where nothing else is said', () => {
    const forwarded = 'for=192.0.2.7';
    assert.deepEqual(forwardedHops({ forwarded }), [{ ...NOTHING, address: '192.0.2.7' }]);
    assert.deepEqual(forwardedHops({ forwarded, 'x-forwarded-for': '192.0.2.1' }), [
      { ...NOTHING, address: '192.0.2.1' },
    ]);
  });

  test('however much stands before it, the last is read', () => {
    const many = forwardedHops({ 'x-forwarded-for': `${'198.51.100.1, '.repeat(500)}192.0.2.1` });
    assert.deepEqual([many.length, many.at(-1)?.address], [32, '192.0.2.1']);
    const long = forwardedHops({ 'x-forwarded-for': `${'a'.repeat(10_000)}, 192.0.2.1` });
    assert.deepEqual(
      long.map(({ address }) => address),
      [UNKNOWN, '192.0.2.1'],
    );
  });

  test('an unreadable address is an unknown client, not a missing one', () => {
    assert.deepEqual(forwardedHops({ forwarded: 'for="open, for=192.0.2.1' }), [{ ...NOTHING, address: UNKNOWN }]);
    assert.deepEqual(forwardedHops({ 'x-forwarded-proto': 'https' }), [{ ...NOTHING, scheme: 'https' }]);
  });

  test('empty entries are none', () => {
    assert.equal(forwardedHops({ 'x-forwarded-for': ' , 192.0.2.1,, ' }).length, 1);
    assert.deepEqual(forwardedHops({ 'x-forwarded-for': ' '.repeat(5000) }), []);
    assert.deepEqual(forwardedHops({}), []);
  });
});
