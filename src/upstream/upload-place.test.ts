import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import { Telemetry } from '../telemetry/index.ts';
import { UpstreamConnection } from './connection.ts';
import { placeOf } from './upload-place.ts';

function placed(
  location: string | undefined,
  { privateNetwork = false, url = 'https://reg.example.com', redirectHosts = undefined as string[] | undefined } = {},
): string {
  const connection = new UpstreamConnection('apps', upstreamSpec({ url, redirectHosts }), {
    httpClientFor: () => Promise.reject(new Error('no request is made')),
    telemetry: new Telemetry(),
    now: Date.now,
  });
  const headers = Object.assign(
    Object.create(null) as Record<string, string>,
    location === undefined ? {} : { location },
  );
  const target = '/v2/app/blobs/uploads/?x=1';
  const found = placeOf(
    {
      reply: { status: 202, headers, setCookies: [], remoteAddress: undefined, body: Buffer.alloc(0) },
      url: new URL(url + target),
      target,
      redirected: false,
      visibility: 'private',
      privateNetwork,
      away: undefined,
    },
    connection,
  );
  return 'reason' in found ? `refused: ${found.reason}` : found.url;
}

describe('an upload goes on', () => {
  for (const [location, expected] of [
    ['/v2/app/blobs/uploads/1?_state=a%2Fb==', 'https://reg.example.com/v2/app/blobs/uploads/1?_state=a%2Fb=='],
    ['1', 'https://reg.example.com/v2/app/blobs/uploads/1'],
    ["https://reg.example.com/up?sig=a'b", "https://reg.example.com/up?sig=a'b"],
    ['https://cdn.example.net/up?sig=1', 'https://cdn.example.net/up?sig=1'],
    // A registry that knows nothing of the TLS in front of it.
    ['http://reg.example.com/v2/app/1?a=b', 'https://reg.example.com/v2/app/1?a=b'],
    ['http://reg.example.com:80/v2/app/1', 'https://reg.example.com/v2/app/1'],
  ] as const) {
    test(`where ${location} leads`, () => assert.equal(placed(location), expected));
  }

  test('at the port of the upstream, where a proxy in front of it speaks TLS', () => {
    const url = 'https://reg.example.com:5443';
    assert.equal(placed('http://reg.example.com/1', { url }), 'https://reg.example.com:5443/1');
    assert.equal(placed('http://reg.example.com:5443/1', { url }), 'https://reg.example.com:5443/1');
  });
});

describe('an upload does not go on', () => {
  for (const location of [
    undefined,
    'http://cdn.example.net/1',
    'http://reg.example.com:8080/1',
    'http://reg.example.com@evil.example/1',
    'http://me@reg.example.com/1',
    'https://me:word@reg.example.com/1',
    'ftp://reg.example.com/1',
    'https://10.0.0.1/1',
    'https://localhost/1',
    `https://reg.example.com/${'x'.repeat(9000)}`,
  ]) {
    test(`where ${location?.slice(0, 50)} leads`, () => assert.match(placed(location), /^refused: /));
  }

  test('at a host that redirect_hosts does not list', () => {
    assert.match(placed('https://cdn.example.net/1', { redirectHosts: ['other.example.net'] }), /redirect_hosts/);
  });

  test('at a private address, unless the upstream is on the private network too', () => {
    assert.equal(placed('https://10.0.0.1/1', { privateNetwork: true }), 'https://10.0.0.1/1');
  });
});
