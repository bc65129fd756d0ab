import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import type { ConfiguredUpstream } from './complete-upstream.ts';
import { identifiesUs, ownHeaders } from './identity.ts';
import type { UpstreamSpec } from './registry-spec.ts';

function spec(headers: Record<string, string>, tls?: ConfiguredUpstream['tls']): UpstreamSpec {
  return upstreamSpec({ url: 'https://reg.example', headers, tls });
}

describe('ownHeaders', () => {
  test('leaves out what the exchange decides', () => {
    const given = {
      'User-Agent': 'x',
      Host: 'evil',
      RANGE: 'bytes=0-1',
      'Accept-Encoding': 'gzip',
      Connection: 'close',
    };
    assert.deepEqual(ownHeaders(spec({ ...given, 'X-Key': 'k', 'If-None-Match': '*' })), {
      'user-agent': 'x',
      'x-key': 'k',
    });
  });
});

describe('identifiesUs', () => {
  const rows: readonly (readonly [string, UpstreamSpec, boolean])[] = [
    ['nothing', spec({}), false],
    ['a user agent', spec({ 'User-Agent': 'x' }), false],
    ['a header that is sent by this server itself', spec({ Host: 'x' }), false],
    ['a key', spec({ 'X-Api-Key': 'k' }), true],
    ['an Authorization', spec({ Authorization: 'Bearer x' }), true],
    ['an authority', spec({}, { caFile: 'ca.pem' }), false],
    ['a client certificate', spec({}, { certFile: 'c.pem', keyFile: 'k.pem' }), true],
  ];
  for (const [why, given, expected] of rows) {
    test(`${why}: ${expected}`, () => assert.equal(identifiesUs(given), expected));
  }
});
