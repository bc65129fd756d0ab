import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TRANSPORT, upstreamSpec } from '../../test/support/transport-spec.ts';
import type { TransportSpec } from './transport-spec.ts';

const url = 'https://registry.example.com';
const common: TransportSpec = { ...TRANSPORT, tls: { caFiles: ['common.pem'], insecureSkipVerify: true } };

describe('completeUpstream()', () => {
  test('one without settings of its own shares connections with its like', () => {
    const [one, other] = [upstreamSpec({ url }), upstreamSpec({ url, headers: { 'X-Key': 'k' } })];
    assert.equal(one.transport.upstream, one.transport.token);
    assert.deepEqual(one.transport, other.transport);
  });

  for (const [why, own] of [
    ['a credential', { credentials: { helper: 'x' } }],
    ['an authority', { tls: { caFile: 'own.pem' } }],
    ['a timeout', { transport: { dialTimeout: 1 } }],
  ] as const) {
    test(`one with ${why} has connections of its own, and others for each destination`, () => {
      const { transport } = upstreamSpec({ url, ...own }, common);
      assert.equal(new Set([common, ...Object.values(transport)]).size, 4);
    });
  }

  test('its own settings go before the common ones, to wherever it leads', () => {
    const { transport } = upstreamSpec({ url, transport: { dialTimeout: 1, outboundProxy: 'environment' } }, common);
    for (const each of Object.values(transport)) {
      assert.deepEqual(each, { ...common, dialTimeout: 1, outboundProxy: 'environment' });
    }
  });

  test('its authority is trusted besides the common ones', () => {
    const { transport } = upstreamSpec({ url, tls: { caFile: 'own.pem' } }, common);
    for (const { tls } of Object.values(transport)) assert.deepEqual(tls.caFiles, ['common.pem', 'own.pem']);
  });

  test('the common insecure_skip_verify holds for a token service; that of an upstream does not', () => {
    const verifies = (tls: { readonly insecureSkipVerify: boolean }, ofAll: boolean): readonly boolean[] => {
      const { transport } = upstreamSpec({ url, tls }, { tls: { caFiles: [], insecureSkipVerify: ofAll } });
      const { upstream, redirect, token } = transport;
      return [upstream, redirect, token].map((each) => !each.tls.insecureSkipVerify);
    };
    assert.deepEqual(verifies({ insecureSkipVerify: true }, false), [false, false, true]);
    assert.deepEqual(verifies({ insecureSkipVerify: false }, true), [true, true, false]);
  });
});
