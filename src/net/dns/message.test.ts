import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Answer, decode, encode, TRUNCATED_RESPONSE } from 'dns-packet';
import fc from 'fast-check';
import { soa } from '../../../test/support/dns-servers.ts';
import { DnsServerError } from './dns-error.ts';
import { type DnsQuestion, decodeAnswer, encodeQuery, idOf, isDnsName } from './message.ts';

const QUESTION: DnsQuestion = { name: 'x.test', type: 'A' };

function answer(
  answers: readonly Answer[],
  { flags = 0, authorities = [] as Answer[], question = QUESTION } = {},
): Buffer {
  return encode({ type: 'response', id: 7, flags, questions: [question], answers: [...answers], authorities });
}

function address(name: string, data = '192.0.2.1', ttl = 60): Answer {
  return { name, type: 'A', ttl, data };
}

function alias(name: string, data: string, ttl = 60): Answer {
  return { name, type: 'CNAME', ttl, data };
}

/** The length of the last record, whose data are the last bytes. */
function withLength(message: Buffer, length: number): Buffer {
  message.writeUInt16BE(length, message.length - length - 2);
  return message;
}

describe('encodeQuery()', () => {
  test('fills every query up to a multiple of 128 bytes', () => {
    for (const length of [1, 60, 100, 120, 130, 200, 253]) {
      const name = 'a.'.repeat(length).slice(0, length).replace(/\.$/, 'a');
      const query = encodeQuery({ name, type: 'AAAA' }, { id: 4711 });
      assert.equal(query.length % 128, 0, `${length}`);
      assert.equal(idOf(query), 4711);
      assert.deepEqual(decode(query).questions, [{ name, type: 'AAAA', class: 'IN' }]);
    }
  });
});

describe('decodeAnswer()', () => {
  const found: readonly (readonly [string, readonly Answer[], readonly string[], number])[] = [
    ['an address', [address('x.test')], ['192.0.2.1'], 60],
    ['names in any case', [address('X.Test')], ['192.0.2.1'], 60],
    ['the least time of all', [alias('x.test', 'y.test', 7), address('y.test')], ['192.0.2.1'], 7],
    [
      'aliases in any order',
      [address('z.test'), alias('y.test', 'z.test'), alias('x.test', 'y.test')],
      ['192.0.2.1'],
      60,
    ],
    ['no other name’s address', [address('x.test'), address('evil.test', '192.0.2.66', 1)], ['192.0.2.1'], 60],
    [
      'an alias that leads in a circle',
      [alias('x.test', 'y.test'), alias('y.test', 'x.test'), address('y.test')],
      ['192.0.2.1'],
      60,
    ],
  ];
  for (const [what, answers, addresses, ttl] of found) {
    test(`takes ${what}`, () => {
      assert.deepEqual(decodeAnswer(answer(answers), QUESTION), { outcome: 'found', addresses, ttl, rcode: 'NOERROR' });
    });
  }

  const none: readonly (readonly [string, Buffer, string, number])[] = [
    ['NXDOMAIN', answer([], { flags: 3, authorities: [soa(9)] }), 'no-such-name', 9],
    ['NXDOMAIN without a zone', answer([], { flags: 3 }), 'no-such-name', 0],
    ['no address', answer([alias('x.test', 'y.test')], { authorities: [soa(9)] }), 'no-such-address', 9],
    ['only others’ addresses', answer([address('evil.test')]), 'no-such-address', 0],
    ['SERVFAIL', answer([], { flags: 2 }), 'failed', 0],
    ['what was cut short', answer([alias('x.test', 'y.test')], { flags: TRUNCATED_RESPONSE }), 'failed', 0],
    ['an unknown code', answer([address('x.test')], { flags: 11 }), 'failed', 0],
  ];
  for (const [what, message, outcome, ttl] of none) {
    test(`calls ${what} ${outcome}`, () => {
      const read = decodeAnswer(message, QUESTION);
      assert.deepEqual([read.outcome, read.addresses, read.ttl], [outcome, [], ttl]);
    });
  }

  const refused: readonly (readonly [string, Buffer])[] = [
    ['a query', encodeQuery(QUESTION, { id: 7 })],
    ['the answer for another name', answer([address('y.test')], { question: { name: 'y.test', type: 'A' } })],
    ['the answer for another type', answer([], { question: { name: 'x.test', type: 'AAAA' } })],
    ['nothing', Buffer.alloc(0)],
    // Its length says 3, and so much is there.
    ['an address of three bytes', withLength(answer([address('x.test')]).subarray(0, -1), 3)],
    // The name of the question is a pointer to itself.
    ['a name that leads to itself', Buffer.from('00078000000100000000 0000c00c00010001'.replace(' ', ''), 'hex')],
  ];
  for (const [what, message] of refused) {
    test(`refuses ${what}`, () => assert.throws(() => decodeAnswer(message, QUESTION), DnsServerError));
  }

  test('reads or refuses whatever comes, and nothing else', () => {
    const right = answer([alias('x.test', 'y.test'), address('y.test')], { authorities: [soa(9)] });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(right.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(right.length),
        (changes, end) => {
          const message = Buffer.from(right);
          for (const [at, byte] of changes) message[at] = byte;
          try {
            decodeAnswer(message.subarray(0, end), QUESTION);
          } catch (error) {
            assert.ok(error instanceof DnsServerError, String(error));
          }
        },
      ),
    );
  });
});

describe('isDnsName()', () => {
  test('knows what can be asked for', () => {
    for (const name of ['a', 'a.b', `${'x'.repeat(63)}.test`, '_dmarc.a']) assert.equal(isDnsName(name), true, name);
    for (const name of ['', '.', 'a..b', '.a', `${'x'.repeat(64)}.test`, 'a.'.repeat(127) + 'aa'])
      assert.equal(isDnsName(name), false, name);
  });
});
