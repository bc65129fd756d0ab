import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type LookupFunction, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { failsWith } from '../../../test/support/fails-with.ts';
import { startRawServer, testPem } from '../../../test/support/raw-server.ts';
import type { AddressPolicy, HttpClientOptions } from '../http-types.ts';
import { createDial } from './dial.ts';
import type { Dialled } from './target.ts';

const ANY: AddressPolicy = { kind: 'any' };
const PUBLIC: AddressPolicy = { kind: 'public', allow: [] };

/** A resolver that answers with these addresses, call by call, the last for ever; and counts. */
function resolver(...answers: readonly (readonly string[])[]): LookupFunction & { calls: number } {
  const lookup: LookupFunction & { calls: number } = (_host, options, callback) => {
    const addresses = answers[Math.min(lookup.calls++, answers.length - 1)] ?? [];
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (options.all === true) callback(null, found);
    else callback(null, found[0]?.address ?? '', found[0]?.family);
  };
  lookup.calls = 0;
  return lookup;
}

async function listen(t: TestContext, options: { tls?: boolean; requestCert?: boolean } = {}) {
  const server = await startRawServer(() => undefined, options);
  t.after(() => server.close());
  return server;
}

async function dialled(t: TestContext, dialling: Promise<Dialled>): Promise<Socket> {
  const { socket } = await dialling;
  t.after(() => socket.destroy());
  return socket;
}

describe('dial() under the address policy', () => {
  const literals = ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '[::]', '169.254.169.254', '10.0.0.1'];
  for (const host of literals) {
    test(`refuses ${host} without a connection`, async (t) => {
      const server = await listen(t);
      const dial = createDial({});
      const target = { protocol: 'http:', host, port: server.port, addresses: PUBLIC };
      await assert.rejects(dial(target), failsWith('forbidden', /must not be dialled/));
      assert.equal(server.sockets.length, 0);
    });
  }

  test('refuses every spelling of an address that a URL can have', async (t) => {
    const server = await listen(t);
    for (const spelling of ['2130706433', '0x7f.1', '017700000001', '127.1', '127.0.0.1.']) {
      const { hostname } = new URL(`http://${spelling}/`);
      const dialling = createDial({})({ protocol: 'http:', host: hostname, port: server.port, addresses: PUBLIC });
      await assert.rejects(dialling, failsWith('forbidden'), spelling);
    }
  });

  for (const host of ['localhost', 'LOCALHOST.']) {
    test(`refuses ${host}`, async (t) => {
      const server = await listen(t);
      const dialling = createDial({})({ protocol: 'http:', host, port: server.port, addresses: PUBLIC });
      await assert.rejects(dialling, failsWith('forbidden'));
      assert.equal(server.sockets.length, 0);
    });
  }

  test('refuses a name that leads inside, over TLS as well', async (t) => {
    for (const protocol of ['http:', 'https:']) {
      const server = await listen(t, { tls: protocol === 'https:' });
      const dial = createDial({ lookup: resolver(['127.0.0.1', '::1']), tls: { ca: testPem('ca') } });
      const dialling = dial({ protocol, host: 'registry.test', port: server.port, addresses: PUBLIC });
      await assert.rejects(dialling, failsWith('forbidden', /127\.0\.0\.1, ::1 is not a public address/));
      assert.equal(server.sockets.length, 0);
    }
  });

  test('goes by the address it resolves to now, not by the one it resolved to before', async (t) => {
    const server = await listen(t);
    const lookup = resolver(['127.0.0.1'], ['169.254.169.254']);
    const dial = createDial({ lookup });
    const target = { protocol: 'http:', host: 'rebound.test', port: server.port };
    const allow = { kind: 'public', allow: ['127.0.0.1'] } as const;
    await dialled(t, dial({ ...target, addresses: allow }));
    await assert.rejects(dial({ ...target, addresses: allow }), failsWith('forbidden'));
    assert.equal(lookup.calls, 2);
  });

  test('leaves out the forbidden ones among several addresses', async (t) => {
    const server = await listen(t);
    const dial = createDial({ lookup: resolver(['169.254.169.254', '10.0.0.1', '127.0.0.1']) });
    const addresses = { kind: 'public', allow: ['127.0.0.0/8'] } as const;
    const dialling = dial({ protocol: 'http:', host: 'mixed.test', port: server.port, addresses });
    assert.equal((await dialled(t, dialling)).remoteAddress, '127.0.0.1');
  });

  test('refuses a name that resolves to nothing', async () => {
    const dialling = createDial({ lookup: resolver([]) })({
      protocol: 'http:',
      host: 'x.test',
      port: 1,
      addresses: PUBLIC,
    });
    await assert.rejects(dialling, failsWith('forbidden', /nothing is not a public address/));
  });

  for (const [what, allow] of [
    ['host', 'registry.test'],
    ['address', '127.0.0.1'],
    ['block', '127.0.0.0/8'],
  ] as const) {
    test(`lets through what is allowed as a ${what}`, async (t) => {
      const server = await listen(t);
      const dial = createDial({ lookup: resolver(['127.0.0.1']) });
      const addresses = { kind: 'public', allow: [allow] } as const;
      await dialled(t, dial({ protocol: 'http:', host: 'registry.test', port: server.port, addresses }));
    });
  }
});

describe('dial() over TLS', () => {
  async function secure(t: TestContext, options: HttpClientOptions, host = 'registry.test') {
    const server = await listen(t, { tls: true });
    const dial = createDial({ lookup: resolver(['127.0.0.1']), ...options });
    return dialled(t, dial({ protocol: 'https:', host, port: server.port, addresses: ANY }));
  }

  test('trusts the CA it is given, for the name it asked for', async (t) => {
    const socket = (await secure(t, { tls: { ca: testPem('ca') } })) as TLSSocket;
    assert.equal(socket.authorized, true);
  });

  test('checks a literal address against the addresses of the certificate', async (t) => {
    const socket = (await secure(t, { tls: { ca: testPem('ca') } }, '127.0.0.1')) as TLSSocket;
    assert.equal(socket.authorized, true);
  });

  test('offers http/1.1 and nothing else', async (t) => {
    const { createServer: createTlsServer } = await import('node:tls');
    const offered: string[][] = [];
    const server = createTlsServer({
      key: testPem('server-key'),
      cert: testPem('server'),
      ALPNCallback: ({ protocols }) => {
        offered.push(protocols);
        return protocols[0];
      },
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const dial = createDial({ tls: { ca: testPem('ca') } });
    const target = { protocol: 'https:', host: 'localhost', port, addresses: ANY };
    const socket = (await dialled(t, dial(target))) as TLSSocket;
    assert.deepEqual(offered, [['http/1.1']]);
    assert.equal(socket.alpnProtocol, 'http/1.1');
  });

  test('refuses a certificate signed by no trusted CA', async (t) => {
    await assert.rejects(secure(t, {}), failsWith('tls', /^registry\.test:\d+ offers no TLS connection/));
  });

  test('refuses a certificate for another name', async (t) => {
    await assert.rejects(secure(t, { tls: { ca: testPem('ca') } }, 'other.test'), failsWith('tls'));
  });

  test('trusts anything only where that is asked for', async (t) => {
    await secure(t, { tls: { insecureSkipVerify: true } }, 'other.test');
  });

  test('shows its own certificate', async (t) => {
    const server = await listen(t, { tls: true, requestCert: true });
    const cert = { cert: testPem('client'), key: testPem('client-key') };
    const target = { protocol: 'https:', host: '127.0.0.1', port: server.port, addresses: ANY };
    await dialled(t, createDial({ tls: { ca: testPem('ca'), ...cert } })(target));
    while (server.sockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal((server.sockets[0] as TLSSocket).authorized, true);
  });

  test('refuses settings that are not PEM, without showing them', async (t) => {
    await assert.rejects(secure(t, { tls: { cert: 'secret', key: 'secret' } }), (error: Error) => {
      failsWith('tls', /not usable PEM/)(error);
      return !error.message.includes('secret');
    });
  });

  test('calls a server that speaks no TLS one that cannot be trusted', async (t) => {
    const server = await startRawServer(() => undefined, {
      connected: (socket) => socket.write('HTTP/1.1 400 Bad\r\n\r\n'),
    });
    t.after(() => server.close());
    const dialling = createDial({})({ protocol: 'https:', host: '127.0.0.1', port: server.port, addresses: ANY });
    await assert.rejects(dialling, failsWith('tls'));
  });

  test('calls a connection that is cut in the handshake a reset of TLS', async (t) => {
    const server = await startRawServer(() => undefined, {
      connected: (socket) => socket.once('data', () => socket.resetAndDestroy()),
    });
    t.after(() => server.close());
    const dialling = createDial({})({ protocol: 'https:', host: '127.0.0.1', port: server.port, addresses: ANY });
    await assert.rejects(dialling, failsWith('tls-reset'));
  });

  test('gives the handshake a deadline of its own', async (t) => {
    const server = await listen(t);
    const dial = createDial({ dialTimeout: 60_000, tlsHandshakeTimeout: 30 });
    const dialling = dial({ protocol: 'https:', host: '127.0.0.1', port: server.port, addresses: ANY });
    await assert.rejects(dialling, failsWith('timeout', /no end of the TLS handshake within 30 ms/));
  });
});

describe('dial() fails', () => {
  test('where no server listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const dialling = createDial({})({ protocol: 'http:', host: '127.0.0.1', port, addresses: ANY });
    await assert.rejects(dialling, failsWith('refused', /^127\.0\.0\.1:\d+ cannot be reached \(.*ECONNREFUSED/));
  });

  test('where the name does not resolve', async () => {
    const lookup: LookupFunction = (host, _options, callback) => {
      callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), '');
    };
    for (const addresses of [ANY, PUBLIC]) {
      const dialling = createDial({ lookup })({ protocol: 'http:', host: 'nowhere.test', port: 80, addresses });
      await assert.rejects(dialling, failsWith('dns', /^nowhere\.test:80 does not resolve/));
    }
  });

  test('where the resolver is silent', async () => {
    const dial = createDial({ lookup: () => undefined, dialTimeout: 30 });
    const dialling = dial({ protocol: 'http:', host: 'slow.test', port: 80, addresses: ANY });
    await assert.rejects(dialling, failsWith('timeout', /no connection within 30 ms/));
  });

  test('where the caller gives up, in every phase', async (t) => {
    const server = await listen(t);
    const phases: readonly (readonly [HttpClientOptions, string])[] = [
      [{ lookup: () => undefined }, 'http:'],
      [{ lookup: resolver(['127.0.0.1']) }, 'https:'],
    ];
    for (const [options, protocol] of phases) {
      const stop = new AbortController();
      const target = { protocol, host: 'x.test', port: server.port, addresses: ANY, signal: stop.signal };
      const dialling = createDial(options)(target);
      setTimeout(() => stop.abort(), 20);
      await assert.rejects(dialling, failsWith('aborted'));
      await assert.rejects(createDial(options)(target), failsWith('aborted'));
    }
  });

  test('and tries the next address where one refuses', async (t) => {
    const server = await listen(t);
    const dial = createDial({ lookup: resolver(['::1', '127.0.0.1']) });
    const socket = await dialled(t, dial({ protocol: 'http:', host: 'both.test', port: server.port, addresses: ANY }));
    assert.equal(socket.remoteAddress, '127.0.0.1');
  });
});
