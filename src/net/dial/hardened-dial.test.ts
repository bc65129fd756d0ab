import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { failsWith } from '../../../test/support/fails-with.ts';
import { type Middlebox, startMiddlebox, type WireRecord } from '../../../test/support/middlebox.ts';
import { freePort, needs, Workspace } from '../../../test/support/processes.ts';
import { type RawRequest, startRawServer, testPem } from '../../../test/support/raw-server.ts';
import { type Events, Telemetry } from '../../telemetry/index.ts';
import { createHttpClient } from '../http/client.ts';
import {
  type AddressPolicy,
  type HttpClient,
  type HttpClientOptions,
  HttpError,
  type HttpErrorCode,
} from '../http-types.ts';

const ANY: AddressPolicy = { kind: 'any' };
type Judge = (hello: readonly WireRecord[]) => 'reset' | 'end' | 'pass';

const HELLO = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';

/** A client, a middlebox between, and a server behind it. */
async function scene(
  t: TestContext,
  {
    judge = () => 'pass',
    answer,
    ...options
  }: HttpClientOptions & { readonly judge?: Judge; readonly answer?: (request: RawRequest) => void },
) {
  const server = await startRawServer(answer ?? (({ socket }) => socket.write(HELLO)), { tls: true });
  t.after(() => server.close());
  const middlebox = await startMiddlebox(server.port, judge);
  t.after(() => middlebox.close());
  const telemetry = new Telemetry();
  const fallbacks: Events['transport.fallback'][] = [];
  telemetry.on('transport.fallback', (event) => fallbacks.push(event));
  const http = createHttpClient({ tls: { ca: testPem('ca') }, telemetry, ...options });
  t.after(() => http.close());
  return { server, middlebox, http, fallbacks, url: new URL(`https://127.0.0.1:${middlebox.port}/`) };
}

async function text(http: HttpClient, url: URL): Promise<string> {
  return (await http.fetch({ method: 'GET', url, headers: {}, addresses: ANY, maxBytes: 100 })).body.toString();
}

/** The length of the first record of each connection, 0 where it was the only one. */
function firstLengths({ passages }: Middlebox): number[] {
  return passages.map(({ hello: [first, ...rest] }) => (rest.length === 0 ? 0 : (first?.payload.length ?? -1)));
}

describe('a client with firstFragmentLen', () => {
  test('cuts the ClientHello and says who answered', async (t) => {
    const { http, url, middlebox } = await scene(t, { firstFragmentLen: 3 });
    const reply = await http.fetch({ method: 'GET', url, headers: {}, addresses: ANY, maxBytes: 100 });
    assert.equal(reply.body.toString(), 'hello');
    assert.equal(reply.remoteAddress, '127.0.0.1');
    assert.deepEqual(firstLengths(middlebox), [3]);
    assert.ok(
      middlebox.passages[0]?.sent
        .subarray(0, 8)
        .equals(Buffer.from([22, 3, 1, 0, 3, 1, 0, middlebox.passages[0].sent[7] ?? 0])),
    );
  });

  const ladders: readonly (readonly [string, Judge, number[]])[] = [
    ['of more than one byte', ([first]) => ((first?.payload.length ?? 0) > 1 ? 'reset' : 'pass'), [3, 1]],
    ['of a ClientHello in pieces', (hello) => (hello.length > 1 ? 'reset' : 'pass'), [3, 1, 0]],
    ['of pieces, by an end', (hello) => (hello.length > 1 ? 'end' : 'pass'), [3, 1, 0]],
  ];
  for (const [what, judge, tried] of ladders) {
    test(`meets resets ${what}: tries ${tried.join(', ')}, and begins there next time`, async (t) => {
      // No connection is kept, so that every request dials.
      const { http, url, middlebox, fallbacks } = await scene(t, {
        firstFragmentLen: 3,
        judge,
        maxIdleConnsPerHost: 0,
      });
      assert.equal(await text(http, url), 'hello');
      assert.deepEqual(firstLengths(middlebox), tried);
      const reason = what.includes('end') ? 'end' : 'reset';
      assert.deepEqual(
        fallbacks,
        tried.slice(1).map((to, i) => ({ host: '127.0.0.1', from: tried[i], to, reason })),
      );
      assert.equal(await text(http, url), 'hello');
      assert.deepEqual(firstLengths(middlebox), [...tried, tried.at(-1)]);
      assert.equal(fallbacks.length, tried.length - 1);
    });
  }

  test('gives up where every length is cut, and tries all of them the next time', async (t) => {
    const { http, url, middlebox } = await scene(t, { firstFragmentLen: 3, judge: () => 'reset' });
    for (let round = 1; round <= 2; round++) {
      await assert.rejects(text(http, url), failsWith('tls-reset'));
      assert.equal(middlebox.passages.length, 3 * round);
    }
  });

  test('never shows the whole ClientHello where that is not allowed', async (t) => {
    const { http, url, middlebox } = await scene(t, {
      firstFragmentLen: 3,
      allowPlainFallback: false,
      judge: () => 'reset',
    });
    await assert.rejects(text(http, url), failsWith('tls-reset'));
    assert.deepEqual(firstLengths(middlebox), [3, 1]);
  });

  test('does not try again because of a certificate', async (t) => {
    const { http, url, middlebox, fallbacks } = await scene(t, { firstFragmentLen: 3, tls: {} });
    await assert.rejects(text(http, url), failsWith('tls'));
    assert.deepEqual(firstLengths(middlebox), [3]);
    assert.deepEqual(fallbacks, []);
  });

  test('goes to one piece at once where a server refuses the fragments', async (t) => {
    // TLS alert: fatal, decode_error.
    const server = await startRawServer(() => undefined, {
      connected: (socket) => socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 50]))),
    });
    t.after(() => server.close());
    const { http, fallbacks } = await scene(t, { firstFragmentLen: 3 });
    await assert.rejects(text(http, new URL(`https://127.0.0.1:${server.port}/`)), failsWith('tls'));
    assert.deepEqual(fallbacks, [{ host: '127.0.0.1', from: 3, to: 0, reason: 'alert' }]);
    assert.equal(server.sockets.length, 2);
  });

  test('has one deadline for all handshakes', async (t) => {
    let seen = 0;
    const server = await startRawServer(() => undefined, {
      connected: (socket) => {
        // The first is reset late, the second hangs for ever.
        if (seen++ === 0) socket.once('data', () => setTimeout(() => socket.resetAndDestroy(), 600));
      },
    });
    t.after(() => server.close());
    const { http } = await scene(t, { firstFragmentLen: 3, tlsHandshakeTimeout: 1000 });
    const started = performance.now();
    await assert.rejects(text(http, new URL(`https://127.0.0.1:${server.port}/`)), failsWith('timeout'));
    const took = performance.now() - started;
    assert.ok(took < 1500, `${took} ms`);
    assert.equal(seen, 2);
  });

  test('leaves plain HTTP alone', async (t) => {
    const server = await startRawServer(({ socket }) => socket.write(HELLO));
    t.after(() => server.close());
    const { http } = await scene(t, { firstFragmentLen: 3 });
    assert.equal(await text(http, server.url()), 'hello');
  });

  for (const length of [1, 3, 255]) {
    test(`pulls 64 MiB right through ${length} bytes`, async (t) => {
      const part = randomBytes(1024 * 1024);
      const parts = 64;
      const { http, url } = await scene(t, {
        firstFragmentLen: length,
        answer: ({ socket }) => {
          let left = parts;
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${parts * part.length}\r\n\r\n`);
          const more = (): void => {
            while (left-- > 0) if (!socket.write(part)) return void socket.once('drain', more);
          };
          more();
        },
      });
      const { body } = await http.open({ method: 'GET', url, headers: {}, addresses: ANY });
      const hash = createHash('sha256');
      for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) hash.update(bytes);
      const expected = createHash('sha256');
      for (let i = 0; i < parts; i++) expected.update(part);
      assert.equal(hash.digest('hex'), expected.digest('hex'));
    });
  }

  test('holds back a server whose body is not read', async (t) => {
    const size = 64 * 1024 * 1024;
    let handed = 0;
    let stalled: (() => void) | undefined;
    const stall = new Promise<void>((resolve) => (stalled = resolve));
    const { http, url } = await scene(t, {
      firstFragmentLen: 3,
      bodyIdleTimeout: 60_000,
      answer: ({ socket }) => {
        const part = Buffer.alloc(256 * 1024, 7);
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
        const more = (): void => {
          while (handed < size) {
            handed += part.length;
            if (socket.write(part)) continue;
            const timer = setTimeout(() => stalled?.(), 300);
            socket.once('drain', () => {
              clearTimeout(timer);
              more();
            });
            return;
          }
        };
        more();
      },
    });
    const { body } = await http.open({ method: 'GET', url, headers: {}, addresses: ANY });
    await body.read();
    await stall;
    assert.ok(handed <= 32 * 1024 * 1024, `${handed} bytes were sent while no read was pending`);
    let read = 0;
    for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) read += bytes.length;
    assert.ok(read > size - 2 * 1024 * 1024);
  });

  test('keeps its connections, and no process alive with them', async (t) => {
    const { http, url, server } = await scene(t, { firstFragmentLen: 3, idleConnTimeout: 50 });
    for (let i = 0; i < 3; i++) assert.equal(await text(http, url), 'hello');
    assert.equal(server.sockets.length, 1);
    const [socket] = server.sockets as [Socket];
    if (!socket.destroyed) await once(socket, 'close');
  });
});

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}

describe('servers of others put a cut ClientHello together', () => {
  test('openssl s_server', needs('openssl'), async (t) => {
    await using workspace = await Workspace.open();
    const [cert, key] = [
      await workspace.file('cert.pem', testPem('server')),
      await workspace.file('key.pem', testPem('server-key')),
    ];
    for (const version of ['-tls1_2', '-tls1_3']) {
      const port = await freePort();
      await workspace.start(
        ['openssl', 's_server', '-accept', `127.0.0.1:${port}`, '-cert', cert, '-key', key, '-www', '-quiet', version],
        {
          ready: () => answers(port),
        },
      );
      for (const length of [1, 3, 255]) {
        const middlebox = await startMiddlebox(port);
        t.after(() => middlebox.close());
        const http = createHttpClient({ tls: { ca: testPem('ca') }, firstFragmentLen: length });
        t.after(() => http.close());
        const url = new URL(`https://127.0.0.1:${middlebox.port}/`);
        const { status } = await http.fetch({ method: 'GET', url, headers: {}, addresses: ANY, maxBytes: 100_000 });
        assert.equal(status, 200);
        assert.deepEqual(firstLengths(middlebox), [length]);
      }
    }
  });

  test('nginx', needs('nginx'), async (t) => {
    await using workspace = await Workspace.open();
    const port = await freePort();
    const config = `daemon off; master_process off; pid ${workspace.path('pid')}; error_log stderr;
      events {}
      http {
        access_log off; client_body_temp_path ${workspace.path('body')}; proxy_temp_path ${workspace.path('p')};
        fastcgi_temp_path ${workspace.path('f')}; uwsgi_temp_path ${workspace.path('u')}; scgi_temp_path ${workspace.path('s')};
        server {
          listen 127.0.0.1:${port} ssl;
          ssl_certificate ${await workspace.file('cert.pem', testPem('server'))};
          ssl_certificate_key ${await workspace.file('key.pem', testPem('server-key'))};
          ssl_protocols TLSv1.2 TLSv1.3;
          location / { return 200 hello; }
        }
      }`;
    await workspace.start(['nginx', '-p', workspace.dir, '-c', await workspace.file('nginx.conf', config)], {
      ready: () => answers(port),
    });
    for (const length of [1, 3, 255]) {
      const middlebox = await startMiddlebox(port);
      t.after(() => middlebox.close());
      const http = createHttpClient({ tls: { ca: testPem('ca') }, firstFragmentLen: length });
      t.after(() => http.close());
      assert.equal(await text(http, new URL(`https://127.0.0.1:${middlebox.port}/`)), 'hello');
      assert.deepEqual(firstLengths(middlebox), [length]);
    }
  });
});

describe('a handshake that does not come about', () => {
  /** A server that does something with the ClientHello. */
  const onHello = (answer: (socket: Socket) => void) => (socket: Socket) =>
    void socket.on('error', () => undefined).once('data', () => answer(socket));
  // TLS alerts: fatal, unrecognized_name and no_application_protocol.
  const alert = (code: number) => Buffer.from([21, 3, 3, 0, 2, 2, code]);
  const rows: readonly (readonly [
    what: string,
    connected: (socket: Socket) => void,
    code: HttpErrorCode,
    message: RegExp,
    remedy: RegExp | undefined,
  ])[] = [
    [
      'a reset',
      onHello((socket) => socket.resetAndDestroy()),
      'tls-reset',
      /reset during the TLS/,
      /first_fragment_len: 3/,
    ],
    ['an end', onHello((socket) => socket.end()), 'tls-reset', /reset during the TLS/, /first_fragment_len: 3/],
    ['silence', () => undefined, 'timeout', /no end of the TLS handshake/, /first_fragment_len: 3/],
    ['an alert', onHello((socket) => socket.end(alert(112))), 'tls', /refuses the TLS handshake/, undefined],
    ['HTTP/2 alone', onHello((socket) => socket.end(alert(120))), 'tls', /speaks HTTP\/2 alone/, /accept HTTP\/1\.1/],
  ];
  for (const [what, connected, code, message, remedy] of rows) {
    test(`because of ${what} is told apart`, async (t) => {
      const server = await startRawServer(() => undefined, { connected });
      t.after(() => server.close());
      const http = createHttpClient({ tlsHandshakeTimeout: 200 });
      t.after(() => http.close());
      const error: unknown = await text(http, new URL(`https://127.0.0.1:${server.port}/`)).catch((reason) => reason);
      assert.ok(error instanceof HttpError);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      if (remedy === undefined) assert.equal(error.remedy, undefined);
      else assert.match(error.remedy ?? '', remedy);
    });
  }

  test('because nothing listens is no reset', async (t) => {
    const http = createHttpClient({});
    t.after(() => http.close());
    await assert.rejects(text(http, new URL(`https://127.0.0.1:${await freePort()}/`)), failsWith('refused'));
  });

  test('at any length is told to be so', async (t) => {
    const { http, url } = await scene(t, { firstFragmentLen: 3, judge: () => 'reset' });
    const error: unknown = await text(http, url).catch((reason) => reason);
    assert.match((error as HttpError).remedy ?? '', /fails at each length/);
  });
});
