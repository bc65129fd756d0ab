import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { failsWith } from '../../../test/support/fails-with.ts';
import { type RawRequest, startRawServer } from '../../../test/support/raw-server.ts';
import { byteSourceOf } from '../../lib/index.ts';
import { createDial } from '../dial/dial.ts';
import type { ExactRequest } from '../http-types.ts';
import { HttpError, type RequestBody } from '../http-types.ts';
import { askOnce, type ExactAnswer } from './ask-once.ts';

async function stage(
  t: TestContext,
  answer: (request: RawRequest) => void,
  connected: (socket: Socket) => void = () => undefined,
) {
  const server = await startRawServer(answer, { connected });
  t.after(() => server.close());
  const dial = createDial({});
  const place = { protocol: 'http:', host: '127.0.0.1', port: server.port, addresses: { kind: 'any' } } as const;
  const ask = (request: Partial<ExactRequest>, bodyIdleTimeout = 5000): Promise<ExactAnswer> =>
    askOnce(
      { method: 'GET', target: '/', rawHeaders: ['Host', 'a'], ...request },
      {
        authority: 'a:80',
        responseHeaderTimeout: 5000,
        bodyIdleTimeout,
        open: (reads) => dial({ ...place, ...reads }),
      },
    );
  return { server, ask };
}

async function text({ body }: ExactAnswer): Promise<string> {
  let found = '';
  for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) found += chunk.toString('latin1');
  return found;
}

function bodyOf(words: string, length: number | undefined): RequestBody & { readonly cancelled: () => boolean } {
  const source = byteSourceOf([Buffer.from(words)]);
  let cancelled = false;
  const cancel = (): void => {
    cancelled = true;
    source.cancel();
  };
  return { length, source: { read: () => source.read(), cancel }, cancelled: () => cancelled };
}

describe('askOnce()', () => {
  test('sends what it is given as it is given, and gives the answer as it came', async (t) => {
    const head = 'HTTP/1.1 299 So\r\nX-ODD: a\r\nset-Cookie: b\r\nSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok';
    const { server, ask } = await stage(t, ({ socket }) => void socket.write(head));
    const rawHeaders = ['hOsT', 'a', 'X-B', '1', 'x-a', '\u00e4', 'x-b', '2'];
    const answer = await ask({ method: 'M-SEARCH', target: '/a/../b%2f?c=//d', rawHeaders });
    assert.equal(
      server.requests[0]?.text,
      'M-SEARCH /a/../b%2f?c=//d HTTP/1.1\r\nhOsT: a\r\nX-B: 1\r\nx-a: \u00e4\r\nx-b: 2\r\n\r\n',
    );
    assert.deepEqual(answer.rawHeaders, ['X-ODD', 'a', 'set-Cookie', 'b', 'Set-Cookie', 'c', 'Content-Length', '2']);
    assert.deepEqual([answer.status, answer.httpVersion, answer.length], [299, '1.1', 2]);
    assert.equal(await text(answer), 'ok');
  });

  test('closes the connection with the answer, whatever that says', async (t) => {
    const { server, ask } = await stage(t, ({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n');
    });
    assert.equal(await text(await ask({})), '');
    const [socket] = server.sockets;
    if (socket?.destroyed === false && !socket.readableEnded) await once(socket, 'end');
  });

  for (const [what, rawHeaders, length, head, end] of [
    ['with its length', ['Host', 'a', 'content-LENGTH', '4'], 4, 'content-LENGTH: 4\r\n\r\n', '\r\nfour'],
    ['in chunks', ['Host', 'a'], undefined, 'Transfer-Encoding: chunked\r\n\r\n', '4\r\nfour\r\n0\r\n\r\n'],
  ] as const) {
    test(`sends a body ${what}`, async (t) => {
      let heard = '';
      const listen = (socket: Socket): void => {
        socket.on('data', (bytes) => {
          heard += String(bytes);
          if (heard.endsWith(end)) socket.end('HTTP/1.0 200 OK\r\n\r\ndone');
        });
      };
      const { ask } = await stage(t, () => undefined, listen);
      const answer = await ask({ method: 'PUT', rawHeaders, body: bodyOf('four', length) });
      assert.ok(heard.startsWith('PUT / HTTP/1.1\r\n') && heard.includes(head), heard);
      assert.deepEqual([answer.httpVersion, answer.length, await text(answer)], ['1.0', undefined, 'done']);
    });
  }

  const bad: readonly (readonly [string, Partial<ExactRequest>])[] = [
    ['a method with a space', { method: 'GET /x' }],
    ['a target with a space', { target: '/a b' }],
    ['a target with a tab', { target: '/a\tb' }],
    ['a target that begins another line', { target: '/a\r\nb' }],
    ['a name that is no token', { rawHeaders: ['a b', 'c'] }],
    ['a value that begins another line', { rawHeaders: ['a', 'b\r\nc: d'] }],
    ['a length and no body', { rawHeaders: ['Content-Length', '4'] }],
    ['another length than the body has', { rawHeaders: ['Content-Length', '5'], body: bodyOf('four', 4) }],
    ['a length before chunks', { rawHeaders: ['Content-Length', '4'], body: bodyOf('four', undefined) }],
    ['no length before a body that has one', { body: bodyOf('four', 4) }],
    ['two lengths', { rawHeaders: ['Content-Length', '4', 'content-length', '4'], body: bodyOf('four', 4) }],
    ['chunks that are announced by the caller', { rawHeaders: ['Transfer-Encoding', 'chunked'] }],
  ];
  for (const [what, request] of bad) {
    test(`refuses ${what}, and does not dial`, async (t) => {
      const { server, ask } = await stage(t, () => undefined);
      await assert.rejects(ask(request), TypeError);
      assert.equal(server.sockets.length, 0);
      const body = request.body as ReturnType<typeof bodyOf> | undefined;
      assert.ok(body === undefined || body.cancelled());
    });
  }

  test('throws what the connection could not be opened for, and cancels the body', async () => {
    const body = bodyOf('four', 4);
    const open = () => Promise.reject(new RangeError('no way'));
    const times = { authority: 'a:80', responseHeaderTimeout: 1000, bodyIdleTimeout: 1000 };
    const asked = askOnce(
      { method: 'PUT', target: '/', rawHeaders: ['Content-Length', '4'], body },
      { ...times, open },
    );
    await assert.rejects(asked, RangeError);
    assert.ok(body.cancelled());
  });

  test('is given up by its signal', async (t) => {
    const abort = new AbortController();
    const { ask } = await stage(t, () => abort.abort());
    await assert.rejects(ask({ signal: abort.signal }), failsWith('aborted'));
  });

  describe('an answer that begins while the body is on its way', () => {
    const rawHeaders = ['Host', 'a'];
    const begin = ({ socket }: RawRequest): void => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    };

    test('waits for as long as that moves', async (t) => {
      const limit = 400;
      const { ask } = await stage(t, (request) => {
        if (request.turn === 1) begin(request);
        // The last chunk ends as a head does.
        else request.socket.end('4\r\ndone\r\n0\r\n\r\n');
      });
      let left = 8;
      const source = {
        read: async (): Promise<Buffer | undefined> => {
          if (left-- === 0) return undefined;
          await new Promise((resolve) => setTimeout(resolve, limit / 4));
          return Buffer.from('piece');
        },
        cancel: (): void => undefined,
      };
      const answer = await ask({ method: 'PUT', rawHeaders, body: { length: undefined, source } }, limit);
      assert.equal(await text(answer), 'done');
    });

    test('ends where neither moves', async (t) => {
      const { ask } = await stage(t, begin);
      const stuck = Promise.withResolvers<Buffer | undefined>();
      let cancelled = false;
      const cancel = (): void => {
        cancelled = true;
        stuck.resolve(undefined);
      };
      const body = { length: undefined, source: { read: () => stuck.promise, cancel } };
      const answer = await ask({ method: 'PUT', rawHeaders, body }, 100);
      await assert.rejects(text(answer), (error) => error instanceof HttpError && error.code === 'idle');
      assert.ok(cancelled);
    });
  });
});
