import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import {
  type ForwardStage,
  openTunnelTo,
  startForward,
  startTarget,
  startTcpTarget,
  type Target,
} from '../../test/support/forward-stage.ts';
import { parseResponse, type RawResponse, rawRequest, sendBytes } from '../../test/support/raw-request.ts';

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

async function say(stage: ForwardStage, ...lines: string[]): Promise<RawResponse> {
  return parseResponse(await sendBytes(stage.host, `${lines.join('\r\n')}\r\n\r\n`));
}

describe('what a forward proxy refuses', () => {
  let stage: ForwardStage;
  let guarded: ForwardStage;
  let target: Target;
  const credential = { user: 'ship', password: 's3cret' };
  before(async () => {
    target = await startTcpTarget((socket) => socket.end('you should not have come here'));
    const ports = [443, 80, target.port];
    stage = await startForward({ forward: { ports } });
    guarded = await startForward({ forward: { ports, credential: () => Promise.resolve(credential) } });
  });
  after(async () => {
    // Not one byte of a refused request reached a host.
    assert.equal(target.connections(), 0);
    for (const each of [stage, guarded, target]) await each[Symbol.asyncDispose]();
  });

  const table: readonly [what: string, lines: readonly string[], status: number, reason: RegExp][] = [
    ['a port for mail', ['CONNECT registry.test:25 HTTP/1.1', 'Host: a'], 403, /port 25 is not among/],
    ['a port for shells', ['CONNECT registry.test:22 HTTP/1.1', 'Host: a'], 403, /port 22 is not among/],
    ['a host that is not listed', ['CONNECT example.test:443 HTTP/1.1', 'Host: a'], 403, /example\.test is not among/],
    ['a listed host below another', ['CONNECT registry.test.example:443 HTTP/1.1', 'Host: a'], 403, /not among/],
    ['loopback by name', ['CONNECT localhost:443 HTTP/1.1', 'Host: a'], 403, /localhost is not among/],
    [
      'loopback, though listed as a host',
      ['CONNECT 127.0.0.1:TARGET HTTP/1.1', 'Host: a'],
      403,
      /not a public address/,
    ],
    ['loopback by a number', ['CONNECT 2130706433:TARGET HTTP/1.1', 'Host: a'], 403, /not a public address/],
    ['an address of the cloud', ['CONNECT 169.254.169.254:80 HTTP/1.1', 'Host: a'], 403, /not among/],
    ['a target without a port', ['CONNECT registry.test HTTP/1.1', 'Host: a'], 400, /HOST:PORT/],
    ['a target with a path', ['CONNECT http://registry.test:443/ HTTP/1.1', 'Host: a'], 400, /./],
    ['a target of port 0', ['CONNECT registry.test:0 HTTP/1.1', 'Host: a'], 400, /HOST:PORT/],
    ['a body announced', ['CONNECT registry.test:TARGET HTTP/1.1', 'Host: a', 'Content-Length: 5'], 400, /no body/],
    [
      'a body in chunks',
      ['CONNECT registry.test:TARGET HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'],
      400,
      /no body/,
    ],
    ['two Hosts', ['CONNECT registry.test:TARGET HTTP/1.1', 'Host: a', 'Host: b'], 400, /more than one Host/],
    [
      'a request to a host not listed',
      ['GET http://example.test/ HTTP/1.1', 'Host: registry.test'],
      403,
      /example\.test is not among/,
    ],
    ['a request to loopback', ['GET http://127.0.0.1:TARGET/ HTTP/1.1', 'Host: a'], 403, /not a public address/],
    [
      'a request with a user in it',
      ['GET http://ship:s3cret@registry.test/ HTTP/1.1', 'Host: a'],
      400,
      /must not hold a user or password/,
    ],
    ['a request by another scheme', ['GET ftp://registry.test/ HTTP/1.1', 'Host: a'], 400, /may only name an http/],
    ['a request for https', ['GET https://registry.test/ HTTP/1.1', 'Host: a'], 400, /CONNECT/],
    ['TRACE', ['TRACE http://registry.test:TARGET/ HTTP/1.1', 'Host: a'], 405, /TRACE/],
    [
      'a switch of protocols',
      ['GET http://registry.test:TARGET/ HTTP/1.1', 'Host: a', 'Connection: upgrade', 'Upgrade: websocket'],
      400,
      /HTTP\/1\.1 only/,
    ],
  ];
  for (const [what, lines, status, reason] of table) {
    test(what, async () => {
      const secret = 'Proxy-Authorization: Basic c2hpcDpzM2NyZXQ=';
      const [first = '', ...rest] = lines.map((line) => line.replace('TARGET', String(target.port)));
      const answer = await say(stage, first, ...rest, secret);
      const text = answer.body.toString();
      assert.equal(answer.status, status, text);
      assert.match(text, reason);
      assert.equal(answer.headers['connection'], 'close');
      const whole = JSON.stringify(answer.headers) + text;
      assert.ok(!/s3cret|c2hpc/.test(whole), 'nothing that came is repeated');
    });
  }

  test('CONNECT with a line break in its target', async () => {
    const answer = await say(stage, `CONNECT registry.test:${target.port}\r\nX: y HTTP/1.1`, 'Host: a');
    assert.equal(answer.status, 400);
  });

  for (const [what, header] of [
    ['no credential', undefined],
    ['a wrong password', basic('ship:secret')],
    ['a wrong user', basic('shop:s3cret')],
    ['another scheme', 'Bearer s3cret'],
    ['what is no base64', 'Basic ???'],
  ] as const) {
    test(`${what}, where a password is wanted`, async () => {
      const lines = header === undefined ? [] : [`Proxy-Authorization: ${header}`];
      for (const first of [
        `CONNECT registry.test:${target.port} HTTP/1.1`,
        `GET http://registry.test:${target.port}/ HTTP/1.1`,
      ]) {
        const answer = await say(guarded, first, 'Host: a', ...lines);
        assert.equal(answer.status, 407, first);
        assert.match(answer.headers['proxy-authenticate'] ?? '', /^Basic realm="entrepot"/);
      }
    });
  }

  test('the right password opens no host that is not listed', async () => {
    const answer = await say(
      guarded,
      'CONNECT example.test:443 HTTP/1.1',
      'Host: a',
      `Proxy-Authorization: ${basic('ship:s3cret')}`,
    );
    assert.equal(answer.status, 403);
  });

  test('each is a line in the log, without what was secret in it', async () => {
    await say(stage, 'GET http://ship:s3cret@registry.test/x?token=s3cret HTTP/1.1', 'Host: a');
    const line = await stage.request(({ path }) => path.includes('registry.test/x'));
    assert.equal(line.route, 'forward');
    assert.equal(line.status, 400);
    await say(stage, 'CONNECT ship:s3cret@registry.test:443 HTTP/1.1', 'Host: a');
    await stage.request(({ path, status }) => path === 'registry.test:443' && status === 400);
    const connect = await stage.request(({ path }) => path === 'registry.test:25');
    assert.equal(connect.route, 'tunnel');
    assert.match(connect.error ?? '', /port 25/);
    assert.ok(!JSON.stringify(stage.finished).includes('s3cret'));
  });

  test('a request to this server itself is one as before', async () => {
    assert.equal((await rawRequest(stage.host, { path: '/v2/' })).status, 404);
  });

  test('a name that does not resolve is 502, with the reason', async () => {
    const answer = await say(stage, 'CONNECT missing.test:443 HTTP/1.1', 'Host: a');
    assert.equal(answer.status, 502);
    assert.match(answer.body.toString(), /missing\.test/);
  });

  test('a host that does not listen is 502', async () => {
    const gone = await startTcpTarget(() => undefined);
    await gone[Symbol.asyncDispose]();
    await using alone = await startForward({ forward: { ports: [gone.port] } });
    assert.equal((await say(alone, `CONNECT registry.test:${gone.port} HTTP/1.1`, 'Host: a')).status, 502);
    assert.equal((await say(alone, `GET http://registry.test:${gone.port}/ HTTP/1.1`, 'Host: a')).status, 502);
  });

  test('this server itself is no target: that would be a loop', async () => {
    const ports: number[] = [];
    await using loop = await startForward({ forward: { ports } });
    ports.push(loop.port);
    for (const first of [
      `CONNECT registry.test:${loop.port} HTTP/1.1`,
      `GET http://registry.test:${loop.port}/ HTTP/1.1`,
    ]) {
      const answer = await say(loop, first, 'Host: a');
      assert.equal(answer.status, 508);
      assert.match(answer.body.toString(), /loop: .* is this server itself/);
    }
  });
});

describe('a tunnel', () => {
  test('carries bytes both ways, and is one line in the log', async () => {
    const content = randomBytes(8 << 20);
    await using target = await startTcpTarget((socket) => {
      socket.once('data', () => socket.end(content));
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const socket = await openTunnelTo(stage, `registry.test:${target.port}`);
    assert.equal(stage.forward.tunnels, 1);
    assert.equal(stage.door.inFlight, 1);
    socket.end('give');
    const hash = createHash('sha256');
    for await (const chunk of socket as AsyncIterable<Buffer>) hash.update(chunk);
    assert.equal(hash.digest('hex'), createHash('sha256').update(content).digest('hex'));
    const line = await stage.request(({ route }) => route === 'tunnel');
    assert.deepEqual(
      [line.method, line.path, line.status, line.bytes, line.received, line.error],
      ['CONNECT', `registry.test:${target.port}`, 200, content.length, 4, undefined],
    );
    assert.equal(stage.forward.tunnels, 0);
    assert.equal(stage.door.inFlight, 0);
  });

  test('is opened by user and password, of which the target hears nothing', async () => {
    const heard: string[] = [];
    await using target = await startTcpTarget((socket) => {
      socket.on('data', (chunk) => heard.push(String(chunk)));
      socket.once('data', () => socket.end('ok'));
    });
    const credential = () => Promise.resolve({ user: 'ship', password: 's3cret' });
    await using stage = await startForward({ forward: { ports: [target.port], credential } });
    const headers = [`Proxy-Authorization: ${basic('ship:s3cret')}`];
    const socket = await openTunnelTo(stage, `registry.test:${target.port}`, { headers });
    socket.end('hello');
    await once(socket.resume(), 'close');
    assert.deepEqual(heard, ['hello']);
  });

  test('what a client says before the answer is the first the target hears', async () => {
    const heard = Promise.withResolvers<string>();
    await using target = await startTcpTarget((socket) => {
      socket.once('data', (chunk) => {
        heard.resolve(String(chunk));
        socket.end();
      });
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const socket = await openTunnelTo(stage, `registry.test:${target.port}`, { eager: 'too soon' });
    socket.resume();
    assert.equal(await heard.promise, 'too soon');
    socket.end();
  });

  test('a target that has said all still hears the rest', async () => {
    const heard: string[] = [];
    await using target = await startTcpTarget((socket) => {
      socket.end('bye');
      socket.on('data', (chunk) => heard.push(String(chunk)));
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const socket = await openTunnelTo(stage, `registry.test:${target.port}`);
    socket.allowHalfOpen = true;
    await once(socket.resume(), 'end');
    socket.end('and thanks');
    await stage.request(({ route }) => route === 'tunnel');
    assert.deepEqual(heard, ['and thanks']);
  });

  test('no more than so many at once', async () => {
    await using target = await startTcpTarget((socket) => void socket.resume().once('end', () => socket.end()));
    await using stage = await startForward({ forward: { ports: [target.port], maxTunnels: 2 } });
    const authority = `registry.test:${target.port}`;
    const [first] = await Promise.all([openTunnelTo(stage, authority), openTunnelTo(stage, authority)]);
    const answer = await say(stage, `CONNECT ${authority} HTTP/1.1`, 'Host: a');
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '5');
    first.destroy();
    await stage.request(({ status }) => status === 200);
    (await openTunnelTo(stage, authority)).destroy();
  });

  test('ends when nothing moves in it', async () => {
    await using target = await startTcpTarget(() => undefined);
    await using stage = await startForward({ forward: { ports: [target.port], idleTimeout: 100 } });
    const socket = await openTunnelTo(stage, `registry.test:${target.port}`);
    await once(socket.resume(), 'close');
    assert.match((await stage.request(() => true)).error ?? '', /nothing moved/);
  });

  test('a client that leaves while it is being opened leaves nothing behind', async () => {
    const dialling = Promise.withResolvers<AbortSignal | undefined>();
    await using stage = await startForward({
      forward: {
        dial: ({ signal }) =>
          new Promise((_resolve, reject) => {
            dialling.resolve(signal);
            signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
          }),
      },
    });
    const socket = connect({ port: stage.port, host: '127.0.0.1' });
    socket.write('CONNECT registry.test:443 HTTP/1.1\r\nHost: a\r\n\r\n');
    const signal = await dialling.promise;
    socket.resetAndDestroy();
    const line = await stage.request(() => true);
    assert.equal(line.status, 0);
    assert.equal(signal?.aborted, true);
    assert.equal(stage.forward.tunnels, 0);
  });

  test('a CONNECT behind a request that is still answered ends the connection', async () => {
    const pending: { end(): void }[] = [];
    await using target = await startTcpTarget(() => undefined);
    await using stage = await startForward({
      forward: { ports: [target.port] },
      handler: (_request, response) => void pending.push(response),
    });
    const bytes = `GET / HTTP/1.1\r\nHost: a\r\n\r\nCONNECT registry.test:${target.port} HTTP/1.1\r\nHost: a\r\n\r\n`;
    assert.equal((await sendBytes(stage.host, bytes)).length, 0);
    assert.equal(target.connections(), 0);
  });

  test('stopping waits for tunnels in which something moves, and ends the quiet ones', async () => {
    const ticking = new Set<NodeJS.Timeout>();
    await using target = await startTcpTarget((socket) => {
      socket.once('data', () => {
        const timer = setInterval(() => socket.write('tick'), 50);
        ticking.add(timer);
        socket.once('close', () => clearInterval(timer));
        setTimeout(() => socket.end('done'), 1500);
      });
    });
    const stage = await startForward({ forward: { ports: [target.port] } });
    const busy = await openTunnelTo(stage, `registry.test:${target.port}`);
    const quiet = await openTunnelTo(stage, `registry.test:${target.port}`);
    busy.write('go');
    let heard = '';
    busy.on('data', (chunk) => (heard += String(chunk))).resume();
    busy.once('end', () => busy.end());
    const quietClosed = once(quiet.resume(), 'close');
    const { cut } = await stage.door.stop({ timeoutMs: 10_000 });
    await quietClosed;
    assert.equal(cut, 0);
    assert.match(heard, /^(?:tick)+done$/);
  });
});

/** A target that goes on sending until its connection is closed. */
function startTrickle(first = ''): Promise<Target & { readonly open: () => number }> {
  let open = 0;
  return startTcpTarget((socket) => {
    open += 1;
    socket.resume().write(first);
    const timer = setInterval(() => socket.writable && socket.write('more'), 20);
    socket.once('close', () => {
      open -= 1;
      clearInterval(timer);
    });
  }).then((target) => Object.assign(target, { open: () => open }));
}

/** Ends a client's sending, then breaks off. */
async function leave(socket: Socket): Promise<void> {
  socket.resume().end();
  await once(socket, 'finish');
  await new Promise((resolve) => setTimeout(resolve, 50));
  if (!socket.destroyed) socket.resetAndDestroy();
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('a client that ends its sending and goes, while the target sends on', () => {
  test('its tunnel counts until both connections are closed, and then is gone', async () => {
    await using target = await startTrickle();
    await using stage = await startForward({ forward: { ports: [target.port], maxTunnels: 1 } });
    const authority = `registry.test:${target.port}`;
    const socket = await openTunnelTo(stage, authority);
    await leave(socket);
    await until(() => stage.door.connections === 0, 'the connection of the client is open');
    if (target.open() > 0) {
      assert.equal(stage.forward.tunnels, 1);
      assert.equal(stage.door.inFlight, 1);
      assert.equal((await say(stage, `CONNECT ${authority} HTTP/1.1`, 'Host: a')).status, 503);
    }
    await until(() => target.open() === 0, 'the connection to the target is open');
    await until(() => stage.forward.tunnels === 0 && stage.door.inFlight === 0, 'it is still counted');
  });

  test('stopping the server ends its tunnel', async () => {
    await using target = await startTrickle();
    const stage = await startForward({ forward: { ports: [target.port] } });
    const socket = await openTunnelTo(stage, `registry.test:${target.port}`);
    await leave(socket);
    await stage.door.stop({ timeoutMs: 50 });
    await until(() => target.open() === 0, 'the connection to the target is open');
  });

  test('a request in absolute form and its target are ended too', async () => {
    await using target = await startTrickle('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const socket = connect({ port: stage.port, host: '127.0.0.1' });
    socket.write(`GET http://registry.test:${target.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, 'data');
    await leave(socket);
    await until(() => target.open() === 0, 'the connection to the target is open');
    await until(() => stage.door.inFlight === 0, 'it is still counted');
  });
});

describe('a request in absolute form', () => {
  test('reaches its host with its own headers and body, and comes back as it was', async () => {
    const seen: { method?: string; url?: string; raw: string[]; body: string }[] = [];
    await using target = await startTarget((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        seen.push({ method: request.method ?? '', url: request.url ?? '', raw: request.rawHeaders, body });
        response.writeHead(201, [
          'Set-Cookie',
          'a=1',
          'Set-Cookie',
          'b=2',
          'Keep-Alive',
          'timeout=9',
          'Proxy-Authenticate',
          'Basic',
          'X-Own',
          'y',
        ]);
        response.end('answer');
      });
    });
    const credential = () => Promise.resolve({ user: 'ship', password: 's3cret' });
    await using stage = await startForward({ forward: { ports: [target.port], credential } });
    const answer = await rawRequest(stage.host, {
      method: 'POST',
      path: `http://registry.test:${target.port}/a/../b%2Fc?x=1`,
      headers: {
        host: 'evil.example',
        'proxy-authorization': basic('ship:s3cret'),
        authorization: 'Bearer mine',
        connection: 'close, x-once',
        'x-once': '1',
        te: 'trailers',
        'content-length': '5',
        expect: '100-continue',
      },
      body: 'hello',
    });
    // The answer to Expect comes first.
    const final = answer.status === 100 ? parseResponse(answer.body) : answer;
    const [request] = seen;
    assert.deepEqual([request?.method, request?.url, request?.body], ['POST', '/a/../b%2Fc?x=1', 'hello']);
    const headers = JSON.stringify(request?.raw).toLowerCase();
    assert.match(headers, new RegExp(`"host","registry\\.test:${target.port}"`));
    assert.match(headers, /"authorization","bearer mine"/);
    assert.match(headers, /"via","1\.1 entrepot-/);
    assert.ok(!/evil|proxy-auth|x-once|"te"|expect|c2hpc/.test(headers), headers);
    assert.equal(final.status, 201);
    assert.equal(final.body.toString(), 'answer');
    assert.equal(final.headers['set-cookie'], 'a=1, b=2');
    assert.equal(final.headers['x-own'], 'y');
    assert.ok(!('proxy-authenticate' in final.headers) && !('keep-alive' in final.headers));
    const line = await stage.request(({ route }) => route === 'forward');
    assert.deepEqual(
      [line.path, line.upstream, line.status, line.bytes, line.received, line.entrance],
      ['/a/../b%2Fc', `registry.test:${target.port}`, 201, 6, 5, 'forward'],
    );
  });

  test('a large body in chunks goes up, a larger one comes down', async () => {
    const down = randomBytes(8 << 20);
    await using target = await startTarget((request, response) => {
      let length = 0;
      request.on('data', (chunk: Buffer) => (length += chunk.length));
      request.on('end', () => response.setHeader('X-Length', length).end(down));
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const up = `400000\r\n${'x'.repeat(0x40_0000)}\r\n0\r\n\r\n`;
    const head = `PUT http://registry.test:${target.port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const answer = parseResponse(await sendBytes(stage.host, head + up));
    assert.equal(answer.headers['x-length'], String(0x40_0000));
    assert.ok(answer.whole && answer.body.equals(down));
  });

  test('headers keep their order and spelling, both ways', async () => {
    const heard = Promise.withResolvers<string>();
    const lines = ['X-ODD: 1', 'etag: W/"a"', 'Content-LENGTH: 2', 'x-odd: 2'];
    await using target = await startTcpTarget((socket) => {
      socket.once('data', (bytes) => {
        heard.resolve(String(bytes));
        socket.end(`HTTP/1.1 200 Fine\r\n${lines.join('\r\n')}\r\n\r\nok`);
      });
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const asked = ['zeta: 1', 'ACCEPT: a', 'accept: b', 'Alpha: 2'];
    const head = `GET http://registry.test:${target.port}/ HTTP/1.1\r\nHost: a\r\n${asked.join('\r\n')}\r\nConnection: close\r\n\r\n`;
    const answer = (await sendBytes(stage.host, head)).toString();
    assert.ok((await heard.promise).includes(`\r\n${asked.join('\r\n')}\r\n`), await heard.promise);
    assert.ok(answer.includes(`\r\n${lines.join('\r\n')}\r\n`), answer);
  });

  for (const [what, method, reply, expected] of [
    ['204 has no length', 'DELETE', '204 No Content\r\nContent-Length: 2\r\n\r\n', undefined],
    ['HEAD tells a length and has no body', 'HEAD', '200 OK\r\nContent-Length: 2\r\n\r\n', '2'],
    ['304 tells a length and has no body', 'GET', '304 Not Modified\r\nContent-Length: 2\r\n\r\n', '2'],
  ] as const) {
    test(what, async () => {
      await using target = await startTcpTarget(
        (socket) => void socket.once('data', () => socket.end(`HTTP/1.1 ${reply}`)),
      );
      await using stage = await startForward({ forward: { ports: [target.port] } });
      const head = `${method} http://registry.test:${target.port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
      const answer = (await sendBytes(stage.host, head)).toString();
      const lengths = [...answer.matchAll(/^content-length: (.*)$/gim)].map(([, value]) => value?.trim());
      assert.deepEqual(lengths, expected === undefined ? [] : [expected]);
      assert.equal(answer.split('\r\n\r\n')[1], reply.endsWith('ok') ? 'ok' : '');
      assert.equal((await stage.request(({ route }) => route === 'forward')).error, undefined);
    });
  }

  test('a client that asks before it sends gets 100 once its host takes the body, and not before', async () => {
    const gone = await startTcpTarget(() => undefined);
    await gone[Symbol.asyncDispose]();
    await using stage = await startForward({ forward: { ports: [gone.port] } });
    const answer = await say(
      stage,
      `PUT http://registry.test:${gone.port}/ HTTP/1.1`,
      'Host: a',
      'Expect: 100-continue',
      'Content-Length: 5',
    );
    assert.equal(answer.status, 502);
  });

  test('an upload that is refused at once is told so, and is not sent on', async () => {
    let received = 0;
    await using target = await startTcpTarget((socket) => {
      socket.on('data', (bytes) => (received += bytes.length));
      socket.once('data', () => socket.write('HTTP/1.1 413 Too much\r\nContent-Length: 4\r\n\r\nless'));
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const socket = connect({ port: stage.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.write(`PUT http://registry.test:${target.port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${1 << 30}\r\n\r\n1`);
    let answer = '';
    socket.on('data', (bytes) => (answer += String(bytes)));
    await once(socket, 'close');
    assert.match(answer, /^HTTP\/1\.1 413 [\s\S]*\r\n\r\nless$/);
    assert.ok(received < 1000);
  });

  test('a body in a coding that would be lost is 501, and goes nowhere', async () => {
    await using target = await startTarget((_request, response) => void response.end());
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const head = `PUT http://registry.test:${target.port}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n`;
    const answer = parseResponse(await sendBytes(stage.host, `${head}3\r\nabc\r\n0\r\n\r\n`));
    assert.equal(answer.status, 501);
    assert.equal(target.connections(), 0);
  });

  test('a path no request can hold is 400', async () => {
    let reached = false;
    await using target = await startTcpTarget(() => {
      reached = true;
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const bytes = `GET http://registry.test:${target.port}/a\tb HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    assert.equal(parseResponse(await sendBytes(stage.host, bytes)).status, 400);
    assert.equal(reached, false);
  });

  for (const [what, reply] of [
    ['a body cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
    ['chunks without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ] as const) {
    test(`${what} arrives cut short`, async () => {
      await using target = await startTcpTarget((socket) => void socket.once('data', () => socket.end(reply)));
      await using stage = await startForward({ forward: { ports: [target.port] } });
      const answer = await rawRequest(stage.host, { path: `http://registry.test:${target.port}/` });
      assert.equal(answer.status, 200);
      assert.equal(answer.whole, false);
    });
  }

  for (const [what, reply, status] of [
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 502],
    ['nothing', '', 502],
    [
      'a switch of protocols without a request for it',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      502,
    ],
    [
      '407, as if it were a forward proxy',
      'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n',
      502,
    ],
    ['a smuggled length', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 502],
  ] as const) {
    test(`${what} for an answer is ${status}`, async () => {
      await using target = await startTcpTarget((socket) => void socket.once('data', () => socket.end(reply)));
      await using stage = await startForward({ forward: { ports: [target.port] } });
      const answer = await rawRequest(stage.host, { path: `http://registry.test:${target.port}/` });
      assert.equal(answer.status, status, answer.body.toString());
    });
  }

  test('a host that does not answer in time is 504, one that stops in between is cut', async () => {
    await using silent = await startTcpTarget((socket) => socket.resume());
    await using stuck = await startTcpTarget(
      (socket) => void socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')),
    );
    const forward = { ports: [silent.port, stuck.port], responseHeaderTimeout: 150, bodyIdleTimeout: 150 };
    await using stage = await startForward({ forward });
    const late = await rawRequest(stage.host, { path: `http://registry.test:${silent.port}/` });
    assert.equal(late.status, 504);
    assert.match(late.body.toString(), /did not answer in time/);
    const half = await rawRequest(stage.host, { path: `http://registry.test:${stuck.port}/` });
    assert.deepEqual([half.status, half.whole], [200, false]);
  });

  test('each has a connection of its own, also on a kept one of the client', async () => {
    await using target = await startTarget((request, response) => void response.end(request.url));
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const line = (path: string, end = ''): string =>
      `GET http://registry.test:${target.port}${path} HTTP/1.1\r\nHost: a\r\n${end}\r\n`;
    const answers = (await sendBytes(stage.host, line('/one') + line('/two', 'Connection: close\r\n'))).toString();
    assert.match(answers, /\/one[\s\S]*\/two/);
    assert.equal(target.connections(), 2);
  });

  test('for the API of a registry it is answered here', async () => {
    const asked: (string | undefined)[][] = [];
    await using stage = await startForward({
      forward: { isRegistry: ({ host }) => host === 'registry.test' },
      handler: (request, response) => {
        asked.push([request.headers.host, request.url]);
        response.end('from here');
      },
    });
    const answer = await rawRequest(stage.host, {
      path: 'http://registry.test/v2/app/tags/list?n=1',
      headers: { host: 'other' },
    });
    assert.equal(answer.body.toString(), 'from here');
    assert.deepEqual(asked, [['registry.test', '/v2/app/tags/list?n=1']]);
  });

  test('one that was here before is not sent on again', async () => {
    const via: string[] = [];
    await using target = await startTarget((request, response) => {
      via.push(request.headers.via ?? '');
      response.end();
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const path = `http://registry.test:${target.port}/`;
    await rawRequest(stage.host, { path });
    const again = await rawRequest(stage.host, { path, headers: { via: via[0] ?? '' } });
    assert.equal(again.status, 508);
    assert.equal(again.headers['cache-control'], 'no-store');
    assert.match(again.body.toString(), /loop: this server is its own upstream/);
    assert.equal(target.connections(), 1);
  });

  test('a client that leaves ends what was asked for it', async () => {
    const left = Promise.withResolvers<void>();
    await using target = await startTarget((_request, response) => {
      response.writeHead(200).write('begin');
      response.once('close', () => left.resolve());
    });
    await using stage = await startForward({ forward: { ports: [target.port] } });
    const socket: Socket = connect({ port: stage.port, host: '127.0.0.1' });
    socket.write(`GET http://registry.test:${target.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, 'data');
    socket.destroy();
    await left.promise;
  });
});
