import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { failsWith } from '../../../test/support/fails-with.ts';
import { startRawServer } from '../../../test/support/raw-server.ts';
import type { ByteSource } from '../../lib/index.ts';
import { type HttpClientOptions, HttpError, type HttpRequest, type HttpStream } from '../http-types.ts';
import { createHttpClient } from './client.ts';

const MiB = 1024 * 1024;

type Wait = (read: number) => Promise<void> | void;

/** Gives pieces from one buffer, used again for each, as a body's contract allows; counts what was asked of it. */
class Pieces implements ByteSource {
  reads = 0;
  cancelled = 0;
  readonly #count: number;
  readonly #piece: Buffer;
  readonly #wait: Wait;

  constructor(count: number, { size = 1000, wait = () => {} }: { size?: number; wait?: Wait } = {}) {
    this.#count = count;
    this.#piece = Buffer.alloc(size);
    this.#wait = wait;
  }

  async read(): Promise<Buffer | undefined> {
    await this.#wait(this.reads);
    if (this.cancelled > 0) throw new Error('cancelled');
    if (this.reads === this.#count) return undefined;
    this.reads += 1;
    return this.#piece.fill(this.reads % 256);
  }

  cancel(): void {
    this.cancelled += 1;
  }
}

function bytesOf(count: number, size = 1000): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.alloc(size, (i + 1) % 256)));
}

async function whole(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function text({ body }: HttpStream): Promise<string> {
  let found = '';
  for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) found += chunk.toString('latin1');
  return found;
}

async function stage(
  t: TestContext,
  listener: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void,
  options: HttpClientOptions = {},
) {
  const server = createServer((request, response) => void listener(request, response)).listen(0, '127.0.0.1');
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const http = createHttpClient(options);
  t.after(() => http.close());
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const ask = (more: Partial<HttpRequest>) =>
    http.open({ method: 'POST', url, headers: {}, addresses: { kind: 'any' }, ...more });
  return { ask, connections: () => connections };
}

describe('a body that is sent as it comes', () => {
  for (const known of [true, false]) {
    test(`arrives whole, ${known ? 'with its length' : 'in chunks'}, and its connection serves again`, async (t) => {
      const seen: (string | undefined)[] = [];
      const { ask, connections } = await stage(t, async (request, response) => {
        seen.push(request.headers['content-length'], request.headers['transfer-encoding']);
        const bytes = await whole(request);
        response.end(bytes.equals(bytesOf(300)) ? 'right' : `wrong: ${bytes.length}`);
      });
      for (let turn = 0; turn < 2; turn += 1) {
        const source = new Pieces(300);
        const answer = await ask({ body: { length: known ? 300_000 : undefined, source } });
        assert.equal(await text(answer), 'right');
      }
      assert.deepEqual(seen.slice(0, 2), known ? ['300000', undefined] : [undefined, 'chunked']);
      // The second went out on a connection of its own, since it cannot be repeated; a GET takes either.
      await text(await ask({ method: 'PUT', body: 'x' }));
      assert.equal(connections(), 2);
    });
  }

  test('is read no faster than the other side takes it', async (t) => {
    const { promise: mayRead, resolve: letRead } = Promise.withResolvers<void>();
    const { ask } = await stage(t, async (request, response) => {
      await mayRead;
      response.end(String((await whole(request)).length));
    });
    const source = new Pieces(200, { size: MiB });
    const asked = ask({ body: { length: undefined, source } });
    // Sockets buffer some; when they are full, nothing more is asked for.
    for (let before = -1; before !== source.reads; ) {
      before = source.reads;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    assert.ok(source.reads < 100, `${source.reads} MiB were read in vain`);
    letRead();
    assert.equal(await text(await asked), String(200 * MiB));
  });

  test('ends where the other side refuses it, whose answer is had', async (t) => {
    const { ask, connections } = await stage(t, (_request, response) => {
      response.writeHead(413, { connection: 'close' }).end('too much');
    });
    const source = new Pieces(1_000_000);
    const answer = await ask({ body: { length: undefined, source } });
    assert.equal(answer.status, 413);
    assert.equal(await text(answer), 'too much');
    assert.ok(source.cancelled > 0);
    assert.ok(source.reads < 1_000_000);
    assert.equal(connections(), 1);
  });

  for (const [what, length, count] of [
    ['shorter', 3000, 2],
    ['longer', 1500, 2],
  ] as const) {
    test(`that is ${what} than it said fails the exchange, and is never complete to the other side`, async (t) => {
      const complete: boolean[] = [];
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      const { ask } = await stage(t, (request) => {
        request.on('error', () => {});
        request.on('close', () => {
          complete.push(request.complete);
          resolve();
        });
        request.resume();
      });
      await assert.rejects(ask({ body: { length, source: new Pieces(count) } }), failsWith('aborted'));
      await closed;
      assert.deepEqual(complete, [false]);
    });
  }

  test('that breaks off fails the exchange', async (t) => {
    const { ask } = await stage(t, (request) => void request.resume());
    const source = new Pieces(5, {
      wait: (read) => (read === 3 ? Promise.reject(new Error('the client left')) : undefined),
    });
    await assert.rejects(ask({ body: { length: undefined, source } }), (error) => {
      assert.ok(error instanceof HttpError);
      assert.match(error.message, /the client left/);
      return true;
    });
  });

  test('is given up with the request', async (t) => {
    const abort = new AbortController();
    const { ask } = await stage(t, (request) => {
      request.on('error', () => {});
      request.once('data', () => abort.abort());
    });
    const source = new Pieces(1_000_000);
    await assert.rejects(ask({ body: { length: undefined, source }, signal: abort.signal }), failsWith('aborted'));
    assert.ok(source.cancelled > 0);
  });

  test('keeps the time for an answer from running while it moves', async (t) => {
    const { ask } = await stage(
      t,
      async (request, response) => {
        response.end(String((await whole(request)).length));
      },
      { responseHeaderTimeout: 400 },
    );
    const source = new Pieces(8, { wait: () => new Promise((resolve) => setTimeout(resolve, 100)) });
    assert.equal(await text(await ask({ body: { length: undefined, source } })), '8000');
  });

  test('is cancelled where the server cannot be reached', async (t) => {
    const { ask } = await stage(t, (_request, response) => void response.end());
    const server = await startRawServer(() => undefined);
    const url = server.url();
    await server.close();
    const source = new Pieces(1);
    await assert.rejects(ask({ url, body: { length: undefined, source } }), failsWith('refused'));
    assert.deepEqual([source.reads, source.cancelled], [0, 1]);
  });
});

describe('a body that waits for 100 Continue', () => {
  test('is not read where the request is refused by its head', async (t) => {
    const server = await startRawServer(({ socket }) => {
      socket.write('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno');
    });
    t.after(() => server.close());
    const { ask } = await stage(t, () => undefined);
    const source = new Pieces(3);
    const answer = await ask({ url: server.url(), body: { length: 3000, source }, expectContinue: true });
    assert.deepEqual([answer.status, await text(answer), source.reads], [401, 'no', 0]);
    assert.match(server.requests[0]?.text ?? '', /\r\nexpect: 100-continue\r\n/);
    // The server still waits for the body, so the connection serves no other request.
    await text(await ask({ url: server.url(), method: 'PUT', body: 'x' }));
    assert.equal(server.sockets.length, 2);
  });

  test('is sent once the server wants it', async (t) => {
    const { ask } = await stage(t, async (request, response) => {
      response.end(String((await whole(request)).length));
    });
    const source = new Pieces(3);
    assert.equal(await text(await ask({ body: { length: 3000, source }, expectContinue: true })), '3000');
  });

  test('is sent after a while to a server that never says so', async (t) => {
    let received = 0;
    const server = await startRawServer(({ socket }) => {
      socket.on('data', (bytes) => {
        received += bytes.length;
        if (received === 3000) socket.write('HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n');
      });
    });
    t.after(() => server.close());
    const { ask } = await stage(t, () => undefined);
    const body = { length: 3000, source: new Pieces(3) };
    assert.equal((await ask({ url: server.url(), body, expectContinue: true })).status, 201);
  });

  test('announces nothing where it has no bytes', async (t) => {
    const { ask } = await stage(t, (request, response) => void response.end(String(request.headers.expect)));
    assert.equal(
      await text(await ask({ body: { length: 0, source: new Pieces(0) }, expectContinue: true })),
      'undefined',
    );
  });
});

describe('a request', () => {
  test('has a time of its own for its answer', async (t) => {
    const { ask } = await stage(t, (_request, response) => void setTimeout(() => response.end('late'), 300), {
      responseHeaderTimeout: 100,
    });
    await assert.rejects(ask({}), failsWith('timeout'));
    assert.equal(await text(await ask({ responseHeaderTimeout: 10_000 })), 'late');
  });

  test('may have any method but those of forward proxies, and another Host', async (t) => {
    const { ask } = await stage(
      t,
      (request, response) => void response.end(`${request.method} ${request.headers.host}`),
    );
    assert.equal(
      await text(await ask({ method: 'OPTIONS', host: 'mirror.example.com:8080' })),
      'OPTIONS mirror.example.com:8080',
    );
    for (const method of ['CONNECT', 'TRACE', 'get', 'GET /x HTTP/1.1\r\n']) {
      await assert.rejects(ask({ method }), TypeError);
    }
    for (const host of ['a b', 'a\r\nx: y', 'a/b', '']) await assert.rejects(ask({ host }), TypeError);
  });

  test('gives each cookie that is set by itself', async (t) => {
    const { ask } = await stage(t, (_request, response) => {
      response.setHeader('set-cookie', ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2']);
      response.end();
    });
    assert.deepEqual((await ask({ method: 'GET' })).setCookies, ['a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT', 'b=2']);
  });
});
