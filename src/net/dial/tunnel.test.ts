import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { failsWith } from '../../../test/support/fails-with.ts';
import { startMiddlebox } from '../../../test/support/middlebox.ts';
import { type OutboundProxyScript, startOutboundProxy } from '../../../test/support/outbound-proxies.ts';
import { type RawRequest, startRawServer, testPem } from '../../../test/support/raw-server.ts';
import { createHttpClient } from '../http/client.ts';
import type { AddressPolicy, HttpClientOptions, HttpErrorCode } from '../http-types.ts';

const ANY: AddressPolicy = { kind: 'any' };
const HELLO = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';
const KINDS = ['http', 'https', 'socks5'] as const;

/** A server whose name only the outbound proxy knows, and a client that goes through it. */
async function scene(
  t: TestContext,
  {
    script,
    secure = true,
    answer = ({ socket }) => socket.write(HELLO),
    credential,
    ...options
  }: HttpClientOptions & {
    readonly script: OutboundProxyScript;
    readonly secure?: boolean;
    readonly answer?: (request: RawRequest) => void;
    readonly credential?: string;
  },
) {
  const server = await startRawServer(answer, { tls: secure });
  t.after(() => server.close());
  const middlebox = await startMiddlebox(server.port);
  t.after(() => middlebox.close());
  const proxy = await startOutboundProxy({ to: secure ? middlebox.port : server.port, ...script });
  t.after(() => proxy.close());
  const userinfo = credential === undefined ? '' : `${credential}@`;
  const host = script.kind === 'https' ? 'localhost' : '127.0.0.1';
  const http = createHttpClient({
    tls: { ca: testPem('ca') },
    outboundProxy: new URL(`${script.kind}://${userinfo}${host}:${proxy.port}`),
    ...options,
  });
  t.after(() => http.close());
  const url = new URL(`${secure ? 'https' : 'http'}://localhost:4443/`);
  const fetch = (to = url, addresses = ANY) =>
    http.fetch({ method: 'GET', url: to, headers: {}, addresses, maxBytes: 100 });
  return { server, middlebox, proxy, http, url, fetch };
}

for (const kind of KINDS) {
  describe(`through an outbound proxy of kind ${kind}`, () => {
    for (const secure of [false, true]) {
      test(`asks for the name and keeps the way open${secure ? ', over TLS' : ''}`, async (t) => {
        const { fetch, proxy, server } = await scene(t, { script: { kind }, secure });
        for (let i = 0; i < 3; i++) {
          const reply = await fetch();
          assert.equal(reply.body.toString(), 'hello');
          assert.equal(reply.remoteAddress, undefined);
        }
        assert.deepEqual(proxy.asked, ['localhost:4443']);
        assert.equal(server.sockets.length, 1);
      });
    }

    test('shows it the user and password', async (t) => {
      const script = { kind, credential: 'a user:p@ss%ö' };
      const { fetch, proxy } = await scene(t, { script, credential: `a%20user:p%40ss%25${encodeURIComponent('ö')}` });
      assert.equal((await fetch()).body.toString(), 'hello');
      assert.deepEqual(proxy.credentials, [script.credential]);
    });

    test('says that it wants another user and password, and shows neither', async (t) => {
      const { fetch } = await scene(t, { script: { kind, credential: 'u:right' }, credential: 'u:secret' });
      await assert.rejects(fetch(), (error: Error) => {
        failsWith('refused', /outbound proxy .*127\.0\.0\.1|localhost.* wants another user and password/)(error);
        return !inspect(error, { depth: 9, showHidden: true }).includes('secret');
      });
    });

    test('cuts the ClientHello that goes through it', async (t) => {
      const { fetch, middlebox } = await scene(t, { script: { kind }, firstFragmentLen: 3 });
      assert.equal((await fetch()).body.toString(), 'hello');
      assert.deepEqual(middlebox.passages[0]?.hello.map(({ payload }) => payload.length).slice(0, 1), [3]);
    });

    test('pulls a body right', async (t) => {
      const content = randomBytes(8 * 1024 * 1024);
      for (const secure of [false, true]) {
        const { http, url } = await scene(t, {
          script: { kind },
          secure,
          answer: ({ socket }) => {
            socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n`);
            socket.write(content);
          },
        });
        const { body } = await http.open({ method: 'GET', url, headers: {}, addresses: ANY });
        const hash = createHash('sha256');
        for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) hash.update(bytes);
        assert.equal(hash.digest('hex'), createHash('sha256').update(content).digest('hex'));
      }
    });

    const refusals: readonly (readonly [string, Partial<OutboundProxyScript>, HttpErrorCode, RegExp])[] = [
      [
        'a refusal',
        { refuse: kind === 'socks5' ? 5 : 503 },
        'refused',
        kind === 'socks5' ? /no listener/ : /answered 503/,
      ],
      ['silence', { refuse: -1 }, 'timeout', /opened no tunnel to it within 800 ms/],
      ['an end', { refuse: -2 }, 'reset', /The outbound proxy/],
      ['unsolicited bytes', { surplus: 'HTTP/1.1 200 OK\r\n\r\n' }, 'protocol', /sent data before the request/],
    ];
    for (const [what, script, code, message] of refusals) {
      test(`calls ${what} ${code}`, async (t) => {
        const { fetch } = await scene(t, {
          script: { kind, ...script },
          dialTimeout: code === 'timeout' ? 800 : 5_000,
        });
        await assert.rejects(fetch(), failsWith(code, message));
      });
    }

    test('gives up when the caller does', async (t) => {
      const { http, url, proxy } = await scene(t, { script: { kind, refuse: -1 } });
      const stop = new AbortController();
      const asked = http.fetch({ method: 'GET', url, headers: {}, addresses: ANY, maxBytes: 9, signal: stop.signal });
      const rejected = assert.rejects(asked, failsWith('aborted'));
      while (proxy.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
      await rejected;
    });

    test('judges names where it cannot judge addresses', async (t) => {
      const { fetch, proxy } = await scene(t, { script: { kind }, secure: false });
      const PUBLIC: AddressPolicy = { kind: 'public', allow: ['allowed.internal'] };
      for (const host of [
        'localhost',
        '10.0.0.1',
        '[::1]',
        '169.254.169.254',
        'metadata.google.internal',
        'vault',
        'x.local',
      ]) {
        await assert.rejects(fetch(new URL(`http://${host}/`), PUBLIC), failsWith('forbidden'), host);
      }
      assert.deepEqual(proxy.asked, []);
      for (const host of ['cdn.example.com', 'allowed.internal', '93.184.216.34'])
        await fetch(new URL(`http://${host}/`), PUBLIC);
      assert.deepEqual(proxy.asked, ['cdn.example.com:80', 'allowed.internal:80', '93.184.216.34:80']);
    });
  });
}

describe('an outbound proxy', () => {
  test('is never shown the client certificate, and must have one that holds', async (t) => {
    const { fetch } = await scene(t, { script: { kind: 'https' }, tls: { insecureSkipVerify: true } });
    await assert.rejects(fetch(), failsWith('tls', /The outbound proxy https:\/\/localhost/));
  });

  test('is chosen for each origin', async (t) => {
    const proxy = await startOutboundProxy({ kind: 'http' });
    t.after(() => proxy.close());
    const server = await startRawServer(({ socket }) => socket.write(HELLO));
    t.after(() => server.close());
    const seen: string[] = [];
    const http = createHttpClient({
      outboundProxy: (origin) => {
        seen.push(origin.href);
        return origin.hostname === 'localhost' ? new URL(`http://127.0.0.1:${proxy.port}`) : undefined;
      },
    });
    t.after(() => http.close());
    for (const host of ['localhost', '127.0.0.1']) {
      const url = new URL(`http://${host}:${server.port}/p?q`);
      await http.fetch({ method: 'GET', url, headers: {}, addresses: ANY, maxBytes: 9 });
    }
    assert.deepEqual(seen, [`http://localhost:${server.port}/`, `http://127.0.0.1:${server.port}/`]);
    assert.deepEqual(proxy.asked, [`localhost:${server.port}`]);
  });

  test('of SOCKS5 is given addresses as addresses', async (t) => {
    const { fetch, proxy } = await scene(t, { script: { kind: 'socks5' }, secure: false });
    await fetch(new URL('http://192.0.2.1/'));
    await fetch(new URL('http://[2001:db8::1:2]/'));
    await fetch(new URL('http://[::5]/'));
    assert.deepEqual(proxy.asked, [
      '192.0.2.1:80',
      '20010db8000000000000000000010002:80',
      '00000000000000000000000000000005:80',
    ]);
  });
});
