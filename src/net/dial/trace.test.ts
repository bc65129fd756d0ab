import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { startMiddlebox } from '../../../test/support/middlebox.ts';
import { startOutboundProxy } from '../../../test/support/outbound-proxies.ts';
import { startRawServer, testPem } from '../../../test/support/raw-server.ts';
import type { HttpClientOptions } from '../http-types.ts';
import { createDial } from './dial.ts';
import type { DialMoment } from './trace.ts';

const lookup: LookupFunction = (_host, { all }, callback) =>
  all === true ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4);

async function told(t: TestContext, url: URL, options: HttpClientOptions): Promise<DialMoment[]> {
  const moments: DialMoment[] = [];
  const { socket } = await createDial({ tls: { ca: testPem('ca') }, lookup, ...options })({
    protocol: url.protocol,
    host: url.hostname,
    port: Number(url.port),
    addresses: { kind: 'any' },
    trace: (moment) => moments.push(moment),
  });
  t.after(() => socket.destroy());
  return moments;
}

const NAMED: readonly DialMoment[] = [
  { kind: 'connecting' },
  { kind: 'asked', host: 'registry.test' },
  { kind: 'resolved', host: 'registry.test', addresses: ['127.0.0.1'] },
  { kind: 'connected', address: '127.0.0.1' },
];

describe('a dial tells how far it has come', () => {
  test('in the clear', async (t) => {
    const server = await startRawServer(() => undefined);
    t.after(() => server.close());
    assert.deepEqual(await told(t, new URL(`http://registry.test:${server.port}`), {}), NAMED);
  });

  test('to an address, which needs no lookup', async (t) => {
    const server = await startRawServer(() => undefined);
    t.after(() => server.close());
    assert.deepEqual(await told(t, server.url(), {}), [NAMED[0], NAMED.at(-1)]);
  });

  test('with each handshake', async (t) => {
    const server = await startRawServer(() => undefined, { tls: true });
    t.after(() => server.close());
    const whole = await told(t, new URL(`https://registry.test:${server.port}`), {});
    assert.deepEqual(whole, [...NAMED, { kind: 'handshake', firstFragmentLen: 0 }]);

    const judge = ([first]: readonly { readonly payload: Buffer }[]) =>
      (first?.payload.length ?? 0) > 1 ? ('reset' as const) : ('pass' as const);
    const middlebox = await startMiddlebox(server.port, judge);
    t.after(() => middlebox.close());
    const cut = await told(t, new URL(`https://registry.test:${middlebox.port}`), { firstFragmentLen: 3 });
    assert.deepEqual(cut, [
      ...NAMED,
      { kind: 'handshake', firstFragmentLen: 3 },
      ...NAMED,
      { kind: 'handshake', firstFragmentLen: 1 },
    ]);
  });

  test('through an outbound proxy, whose name is the one that is looked up and whose password is not told', async (t) => {
    const server = await startRawServer(() => undefined, { tls: true });
    t.after(() => server.close());
    const proxy = await startOutboundProxy({ kind: 'http', credential: 'me:secret', to: server.port });
    t.after(() => proxy.close());
    const outboundProxy = new URL(`http://me:secret@registry.test:${proxy.port}`);
    assert.deepEqual(await told(t, new URL('https://registry.test'), { outboundProxy }), [
      { kind: 'through', outboundProxy: `http://registry.test:${proxy.port}` },
      ...NAMED,
      { kind: 'tunnelled' },
      { kind: 'handshake', firstFragmentLen: 0 },
    ]);
  });
});
