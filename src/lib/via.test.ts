import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { continueVia, createPseudonym, loopIn, MAX_HOPS, ownVia } from './via.ts';

const OWN = 'entrepot-0123456789abcdef';
const PEER = 'entrepot-fedcba9876543210';
const chain = (received: string | undefined) => continueVia(received, { pseudonym: OWN, version: '1.1' });

describe('Via', () => {
  test('a pseudonym is a name of its own for each process, and says nothing of the machine', () => {
    assert.match(createPseudonym(), /^entrepot-[0-9a-f]{16}$/);
    assert.notEqual(createPseudonym(), createPseudonym());
  });

  test('a chain begins with the first server, and each one adds itself at the end', () => {
    assert.deepEqual(ownVia(OWN), { hops: 0, header: `1.1 ${OWN}` });
    assert.deepEqual(chain(undefined), { hops: 0, header: `1.1 ${OWN}` });
    assert.deepEqual(chain(''), { hops: 0, header: `1.1 ${OWN}` });
    assert.deepEqual(chain(`1.1 ${PEER}`), { hops: 1, header: `1.1 ${PEER}, 1.1 ${OWN}` });
  });

  test('the names of other servers and all comments stay here, and each server still counts', () => {
    for (const [received, passed] of [
      ['1.0 proxy.corp.example:3128', '1.0 hidden'],
      ['HTTP/1.1 cdn (Varnish/7.0, edge (fra), \\) x), 2 lb', 'HTTP/1.1 hidden, 2 hidden'],
      [`1.1 ${PEER} (entrepot 1.0), ,1.1 a`, `1.1 ${PEER}, 1.1 hidden`],
      ['what is this', '1.1 hidden'],
      ['1.1 a (never closed, 1.1 b', '1.1 hidden'],
      [`1.1 ${PEER}x`, '1.1 hidden'],
      ['1.1\u0000 a', '1.1 hidden'],
    ] as const) {
      const { hops, header } = chain(received);
      assert.equal(header, `${passed}, 1.1 ${OWN}`, received);
      assert.equal(hops, passed.split(',').length, received);
    }
  });

  test('a request without this server in its chain is no loop', () => {
    for (const received of [undefined, '', `1.1 ${PEER}`, '1.1 entrepot', '1.1 a, 1.1 b (c)']) {
      assert.equal(loopIn(received, OWN), undefined);
    }
  });

  test('a server that is its own upstream is told so', () => {
    assert.match(loopIn(`1.1 ${OWN}`, OWN) ?? '', /its own upstream/);
    assert.match(loopIn(`1.1 a, 1.1 ${OWN} (x)`, OWN) ?? '', /its own upstream/);
  });

  test('a loop through others tells how many they are', () => {
    assert.match(loopIn(`1.1 ${OWN}, 1.1 ${PEER}`, OWN) ?? '', /through another server/);
    assert.match(loopIn(`1.1 ${OWN}, 1.1 ${PEER}, 1.1 hidden`, OWN) ?? '', /through 2 other servers/);
    assert.match(loopIn(`1.1 ${OWN}, 1.1 a, 1.1 ${OWN}, 1.1 ${PEER}`, OWN) ?? '', /through another server/);
  });

  test('no comment hides this server', () => {
    assert.match(loopIn(`1.1 a (never closed, 1.1 ${OWN}, 1.1 ${PEER}`, OWN) ?? '', /^loop: /);
  });

  test(`more than ${MAX_HOPS} servers are a loop, whatever their names`, () => {
    const passed = (count: number) => Array.from({ length: count }, (_, at) => `1.1 proxy${at}`).join(', ');
    assert.equal(loopIn(passed(MAX_HOPS), OWN), undefined);
    assert.match(loopIn(passed(MAX_HOPS + 1), OWN) ?? '', /passed 17 servers, and at most 16/);
    assert.equal(chain(passed(MAX_HOPS)).hops, MAX_HOPS);
  });

  test('a chain stays short, however long the header that came', () => {
    const huge = `${'1.1 a,'.repeat(2000)}1.1 ${PEER} (${'('.repeat(5000)}`;
    assert.ok(chain(huge).header.length < 1000);
  });
});
