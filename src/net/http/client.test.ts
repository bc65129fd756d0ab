import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { failsWith } from '../../../test/support/fails-with.ts';
import { type RawRequest, startRawServer, testPem } from '../../../test/support/raw-server.ts';
import {
  type AddressPolicy,
  type HttpClientOptions,
  HttpError,
  type HttpErrorCode,
  type HttpRequest,
} from '../http-types.ts';
import { createHttpClient } from './client.ts';

const ANY: AddressPolicy = { kind: 'any' };

async function pair(
  t: TestContext,
  answer: (request: RawRequest) => void,
  options: HttpClientOptions & { readonly secure?: boolean } = {},
) {
  const { secure = false, ...rest } = options;
  const server = await startRawServer(answer, { tls: secure });
  t.after(() => server.close());
  const http = createHttpClient({ tls: { ca: testPem('ca') }, ...rest });
  t.after(() => http.close());
  const fetch = (more: Partial<HttpRequest> & { readonly maxBytes?: number } = {}) =>
    http.fetch({ method: 'GET', url: server.url(), headers: {}, addresses: ANY, maxBytes: 100, ...more });
  return { server, http, fetch };
}

function says(bytes: string): (request: RawRequest) => void {
  return ({ socket }) => void socket.write(bytes, 'latin1');
}

const HELLO = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';

describe('fetch()', () => {
  for (const secure of [false, true]) {
    test(`gives status, headers, body and address${secure ? ', over TLS' : ''}`, async (t) => {
      const head = 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: a\r\nwww-authenticate: b\r\n__proto__: c\r\n';
      const { fetch, server } = await pair(t, says(`${head}content-length: 2\r\n\r\nno`), { secure });
      const reply = await fetch({ headers: { Authorization: 'Basic x', 'accept-encoding': 'gzip' } });
      assert.equal(reply.status, 401);
      assert.equal(reply.body.toString(), 'no');
      assert.equal(reply.headers['www-authenticate'], 'a, b');
      assert.equal(reply.headers['__proto__'], 'c');
      assert.equal(Object.getPrototypeOf(reply.headers), null);
      assert.equal(reply.remoteAddress, '127.0.0.1');
      const text = server.requests[0]?.text ?? '';
      assert.match(text, /\r\nauthorization: Basic x\r\n/i);
      assert.match(text, /\r\naccept-encoding: identity\r\n/i);
      assert.match(text, /\r\nuser-agent: entrepot\r\n/i);
      assert.doesNotMatch(text, /gzip/);
    });
  }

  test('keeps the connection for the next request', async (t) => {
    const { fetch, server } = await pair(t, says(HELLO));
    for (let i = 0; i < 5; i++) {
      assert.equal((await fetch()).body.toString(), 'hello');
    }
    assert.equal(server.sockets.length, 1);
  });

  for (const secure of [false, true]) {
    for (const how of ['end', 'resetAndDestroy'] as const) {
      test(`asks again, once, where a kept connection breaks by ${how}${secure ? ', over TLS' : ''}`, async (t) => {
        const { fetch, server } = await pair(
          t,
          ({ socket, turn }) => {
            if (turn === 1) socket.write(HELLO);
            else if (secure) socket.destroy();
            else socket[how]();
          },
          { secure },
        );
        assert.equal((await fetch()).body.toString(), 'hello');
        assert.equal((await fetch()).body.toString(), 'hello');
        assert.equal(server.requests.length, 3);
        await assert.rejects(fetch({ method: 'POST', body: 'x' }), failsWith('reset'));
        assert.equal(server.requests.length, 4);
      });
    }

    test(`asks only once where a new connection breaks${secure ? ', over TLS' : ''}`, async (t) => {
      const { fetch, server } = await pair(t, ({ socket }) => socket.destroy(), { secure });
      await assert.rejects(fetch(), failsWith('reset'));
      assert.equal(server.requests.length, 1);
    });
  }

  test('sends a body with its length', async (t) => {
    let received = '';
    const { fetch } = await pair(t, ({ socket, text }) => {
      received = text;
      socket.write(HELLO);
    });
    await fetch({ method: 'POST', body: 'grant_type=x', headers: { 'content-type': 'a/b' } });
    assert.match(received, /^POST \/ HTTP\/1\.1\r\n/);
    assert.match(received, /\r\ncontent-length: 12\r\n/i);
  });

  test('sends bytes, not characters, and counts them', async (t) => {
    const { fetch, server } = await pair(t, ({ socket, text }) => {
      if (text.startsWith('POST')) socket.write(HELLO);
    });
    let sent = '';
    const body = 'ö'.repeat(32 * 1024);
    const replied = fetch({ method: 'POST', body });
    while (server.sockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
    server.sockets[0]?.on('data', (bytes: Buffer) => (sent += bytes.toString('latin1')));
    await replied;
    while (!sent.endsWith(Buffer.from(body).toString('latin1'))) await new Promise((resolve) => setImmediate(resolve));
    assert.match(server.requests[0]?.text ?? '', /\r\ncontent-length: 65536\r\n/);
    await assert.rejects(fetch({ method: 'POST', body: `${body}x` }), TypeError);
    await assert.rejects(fetch({ method: 'GET', body: 'x' }), TypeError);
  });

  test('does not wait for bodies that are streamed', async (t) => {
    const { http, fetch, server } = await pair(
      t,
      ({ socket, text }) => void socket.write(text.startsWith('GET /layer') ? HELLO.slice(0, -1) : HELLO),
      { maxConnsPerHost: 1 },
    );
    const { body } = await http.open({ method: 'GET', url: server.url('/layer'), headers: {}, addresses: ANY });
    assert.equal((await fetch()).body.toString(), 'hello');
    assert.equal(server.sockets.length, 2);
    body.cancel();
  });

  test('asks with HEAD for what is larger than maxBytes', async (t) => {
    const { fetch } = await pair(t, says('HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n'));
    const reply = await fetch({ method: 'HEAD' });
    assert.equal(reply.headers['content-length'], '5000');
    assert.equal(reply.body.length, 0);
  });

  test('follows no redirect and decodes nothing', async (t) => {
    const { fetch } = await pair(
      t,
      says('HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello'),
    );
    const reply = await fetch();
    assert.equal(reply.status, 302);
    assert.equal(reply.body.toString(), 'hello');
  });

  test('takes a body of exactly maxBytes', async (t) => {
    const { fetch } = await pair(t, says(HELLO));
    assert.equal((await fetch({ maxBytes: 5 })).body.toString(), 'hello');
  });

  const large: readonly (readonly [string, string])[] = [
    ['that says so', 'HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n'],
    ['in chunks', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n65\r\n${'x'.repeat(101)}\r\n`],
    ['without an end', `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(101)}`],
  ];
  for (const [what, bytes] of large) {
    test(`refuses a body larger than maxBytes ${what}, and closes the connection`, async (t) => {
      const { fetch, server } = await pair(t, says(bytes));
      await assert.rejects(fetch(), failsWith('too-large', /at most 100 bytes/));
      if (!server.sockets[0]?.destroyed) await once(server.sockets[0] as Socket, 'close');
    });
  }

  test('does not share connections across address policies', async (t) => {
    const { fetch, server } = await pair(t, says(HELLO));
    await fetch();
    await assert.rejects(fetch({ addresses: { kind: 'public', allow: [] } }), failsWith('forbidden'));
    await fetch({ addresses: { kind: 'public', allow: ['127.0.0.1'] } });
    await assert.rejects(fetch({ addresses: { kind: 'public', allow: ['127.0.0.2'] } }), failsWith('forbidden'));
    assert.ok(server.sockets.length >= 2);
    assert.equal(server.requests.length, 2);
  });

  const failures: readonly (readonly [string, HttpErrorCode, (request: RawRequest) => void, HttpClientOptions])[] = [
    ['no answer', 'timeout', () => undefined, { responseHeaderTimeout: 50 }],
    [
      'a body that stands still',
      'idle',
      says('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nh'),
      { bodyIdleTimeout: 50 },
    ],
    ['an end before the answer', 'reset', ({ socket }) => socket.end(), {}],
    ['a reset before the answer', 'reset', ({ socket }) => socket.resetAndDestroy(), {}],
    [
      'an end within the body',
      'truncated',
      ({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nh'),
      {},
    ],
    [
      'an end within a chunk',
      'truncated',
      ({ socket }) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nh'),
      {},
    ],
    ['another protocol', 'protocol', says('SSH-2.0-OpenSSH\r\n\r\n'), {}],
    [
      'a length and chunks',
      'protocol',
      says('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'),
      {},
    ],
    ['an endless head', 'protocol', says(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}`), {}],
  ];
  for (const [what, code, answer, options] of failures) {
    test(`calls ${what} ${code}`, async (t) => {
      const { fetch } = await pair(t, answer, options);
      const url = /^127\.0\.0\.1:\d+ /;
      await assert.rejects(fetch(), failsWith(code, url));
    });
  }

  test('does not wait for ever for a body that drips', async (t) => {
    const { fetch } = await pair(
      t,
      ({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n');
        const drip = setInterval(() => socket.write('x'), 5);
        socket.on('close', () => clearInterval(drip));
      },
      { bodyIdleTimeout: 100 },
    );
    await assert.rejects(fetch({ maxBytes: 10_000 }), failsWith('timeout', /not complete within 1000 ms/));
  });

  test('gives up when the caller does: before, while waiting, within the body', async (t) => {
    const stop = new AbortController();
    const { fetch, server } = await pair(t, ({ turn, connection, socket }) => {
      if (connection === 1 && turn === 1) stop.abort(new Error('why'));
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nh');
    });
    await assert.rejects(fetch({ signal: AbortSignal.abort() }), failsWith('aborted'));
    assert.equal(server.sockets.length, 0);
    await assert.rejects(fetch({ signal: stop.signal }), failsWith('aborted'));
    const late = new AbortController();
    const pending = fetch({ signal: late.signal });
    while (server.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
    late.abort();
    await assert.rejects(pending, failsWith('aborted'));
  });

  test('goes on after a graceful close(), which keeps no connection', async (t) => {
    const held: RawRequest[] = [];
    const answer = (request: RawRequest): void => {
      if (request.text.includes('/held')) held.push(request);
      else says(HELLO)(request);
    };
    const { fetch, http, server } = await pair(t, answer);
    await fetch();
    const pending = fetch({ url: new URL('/held', server.url()) });
    while (held.length === 0) await nextTurn();
    const closed = http.close({ graceful: true });
    assert.equal((await fetch()).body.toString(), 'hello');
    (held[0] as RawRequest).socket.write(HELLO);
    assert.equal((await pending).body.toString(), 'hello');
    await closed;
    await Promise.all(server.sockets.filter((socket) => !socket.destroyed).map((socket) => once(socket, 'close')));
    assert.equal(server.sockets.length, 2);
  });

  test('is refused after close(), which ends what is under way', async (t) => {
    const { http, fetch, server } = await pair(t, () => undefined);
    const pending = fetch();
    while (server.requests.length < 1) await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([assert.rejects(pending, failsWith('aborted')), http.close()]);
    await assert.rejects(fetch(), failsWith('aborted'));
  });

  test('never shows the query in an error', async (t) => {
    const { fetch, server } = await pair(t, ({ socket }) => socket.destroy());
    await assert.rejects(fetch({ url: server.url('/p?sig=secret') }), (error: HttpError) => {
      return !`${error.message} ${error.stack} ${String(error.cause)}`.includes('secret');
    });
  });

  test('never shows what it could not parse', async (t) => {
    const { fetch } = await pair(t, says('{"token": "secret"}'));
    await assert.rejects(
      fetch(),
      (error: HttpError) => !inspect(error, { depth: 9, showHidden: true }).includes('secret'),
    );
  });

  test('refuses URLs and headers that cannot be sent', async (t) => {
    const { fetch } = await pair(t, says(HELLO));
    await assert.rejects(fetch({ url: new URL('http://user:secret@127.0.0.1/') }), TypeError);
    await assert.rejects(fetch({ headers: { 'x-a': 'b\r\nc: d' } }), TypeError);
  });
});
