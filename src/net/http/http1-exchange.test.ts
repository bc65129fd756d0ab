import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { failsWith } from '../../../test/support/fails-with.ts';
import { type RawRequest, startRawServer, testPem } from '../../../test/support/raw-server.ts';
import { type AddressPolicy, type HttpClient, type HttpClientOptions, HttpError } from '../http-types.ts';
import { createHttpClient } from './client.ts';

const ANY: AddressPolicy = { kind: 'any' };

function client(t: TestContext, options: HttpClientOptions = {}): HttpClient {
  const made = createHttpClient({ tls: { ca: testPem('ca') }, ...options });
  t.after(() => made.close());
  return made;
}

type Answer = (request: RawRequest) => void;

/** A server and a client for one test; `open` asks it for `/`. */
async function pair(
  t: TestContext,
  answer: Answer,
  options: HttpClientOptions & { readonly secure?: boolean; readonly connected?: (socket: Socket) => void } = {},
) {
  const { secure = false, connected = () => undefined, ...rest } = options;
  const server = await startRawServer(answer, { tls: secure, connected });
  t.after(() => server.close());
  const http = client(t, rest);
  const open = (more: { readonly signal?: AbortSignal; readonly method?: 'GET' | 'HEAD' } = {}) =>
    http.open({ method: 'GET', url: server.url(), headers: {}, addresses: ANY, ...more });
  return { server, http, open };
}

function says(bytes: string): Answer {
  return ({ socket }) => void socket.write(bytes, 'latin1');
}

function hello(request: RawRequest): void {
  request.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello');
}

async function textOf(stream: { readonly body: { read(): Promise<Buffer | undefined> } }): Promise<string> {
  let text = '';
  for (let bytes = await stream.body.read(); bytes !== undefined; bytes = await stream.body.read()) {
    text += bytes.toString('latin1');
  }
  return text;
}

describe('open() reads answers', () => {
  const answers: readonly (readonly [string, string, number | undefined, string])[] = [
    ['with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello', 5, 'hello'],
    ['with an empty body', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', 0, ''],
    ['in chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', undefined, 'hello'],
    ['of status 404', 'HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno', 2, 'no'],
    ['of status 307, without following it', 'HTTP/1.1 307 T\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n', 0, ''],
    ['of status 204', 'HTTP/1.1 204 No Content\r\n\r\n', 0, ''],
    ['of status 304', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n', 0, ''],
    [
      'behind 100 and 103',
      `${'HTTP/1.1 103 Early\r\nlink: x\r\n\r\n'.repeat(4)}HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx`,
      1,
      'x',
    ],
  ];
  for (const secure of [false, true]) {
    for (const [what, bytes, length, text] of answers) {
      test(`${what}${secure ? ', over TLS' : ''}`, async (t) => {
        const { open, server } = await pair(t, says(bytes), { secure });
        const stream = await open();
        assert.equal(stream.length, length);
        assert.equal(stream.remoteAddress, '127.0.0.1');
        assert.equal(stream.status, Number(/ (\d+) [^\r]*\r\n(?!.*HTTP)/s.exec(bytes)?.[1] ?? 0));
        assert.equal(await textOf(stream), text);
        assert.equal(await stream.body.read(), undefined);
        assert.match(server.requests[0]?.text ?? '', /^GET \/ HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/);
      });
    }
  }

  test('to HEAD without waiting for a body', async (t) => {
    const { open, server } = await pair(t, says('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'));
    const stream = await open({ method: 'HEAD' });
    assert.equal(stream.headers['content-length'], '5');
    assert.equal(await textOf(stream), '');
    assert.match(server.requests[0]?.text ?? '', /^HEAD /);
  });

  test('until the connection ends, where nothing else says where they end', async (t) => {
    const { open } = await pair(t, ({ socket }) => void socket.end('HTTP/1.0 200 OK\r\n\r\nhello'));
    const stream = await open();
    assert.equal(stream.length, undefined);
    assert.equal(await textOf(stream), 'hello');
  });

  test('cut in two at every byte', async (t) => {
    const wire = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nt: u\r\n\r\n';
    let cut = 0;
    const { open, server } = await pair(t, ({ socket }) => {
      socket.write(wire.slice(0, cut));
      // A turn of the event loop apart, they are two reads at the other end.
      setImmediate(() => setImmediate(() => socket.write(wire.slice(cut))));
    });
    for (cut = 1; cut < wire.length; cut++) assert.equal(await textOf(await open()), 'helloabc', `cut at ${cut}`);
    assert.equal(server.sockets.length, 1);
  });

  test('of any size in any chunks in any pieces', async (t) => {
    let pieces: readonly Buffer[] = [];
    const { open } = await pair(t, ({ socket }) => {
      for (const piece of pieces) socket.write(piece);
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 400_000 }), { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        async (sizes, cuts) => {
          const chunks = sizes.map((size, i) => Buffer.alloc(size, i + 1));
          const wire = Buffer.concat([
            Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'),
            ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
            Buffer.from('0\r\n\r\n'),
          ]);
          const at = [0, ...cuts.map((cut) => cut % wire.length), wire.length].toSorted((a, b) => a - b);
          pieces = at.slice(1).map((end, i) => wire.subarray(at[i], end));
          const hash = createHash('sha256');
          const { body } = await open();
          for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) hash.update(bytes);
          assert.equal(hash.digest('hex'), createHash('sha256').update(Buffer.concat(chunks)).digest('hex'));
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('open() refuses what is not HTTP/1.1', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'],
    ['an endless head', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}`],
    ['another protocol switched to', 'HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n'],
    ['endless interim responses', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(6)],
  ];
  for (const [what, bytes] of refused) {
    test(what, async (t) => {
      const { open, server } = await pair(t, says(bytes));
      await assert.rejects(open(), failsWith('protocol', /^127\.0\.0\.1:\d+ sent invalid HTTP\/1\.1: /));
      if (!server.sockets[0]?.destroyed) await once(server.sockets[0] as Socket, 'close');
    });
  }

  test('a malformed chunk, with the answer given and the body refused', async (t) => {
    const { open } = await pair(t, says('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!'));
    const stream = await open();
    await assert.rejects(textOf(stream), failsWith('protocol'));
    await assert.rejects(stream.body.read(), failsWith('protocol'));
  });
});

describe('open() keeps connections', () => {
  for (const secure of [false, true]) {
    test(`and uses one for requests in turn${secure ? ', over TLS' : ''}`, async (t) => {
      const { open, server } = await pair(t, hello, { secure });
      for (let i = 0; i < 5; i++) assert.equal(await textOf(await open()), 'hello');
      assert.equal(server.sockets.length, 1);
      assert.equal(server.requests.length, 5);
    });
  }

  test('but none whose answer forbids it', async (t) => {
    const { open, server } = await pair(t, says('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx'));
    for (let i = 0; i < 3; i++) assert.equal(await textOf(await open()), 'x');
    assert.equal(server.sockets.length, 3);
  });

  test('but none on which bytes came behind the body', async (t) => {
    const smuggled = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil';
    const { open, server } = await pair(t, says(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello${smuggled}`));
    for (let i = 0; i < 3; i++) assert.equal(await textOf(await open()), 'hello');
    assert.equal(server.sockets.length, 3);
  });

  test('but none on which an unsolicited response came', async (t) => {
    const { open, server } = await pair(t, hello);
    assert.equal(await textOf(await open()), 'hello');
    const [socket] = server.sockets;
    socket?.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil');
    // No wait for the bytes to arrive: the client itself must look before it uses the connection again.
    await new Promise<void>((resolve) => setImmediate(resolve));
    assert.equal(await textOf(await open()), 'hello');
    assert.equal(server.sockets.length, 2);
  });

  test('and lets go of one the other side closed', async (t) => {
    const { open, server } = await pair(t, hello);
    assert.equal(await textOf(await open()), 'hello');
    server.sockets[0]?.end();
    await once(server.sockets[0] as Socket, 'close');
    assert.equal(await textOf(await open()), 'hello');
    assert.equal(server.sockets.length, 2);
  });

  test('and lets go of one that was not used for the idle time', async (t) => {
    const { open, server } = await pair(t, hello, { idleConnTimeout: 20 });
    assert.equal(await textOf(await open()), 'hello');
    await once(server.sockets[0] as Socket, 'close');
  });

  test('but no more than maxIdleConnsPerHost', async (t) => {
    const { open, server } = await pair(t, hello, { maxIdleConnsPerHost: 1 });
    const streams = await Promise.all([open(), open(), open()]);
    const closed = server.sockets.slice(0, 3).map((socket) => once(socket, 'close').then(() => socket));
    await Promise.all(streams.map(textOf));
    await Promise.any(closed);
    assert.equal(await textOf(await open()), 'hello');
    assert.equal(server.sockets.length, 3);
  });

  test('and none across address policies', async (t) => {
    const { http, server } = await pair(t, hello);
    const ask = async (addresses: AddressPolicy) =>
      await textOf(await http.open({ method: 'GET', url: server.url(), headers: {}, addresses }));
    assert.equal(await ask(ANY), 'hello');
    await assert.rejects(ask({ kind: 'public', allow: [] }), failsWith('forbidden'));
    assert.equal(await ask({ kind: 'public', allow: ['127.0.0.0/8'] }), 'hello');
    assert.equal(server.sockets.length, 2);
  });

  test('and asks again, once, where a kept one breaks before it answers', async (t) => {
    const { open, server } = await pair(t, (request) => {
      if (request.turn === 1) hello(request);
      else request.socket.destroy();
    });
    for (let i = 0; i < 3; i++) assert.equal(await textOf(await open()), 'hello');
    assert.deepEqual(
      server.requests.map(({ connection, turn }) => `${connection}.${turn}`),
      ['1.1', '1.2', '2.1', '2.2', '3.1'],
    );
  });

  test('and asks only once where a new one breaks before it answers', async (t) => {
    const { open, server } = await pair(t, ({ socket }) => socket.destroy());
    await assert.rejects(open(), failsWith('reset'));
    assert.equal(server.requests.length, 1);
  });

  test('and asks only once where a kept one breaks within the head', async (t) => {
    const { open, server } = await pair(t, (request) => {
      if (request.turn === 1) hello(request);
      else request.socket.end('HTTP/1.1 2');
    });
    await textOf(await open());
    await assert.rejects(open(), failsWith('reset'));
    assert.equal(server.requests.length, 2);
  });
});

describe('open() limits connections', () => {
  test('and serves who waits in the order they came', async (t) => {
    const held: RawRequest[] = [];
    const { open, server } = await pair(t, (request) => void held.push(request), { maxConnsPerHost: 1 });
    const order: number[] = [];
    const all = [0, 1, 2].map(async (i) => {
      const stream = await open();
      order.push(i);
      await textOf(stream);
    });
    for (let i = 0; i < 3; i++) {
      while (held.length <= i) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(server.requests.length, i + 1);
      hello(held[i] as RawRequest);
    }
    await Promise.all(all);
    assert.deepEqual(order, [0, 1, 2]);
    assert.equal(server.sockets.length, 1);
  });

  test('gives the place of one that broke to the next', async (t) => {
    const { open, server } = await pair(t, hello, { maxConnsPerHost: 1 });
    const first = await open();
    const second = open();
    first.body.cancel();
    assert.equal(await textOf(await second), 'hello');
    assert.ok(server.sockets.length <= 2);
  });

  test('and stops waiting when the caller gives up, without losing the place', async (t) => {
    const { open } = await pair(
      t,
      (request) => request.turn === 1 && request.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell'),
      {
        maxConnsPerHost: 1,
      },
    );
    const first = await open();
    const stop = new AbortController();
    const second = open({ signal: stop.signal });
    const third = open();
    stop.abort();
    await assert.rejects(second, failsWith('aborted'));
    first.body.cancel();
    assert.equal((await third).status, 200);
  });

  test('and a dial that fails gives its place back', async (t) => {
    const server = await startRawServer(hello);
    const http = client(t, { maxConnsPerHost: 1 });
    const ask = () => http.open({ method: 'GET', url: server.url(), headers: {}, addresses: ANY });
    await server.close();
    for (let i = 0; i < 3; i++) await assert.rejects(ask(), failsWith('refused'));
  });

  test('and refuses who waits when the client closes', async (t) => {
    const { http, open } = await pair(t, hello, { maxConnsPerHost: 1 });
    const first = await open();
    const second = open();
    // The place is taken; the second waits for it from the next microtask on.
    await Promise.resolve();
    await Promise.all([assert.rejects(second, failsWith('aborted')), http.close()]);
    await assert.rejects(open(), failsWith('aborted', /127\.0\.0\.1/));
    first.body.cancel();
  });
});

describe('open() gives bodies that break off', () => {
  const part = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello';
  const breaks: readonly (readonly [string, Answer])[] = [
    ['by an end', ({ socket }) => void socket.end(part)],
    ['by a reset', ({ socket }) => void socket.write(part, () => setTimeout(() => socket.resetAndDestroy(), 20))],
    [
      'by an end within chunks',
      ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhello'),
    ],
    [
      'by an end before the last chunk',
      ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'),
    ],
    [
      'by a reset where the end of the connection is the end',
      ({ socket }) =>
        void socket.write('HTTP/1.1 200 OK\r\n\r\nhello', () => setTimeout(() => socket.resetAndDestroy(), 20)),
    ],
  ];
  for (const [what, answer] of breaks) {
    test(`${what}: what came first, then the error, and the error again`, async (t) => {
      const { open } = await pair(t, answer);
      const { body } = await open();
      let text = '';
      await assert.rejects(
        async () => {
          for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) text += bytes.toString();
        },
        failsWith('truncated', /^127\.0\.0\.1:\d+ closed the connection before the body was complete/),
      );
      assert.equal(text, 'hello');
      await assert.rejects(body.read(), failsWith('truncated'));
    });
  }

  test('by an end over TLS', async (t) => {
    const { open } = await pair(t, ({ socket }) => void socket.end(part), { secure: true });
    await assert.rejects(textOf(await open()), failsWith('truncated'));
  });

  test('by silence while a read is pending', async (t) => {
    const { open } = await pair(t, says(part), { bodyIdleTimeout: 40 });
    const { body } = await open();
    assert.equal((await body.read())?.toString(), 'hello');
    await assert.rejects(body.read(), failsWith('idle', /within 40 ms/));
  });

  test('but not where bytes come, however long it takes in all', async (t) => {
    const { open } = await pair(
      t,
      ({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n');
        const drip = setInterval(() => socket.write('x'), 10);
        socket.on('close', () => clearInterval(drip));
      },
      { bodyIdleTimeout: 200 },
    );
    assert.equal((await textOf(await open())).length, 40);
  });

  test('but not by silence while no read is pending', async (t) => {
    let socket: Socket | undefined;
    const { open } = await pair(
      t,
      (request) => {
        socket = request.socket;
        socket.write(part);
      },
      { bodyIdleTimeout: 40 },
    );
    const { body } = await open();
    assert.equal((await body.read())?.toString(), 'hello');
    await new Promise((resolve) => setTimeout(resolve, 120));
    const next = body.read();
    setTimeout(() => socket?.write('world'), 10);
    assert.equal((await next)?.toString(), 'world');
    assert.equal(await body.read(), undefined);
  });

  test('by framing without payload, which is silence too', async (t) => {
    const { open } = await pair(
      t,
      ({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;');
        const drip = setInterval(() => socket.write('x'), 5);
        socket.on('close', () => clearInterval(drip));
      },
      { bodyIdleTimeout: 60 },
    );
    await assert.rejects((await open()).body.read(), failsWith('idle'));
  });
});

describe('open() holds back', () => {
  for (const secure of [false, true]) {
    test(`a sender without a reader, and loses nothing of it${secure ? ', over TLS' : ''}`, async (t) => {
      const size = 64 * 1024 * 1024;
      const content = randomBytes(1024 * 1024);
      let stalled: (() => void) | undefined;
      const stall = new Promise<void>((resolve) => {
        stalled = resolve;
      });
      let handed = 0;
      const { open } = await pair(
        t,
        ({ socket }) => {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
          const more = (): void => {
            while (handed < size) {
              handed += content.length;
              if (socket.write(content)) continue;
              // A socket that does not drain within this time has nowhere left to write to.
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
        { secure },
      );
      const { body } = await open();
      const hash = createHash('sha256');
      hash.update((await body.read()) ?? '');
      await stall;
      // Four buffers of ours, and what the kernel holds at both ends.
      assert.ok(handed <= 24 * 1024 * 1024, `${handed} bytes were sent while no read was pending`);
      for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) hash.update(bytes);
      const expected = createHash('sha256');
      for (let sent = 0; sent < size; sent += content.length) expected.update(content);
      assert.equal(hash.digest('hex'), expected.digest('hex'));
    });

    test(`several bodies read at different speeds, each right${secure ? ', over TLS' : ''}`, async (t) => {
      const content = randomBytes(6 * 1024 * 1024);
      const expected = createHash('sha256').update(content).digest('hex');
      const { open } = await pair(
        t,
        ({ socket }) => {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${content.length}\r\n\r\n`);
          socket.write(content);
        },
        { secure },
      );
      const readAll = async (turns: number): Promise<string> => {
        const { body } = await open();
        const hash = createHash('sha256');
        for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) {
          // What was handed out must stay as it is until the next read, however long that takes.
          for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
          hash.update(bytes);
        }
        return hash.digest('hex');
      };
      for (const digest of await Promise.all([0, 0, 1, 2, 5, 20].map(readAll))) assert.equal(digest, expected);
    });
  }

  test('and frees a connection whose last bytes came while it was held back', async (t) => {
    // Records far smaller than what TLS decrypts at a time: some are handed over after the pause, wherever it falls.
    const tail = 400;
    const steps = 24;
    let size = 0;
    const { open, server } = await pair(
      t,
      ({ socket }) => {
        socket.cork();
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size + tail * 10}\r\n\r\n`);
        socket.write(Buffer.alloc(size));
        socket.uncork();
        for (let i = 0; i < tail; i++) socket.write(Buffer.alloc(10));
      },
      { secure: true, responseHeaderTimeout: 2_000 },
    );
    for (let step = 0; step < steps; step++) {
      size = 2.75 * 256 * 1024 + step * 4096;
      const { body } = await open();
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      let read = 0;
      for (let bytes = await body.read(); bytes !== undefined; bytes = await body.read()) read += bytes.length;
      assert.equal(read, size + tail * 10);
    }
    assert.equal(server.sockets.length, 1);
  });

  test('small TLS records until they are worth handing over', async (t) => {
    const records = 64;
    const { open } = await pair(
      t,
      ({ socket }) => {
        socket.cork();
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${records * 16_384}\r\n\r\n`);
        for (let i = 0; i < records; i++) socket.write(Buffer.alloc(16_384, i));
        socket.uncork();
      },
      { secure: true },
    );
    const { body } = await open();
    let reads = 0;
    while ((await body.read()) !== undefined) reads++;
    assert.ok(reads < records / 2, `${reads} reads for ${records} records`);
  });
});

describe('open() gives up', () => {
  test('before anything, by a signal that was aborted', async (t) => {
    const { open, server } = await pair(t, hello);
    await assert.rejects(open({ signal: AbortSignal.abort(new Error('why')) }), failsWith('aborted'));
    assert.equal(server.sockets.length, 0);
  });

  test('while it waits for an answer', async (t) => {
    const stop = new AbortController();
    const { open, server } = await pair(t, () => stop.abort(new Error('why')));
    await assert.rejects(open({ signal: stop.signal }), (error: Error) => {
      failsWith('aborted')(error);
      return (error.cause as Error).message === 'why';
    });
    if (!server.sockets[0]?.destroyed) await once(server.sockets[0] as Socket, 'close');
  });

  test('within a body, whose reader is told', async (t) => {
    const stop = new AbortController();
    const { open } = await pair(t, says('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello'));
    const { body } = await open({ signal: stop.signal });
    assert.equal((await body.read())?.toString(), 'hello');
    const next = body.read();
    stop.abort();
    await assert.rejects(next, failsWith('aborted'));
    await assert.rejects(body.read(), failsWith('aborted'));
  });

  test('when the caller cancels: the pending read rejects with the reason, the connection is closed', async (t) => {
    const { open, server } = await pair(t, says('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'));
    const { body } = await open();
    const pending = body.read();
    body.cancel(new Error('why'));
    body.cancel(new Error('again'));
    await assert.rejects(pending, /^Error: why$/);
    await assert.rejects(body.read(), /^Error: why$/);
    if (!server.sockets[0]?.destroyed) await once(server.sockets[0] as Socket, 'close');
  });

  test('a body that had come whole, and keeps the connection', async (t) => {
    const { open, server } = await pair(t, hello);
    (await open()).body.cancel();
    assert.equal(await textOf(await open()), 'hello');
    assert.equal(server.sockets.length, 1);
  });

  test('when no head comes in time', async (t) => {
    const { open } = await pair(t, says('HTTP/1.1 200 OK\r\n'), { responseHeaderTimeout: 30 });
    await assert.rejects(open(), failsWith('timeout', /no response head within 30 ms/));
  });

  test('when the client closes', async (t) => {
    const { http, open } = await pair(t, says('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'));
    const pending = (await open()).body.read();
    await Promise.all([assert.rejects(pending, HttpError), http.close()]);
  });
});

describe('open() is used as it is meant', () => {
  test('with one read at a time', async (t) => {
    const { open } = await pair(t, says('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'));
    const { body } = await open();
    const first = body.read();
    await assert.rejects(body.read(), TypeError);
    body.cancel();
    await assert.rejects(first);
  });
});
