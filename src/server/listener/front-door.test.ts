import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, get as httpGet, type IncomingMessage, type ServerResponse } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect, createServer as createNetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { RequestHandler } from '../exchange/request-handler.ts';
import { FrontDoor, type FrontDoorOptions } from './front-door.ts';
import { ListenError, type ListenerAddress } from './listener.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-listen-'));
const doors: FrontDoor[] = [];
after(async () => {
  await Promise.all(doors.map((door) => door.stop({ timeoutMs: 0 })));
  rmSync(directory, { recursive: true, force: true });
});

const ok: RequestHandler = (_request, response) => {
  response.end('ok');
};

interface Opened {
  readonly door: FrontDoor;
  readonly address: ListenerAddress;
  readonly port: number;
  readonly addresses: readonly ListenerAddress[];
  readonly warnings: string[];
}

async function open(handler: RequestHandler, options: Partial<FrontDoorOptions> = {}): Promise<Opened> {
  const warnings: string[] = [];
  const door = new FrontDoor({
    listeners: [{ address: { host: '127.0.0.1', port: 0 } }],
    handler,
    onWarning: (message) => warnings.push(message),
    ...options,
  });
  doors.push(door);
  const addresses = await door.start();
  const [address] = addresses;
  assert.ok(address !== undefined);
  return { door, address, addresses, port: address.port ?? 0, warnings };
}

/** Sends bytes as they are and returns everything that comes back until the other side closes. */
async function context(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write(bytes);
  return readAll(socket);
}

async function readAll(socket: Socket): Promise<string> {
  let received = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
  });
  // A reset is an end too: what was received before it counts.
  socket.on('error', () => {});
  await new Promise<void>((resolve) => {
    socket.once('end', () => socket.end());
    socket.once('close', () => resolve());
  });
  return received;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly whole: boolean;
}

async function read(response: IncomingMessage): Promise<Answer> {
  let body = '';
  response.setEncoding('latin1');
  response.on('data', (chunk: string) => {
    body += chunk;
  });
  response.on('error', () => {});
  await new Promise<void>((resolve) => response.once('close', () => resolve()));
  return { status: response.statusCode ?? 0, headers: response.headers, body, whole: response.complete };
}

async function get(url: string, options: { agent?: Agent; host?: string } = {}): Promise<Answer> {
  const request = httpGet(url, {
    ...(options.agent === undefined ? {} : { agent: options.agent }),
    ...(options.host === undefined ? {} : { headers: { host: options.host } }),
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return read(response);
}

/** A request the handler has taken and not answered yet. */
function holder(): { handler: RequestHandler; taken: Promise<ServerResponse>; count: () => number } {
  let count = 0;
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  return {
    handler: (_request, response) => {
      count++;
      resolve(response);
    },
    taken: promise,
    count: () => count,
  };
}

function makePair(name: string, algorithm: readonly string[]): { certFile: string; keyFile: string } {
  const pair = { certFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
  execFileSync(
    'openssl',
    ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
      .concat(algorithm)
      .concat(['-keyout', pair.keyFile, '-out', pair.certFile]),
    { stdio: 'ignore' },
  );
  return pair;
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

describe('FrontDoor: listening', () => {
  test('hands requests to the handler and says where it listens', async () => {
    const { address, port } = await open(ok);
    assert.deepEqual(address, {
      address: `127.0.0.1:${port}`,
      protocol: 'http',
      port,
      redirectToHttps: false,
    });
    const answer = await get(`http://127.0.0.1:${port}/v2/`);
    assert.deepEqual([answer.status, answer.body], [200, 'ok']);
  });

  test('an address in use is explained, with a remedy, and nothing stays open', async () => {
    const { port } = await open(ok);
    const other = createNetServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const free = (other.address() as { port: number }).port;
    other.close();
    await once(other, 'close');
    const door = new FrontDoor({
      listeners: [{ address: { host: '127.0.0.1', port: free } }, { address: { host: '127.0.0.1', port } }],
      handler: ok,
    });
    await assert.rejects(door.start(), (error: ListenError) => {
      assert.equal(error.code, 'EADDRINUSE');
      assert.match(error.message, new RegExp(`^Cannot listen on 127.0.0.1:${port}: another program .*--listen`));
      return error instanceof ListenError;
    });
    await assert.rejects(get(`http://127.0.0.1:${free}/`), { code: 'ECONNREFUSED' });
  });

  test('an address of another machine is explained', async () => {
    const door = new FrontDoor({ listeners: [{ address: { host: '192.0.2.1', port: 0 } }], handler: ok });
    await assert.rejects(door.start(), /Cannot listen on 192\.0\.2\.1:0: this machine has no such address/);
  });

  test('serves 2,000 connections that come at once', async () => {
    const { port, door } = await open(ok);
    const sockets = Array.from({ length: 2000 }, () => connect({ port, host: '127.0.0.1' }));
    const answers = await Promise.all(
      sockets.map((socket) => {
        socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        return readAll(socket);
      }),
    );
    assert.equal(answers.filter((answer) => answer.endsWith('ok')).length, 2000);
    await settled(() => door.inFlight === 0);
  });

  test('connections over the limit are closed and warned of once', async () => {
    const { port, warnings } = await open(ok, { limits: { maxConnections: 1 } });
    const first = connect({ port, host: '127.0.0.1' });
    await once(first, 'connect');
    first.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(first, 'data');
    assert.equal(await context(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), '');
    assert.equal(await context(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), '');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /1 are open.*limits\.max_connections/);
    first.destroy();
  });
});

describe('FrontDoor: Unix sockets', () => {
  test('serves on a path with mode 0660, and takes the path a killed server left', async () => {
    const path = join(directory, 'front.sock');
    spawnSync(process.execPath, [
      '-e',
      'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))',
      path,
    ]);
    assert.ok(existsSync(path), 'the killed server leaves its socket behind');
    const { address, door } = await open(ok, { listeners: [{ address: { path } }] });
    assert.equal(address.address, `unix:${path}`);
    assert.equal(statSync(path).mode & 0o777, 0o660);
    const request = httpGet({ socketPath: path, path: '/' });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal((await read(response)).body, 'ok');
    await door.stop({ timeoutMs: 0 });
    assert.ok(!existsSync(path));
  });

  test('a path where a server answers is refused, and the server left alone', async () => {
    const path = join(directory, 'busy.sock');
    await open(ok, { listeners: [{ address: { path } }] });
    const second = new FrontDoor({ listeners: [{ address: { path } }], handler: ok });
    await assert.rejects(second.start(), /Cannot listen on unix:.*busy\.sock: another server answers on this socket/);
    assert.ok(existsSync(path));
  });

  test('a file that is no socket is never removed', async () => {
    const path = join(directory, 'precious.txt');
    writeFileSync(path, 'precious');
    const door = new FrontDoor({ listeners: [{ address: { path } }], handler: ok });
    await assert.rejects(door.start(), /a file of that name exists and is not a socket; remove it/);
    assert.ok(existsSync(path));
  });

  test('a missing directory is explained', async () => {
    const path = join(directory, 'absent', 'front.sock');
    const door = new FrontDoor({ listeners: [{ address: { path } }], handler: ok });
    await assert.rejects(door.start(), /the directory of the socket does not exist; create it/);
  });
});

describe('FrontDoor: TLS', () => {
  const pairs: readonly (readonly [string, readonly string[]])[] = [
    ['an EC key', EC],
    ['an RSA key', ['-newkey', 'rsa:2048']],
    ['an Ed25519 key', ['-newkey', 'ed25519']],
  ];
  for (const [name, algorithm] of pairs) {
    test(`serves HTTPS with ${name}`, async () => {
      const tls = makePair(name.replaceAll(' ', '-'), algorithm);
      const { address, port } = await open(ok, { listeners: [{ address: { host: '127.0.0.1', port: 0 }, tls }] });
      assert.equal(address.protocol, 'https');
      assert.equal((await getTls(port)).body, 'ok');
    });
  }

  test('takes keys in the older forms SEC 1 and PKCS#1', async () => {
    for (const [name, algorithm, tool] of [
      ['sec1', EC, 'ec'],
      ['pkcs1', ['-newkey', 'rsa:2048'], 'rsa'],
    ] as const) {
      const pair = makePair(name, algorithm);
      const keyFile = join(directory, `${name}-old.key`);
      const traditional = tool === 'rsa' ? ['-traditional'] : [];
      execFileSync('openssl', [tool, ...traditional, '-in', pair.keyFile, '-out', keyFile], { stdio: 'ignore' });
      assert.match(readFileSync(keyFile, 'utf8'), /BEGIN (?:EC|RSA) PRIVATE KEY/);
      const listeners = [{ address: { host: '127.0.0.1', port: 0 }, tls: { certFile: pair.certFile, keyFile } }];
      assert.equal((await getTls((await open(ok, { listeners })).port)).body, 'ok');
    }
  });

  test('a bad file is named, with what is wrong with it', async () => {
    const good = makePair('good', EC);
    const other = makePair('other', EC);
    const garbage = join(directory, 'garbage.pem');
    writeFileSync(garbage, '-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n');
    const locked = join(directory, 'locked.key');
    writeFileSync(locked, '-----BEGIN ENCRYPTED PRIVATE KEY-----\nbm8=\n-----END ENCRYPTED PRIVATE KEY-----\n');
    const rows: readonly (readonly [string, string, RegExp])[] = [
      [join(directory, 'absent.crt'), good.keyFile, /TLS certificate .*absent\.crt: there is no such file/],
      [good.certFile, directory, /TLS private key .*: it is a directory/],
      [good.keyFile, good.keyFile, /No certificate in .*good\.key/],
      [garbage, good.keyFile, /The certificate in .*garbage\.pem cannot be read/],
      [good.certFile, good.certFile, /No usable private key in .*good\.crt/],
      [good.certFile, locked, /locked\.key cannot be read; it must be whole and without a passphrase/],
      [good.certFile, other.keyFile, /The key in .*other\.key does not belong to the certificate in .*good\.crt/],
    ];
    for (const [certFile, keyFile, expected] of rows) {
      const listeners = [{ address: { host: '127.0.0.1', port: 0 }, tls: { certFile, keyFile } }];
      await assert.rejects(new FrontDoor({ listeners, handler: ok }).start(), expected);
    }
  });

  test('renewed certificates are used by the next connection, and a bad renewal changes nothing', async () => {
    const tls = makePair('renewed', EC);
    const { door, port } = await open(ok, { listeners: [{ address: { host: '127.0.0.1', port: 0 }, tls }] });
    const before = (await getTls(port)).fingerprint;
    makePair('renewed', EC);
    const renew = await door.prepareCertificates();
    renew();
    const renewed = (await getTls(port)).fingerprint;
    assert.notEqual(renewed, before);
    writeFileSync(tls.keyFile, 'nothing');
    await assert.rejects(door.prepareCertificates(), /No usable private key/);
    assert.equal((await getTls(port)).fingerprint, renewed);
  });

  test('garbage, plain HTTP and an abandoned handshake disturb no other client', async () => {
    const tls = makePair('disturbed', EC);
    const { port, warnings } = await open(ok, { listeners: [{ address: { host: '127.0.0.1', port: 0 }, tls }] });
    await context(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await context(port, Buffer.alloc(4096, 0xfe));
    for (let round = 0; round < 20; round++) {
      const socket = connect({ port, host: '127.0.0.1' });
      await once(socket, 'connect');
      // The first bytes of a ClientHello, and then a reset.
      socket.write(Buffer.from('16030100c8010000c40303', 'hex'));
      socket.resetAndDestroy();
    }
    assert.equal((await getTls(port)).body, 'ok');
    assert.deepEqual(warnings, []);
  });
});

describe('FrontDoor: other limits while it is open', () => {
  test('hold for the next request, on connections that are open as well', async () => {
    const { door, port } = await open(ok, { timeouts: { idleTimeout: 60_000 } });
    const socket = connect({ port, host: '127.0.0.1' });
    const received = readAll(socket);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    door.adjust({ timeouts: { idleTimeout: 1 } });
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await received).match(/HTTP\/1\.1 200 /g)?.length, 2);
  });

  test('hold for the number of connections, and for where HTTPS is', async () => {
    const listeners = [{ address: { host: '127.0.0.1', port: 0 }, redirectToHttps: true }];
    const { door, port } = await open(ok, { listeners });
    door.adjust({ publicUrls: ['https://mirror.example.com'], limits: { maxConnections: 1 } });
    const answer = await get(`http://127.0.0.1:${port}/v2/`);
    assert.equal(answer.headers.location, 'https://mirror.example.com/v2/');
    const first = connect({ port, host: '127.0.0.1' });
    await once(first, 'connect');
    assert.equal(await context(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), '');
    first.destroy();
  });
});

describe('FrontDoor: redirect to HTTPS', () => {
  const listeners = [{ address: { host: '127.0.0.1', port: 0 }, redirectToHttps: true }];

  test('answers 308 to the same host without its port where there is no HTTPS listener, path and query kept', async () => {
    const { port } = await open(ok, { listeners });
    const answer = await get(`http://127.0.0.1:${port}/v2/x/tags/list?n=2`, { host: 'mirror.example.com:8080' });
    assert.equal(answer.status, 308);
    assert.equal(answer.headers.location, 'https://mirror.example.com/v2/x/tags/list?n=2');
  });

  test('leaves alone what is never redirected', async () => {
    const { port } = await open(ok, { listeners, isNeverRedirected: (target) => target === '/proof?n=1' });
    assert.equal((await get(`http://127.0.0.1:${port}/proof?n=1`)).status, 200);
    assert.equal((await get(`http://127.0.0.1:${port}/proof?n=2`)).status, 308);
  });

  test('keeps the port of the HTTPS listener', async () => {
    const secure = { address: { host: '127.0.0.1', port: 0 }, tls: makePair('redirected', EC) };
    const { port, addresses } = await open(ok, { listeners: [...listeners, secure, secure] });
    const answer = await get(`http://127.0.0.1:${port}/v2/`, { host: 'mirror.example.com:8080' });
    assert.equal(answer.headers.location, `https://mirror.example.com:${addresses[1]?.port}/v2/`);
  });

  test('answers 308 to the public URL where there is one', async () => {
    const { port } = await open(ok, { listeners, publicUrls: ['https://mirror.example.com:8443'] });
    const answer = await get(`http://127.0.0.1:${port}/help`);
    assert.equal(answer.headers.location, 'https://mirror.example.com:8443/help');
  });

  test('answers 308 to the public URL of the same name, of several', async () => {
    const publicUrls = ['http://c.example', 'https://a.example', 'https://b.example:8443'];
    const { port } = await open(ok, { listeners, publicUrls });
    for (const [host, expected] of [
      ['b.example', 'https://b.example:8443/help'],
      ['B.example:80', 'https://b.example:8443/help'],
      ['c.example', 'https://a.example/help'],
      ['evil.example', 'https://a.example/help'],
    ] as const) {
      assert.equal((await get(`http://127.0.0.1:${port}/help`, { host })).headers.location, expected, host);
    }
  });

  test('repeats no host that is none', async () => {
    const { port } = await open(ok, { listeners });
    const answer = await context(port, 'GET / HTTP/1.1\r\nHost: evil/"<x>@a\r\nConnection: close\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.doesNotMatch(answer, /evil|location/i);
  });
});

describe('FrontDoor: what is refused', () => {
  const head = 'Host: x\r\nConnection: close\r\n';
  const rows: readonly (readonly [string, string | Buffer, number, RegExp?])[] = [
    ['garbage bytes', Buffer.from([0, 1, 2, 0xff, 0xfe, 10, 13, 10]), 400],
    ['a TLS handshake on a plain port', Buffer.from('16030100c8010000c40303', 'hex'), 400],
    ['no Host header', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400, /no Host/],
    ['a method that HTTP does not know', 'FETCH / HTTP/1.1\r\nHost: x\r\n\r\n', 405, /a mirror answers GET and HEAD/],
    ['a method in small letters', 'get /v2/ HTTP/1.1\r\nHost: x\r\n\r\n', 405, /a mirror answers GET and HEAD/],
    ['no request line', 'FETCH\r\n\r\n', 400, /not a valid HTTP request/],
    ['HTTP/2 without negotiation', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, /HTTP\/1\.1 only/],
    ['a version of its own', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n', 505, /HTTP\/1\.1 only/],
    ['an impossible port in Host', 'GET / HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n', 400, /port/],
    ['half a bracketed Host', 'GET / HTTP/1.1\r\nHost: [::\r\nConnection: close\r\n\r\n', 400],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\nConnection: close\r\n\r\n', 400],
    ['a header without a colon', `GET / HTTP/1.1\r\n${head}nonsense\r\n\r\n`, 400],
    [
      'Content-Length beside chunked',
      `GET / HTTP/1.1\r\n${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
      400,
    ],
    ['two Content-Lengths', `GET / HTTP/1.1\r\n${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 400],
    ['a space before the colon', `GET / HTTP/1.1\r\n${head}Content-Length : 5\r\n\r\n`, 400],
    ['a folded header', `GET / HTTP/1.1\r\n${head}X-A: b\r\n c\r\n\r\n`, 400],
    ['a head of 64 KiB', `GET / HTTP/1.1\r\n${head}X-A: ${'a'.repeat(65_536)}\r\n\r\n`, 431],
    ['1,000 headers', `GET / HTTP/1.1\r\n${head}${'A: b\r\n'.repeat(1000)}\r\n`, 431],
    ['an unknown expectation', `GET / HTTP/1.1\r\n${head}Expect: wonders\r\n\r\n`, 417],
    ['CONNECT', 'CONNECT example.com:25 HTTP/1.1\r\nHost: example.com:25\r\n\r\n', 405],
    ['a WebSocket', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 400],
  ];
  for (const [name, bytes, status, words] of rows) {
    test(`${name}: ${status}, and the connection is closed`, async () => {
      const { port, door } = await open(ok);
      const answer = await context(port, bytes);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.doesNotMatch(answer, /\r\n\r\nok$/);
      assert.match(answer, /\r\ncontent-type: application\/json\r\n/i);
      assert.match(answer, /\r\nconnection: close\r\n/i);
      const { code, message } = JSON.parse(answer.split('\r\n\r\n')[1] ?? '').errors[0];
      assert.ok(code);
      if (words !== undefined) assert.match(message, words);
      await settled(() => door.inFlight === 0);
      assert.equal((await get(`http://127.0.0.1:${port}/`)).body, 'ok');
    });
  }

  for (const line of ['CONNECT a:443', 'FETCH /v2/', 'get /v2/']) {
    test(`${line} is told what is allowed`, async () => {
      const { port } = await open(ok);
      assert.match(await context(port, `${line} HTTP/1.1\r\nHost: a:443\r\n\r\n`), /\r\nallow: GET, HEAD\r\n/i);
    });
  }

  test('an offer of h2c is passed over: the request is served as it is', async () => {
    const { port } = await open(ok);
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
    const socket = connect({ port, host: '127.0.0.1' });
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${offer}\r\n`);
    const [first] = (await once(socket, 'data')) as [Buffer];
    assert.match(first.toString('latin1'), /^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  test('Expect: 100-continue gets the final answer at once, and the connection ends with it', async () => {
    const { port } = await open((_request, response) => {
      response.writeHead(405).end();
    });
    const answer = await context(
      port,
      'PUT /v2/x/manifests/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 405 /);
    assert.match(answer, /Connection: close/i);
  });

  test('a bad pipelined request does not write into the answer before it', async () => {
    const { handler, taken } = holder();
    const { port } = await open(handler);
    const answer = context(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n\u0000garbage\r\n\r\n');
    await taken;
    assert.equal(await answer, '');
  });

  test('requests queued on a connection hear when it is lost', async () => {
    const closed: string[] = [];
    const { promise: allTaken, resolve } = Promise.withResolvers<void>();
    let taken = 0;
    const { port, door } = await open((request, response) => {
      response.once('close', () => closed.push(request.url ?? ''));
      if (++taken === 3) resolve();
    });
    const socket = connect({ port, host: '127.0.0.1' });
    for (const path of ['/a', '/b', '/c']) socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await allTaken;
    assert.equal(door.inFlight, 3);
    socket.destroy();
    await settled(() => door.inFlight === 0 && closed.length === 3);
    assert.deepEqual(closed.sort(), ['/a', '/b', '/c']);
  });

  test('endless pipelining is cut', async () => {
    const held = holder();
    const { port, door } = await open(held.handler);
    assert.equal(await context(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200)), '');
    assert.ok(held.count() <= 32, `${held.count()} requests were begun`);
    await settled(() => door.inFlight === 0);
  });

  test('a handler that throws is reported and answered, and one that throws late is cut', async () => {
    const { port, warnings } = await open(async (request, response) => {
      if (request.url === '/late') {
        response.writeHead(200, { 'content-length': '1000' });
        await new Promise((resolve) => response.write('begun', resolve));
      }
      throw new Error('a bug');
    });
    const early = await get(`http://127.0.0.1:${port}/`);
    assert.equal(early.status, 500);
    assert.equal(JSON.parse(early.body).errors[0].code, 'UNKNOWN');
    const late = await get(`http://127.0.0.1:${port}/late`);
    assert.deepEqual([late.status, late.whole], [200, false]);
    assert.equal(warnings.length, 2);
  });
});

describe('FrontDoor: deadlines', () => {
  test('a head that does not end is answered 408', async () => {
    const { port } = await open(ok, { timeouts: { readHeaderTimeout: 100 } });
    assert.match(await context(port, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: '), /^HTTP\/1\.1 408 /);
  });

  test('a connection that says nothing is ended', async () => {
    const { port, door } = await open(ok, { timeouts: { readHeaderTimeout: 100 } });
    await context(port, '');
    await settled(() => door.connections === 0);
  });

  test('an idle connection is kept for its time and then closed', async () => {
    const { port } = await open(ok, { timeouts: { idleTimeout: 50 } });
    const answer = await context(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match(answer, /keep-alive[\s\S]*\r\n\r\nok$/i);
  });

  for (const scheme of ['http', 'https'] as const) {
    function listenersFor(): FrontDoorOptions['listeners'] {
      const address = { host: '127.0.0.1', port: 0 };
      return [scheme === 'http' ? { address } : { address, tls: makePair('slow', EC) }];
    }

    test(`${scheme}: a client that takes nothing of its answer is cut`, async () => {
      const { promise: closed, resolve } = Promise.withResolvers<boolean>();
      const { port, door } = await open(
        (_request, response) => {
          response.once('close', () => resolve(response.writableFinished));
          response.end(Buffer.alloc(64 * 1024 * 1024));
        },
        { listeners: listenersFor(), timeouts: { clientStallTimeout: 300 } },
      );
      const socket =
        scheme === 'http'
          ? connect({ port, host: '127.0.0.1' })
          : connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
      socket.on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      // The first bytes show that the answer has begun; then nothing is read any more.
      await once(socket, 'data');
      socket.pause();
      assert.equal(await closed, false);
      await settled(() => door.inFlight === 0);
      socket.destroy();
    });

    test(`${scheme}: a client that takes its answer slowly is not`, async () => {
      // The kernel takes new bytes a megabyte or so at a time: the pace must be such that this happens within the limit.
      const bytesPerMs = 16 * 1024;
      const size = 2500 * bytesPerMs;
      const { port } = await open((_request, response) => writeInChunks(response, size), {
        listeners: listenersFor(),
        timeouts: { clientStallTimeout: 1000 },
      });
      const request =
        scheme === 'http'
          ? httpGet({ port, host: '127.0.0.1' })
          : httpsGet({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      let received = 0;
      const started = performance.now();
      for await (const chunk of response as AsyncIterable<Buffer>) {
        received += chunk.length;
        while (received > (performance.now() - started) * bytesPerMs)
          await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.equal(received, size);
      assert.ok(performance.now() - started >= 2000);
    });
  }

  test('a request that waits for a slow upstream is not cut, nor one between two chunks', async () => {
    const { port } = await open(
      (_request, response) => {
        setTimeout(() => response.write('a'), 300);
        setTimeout(() => response.end('b'), 600);
      },
      { timeouts: { clientStallTimeout: 50, idleTimeout: 50 } },
    );
    assert.equal((await get(`http://127.0.0.1:${port}/`)).body, 'ab');
  });

  test('the hard limit for an answer holds where it is set', async () => {
    const { handler } = holder();
    const { port, door } = await open(handler, { timeouts: { writeTimeout: 100 } });
    await assert.rejects(get(`http://127.0.0.1:${port}/`), { code: 'ECONNRESET' });
    await settled(() => door.inFlight === 0);
  });
});

describe('FrontDoor: stop', () => {
  test('refuses new connections, ends idle ones, and lets what runs finish with Connection: close', async () => {
    const { handler, taken } = holder();
    const { port, door } = await open((request, response) =>
      request.url === '/held' ? handler(request, response) : ok(request, response),
    );
    const agent = new Agent({ keepAlive: true });
    await get(`http://127.0.0.1:${port}/`, { agent });
    const idle = Object.values(agent.freeSockets)[0]?.[0];
    assert.ok(idle !== undefined);
    const held = get(`http://127.0.0.1:${port}/held`);
    const response = await taken;
    assert.equal(door.inFlight, 1);

    const idleClosed = once(idle, 'close');
    const stopped = door.stop({ timeoutMs: 10_000 });
    await idleClosed;
    await assert.rejects(get(`http://127.0.0.1:${port}/`), { code: 'ECONNREFUSED' });
    response.end('done');
    const answer = await held;
    assert.deepEqual([answer.body, answer.headers.connection], ['done', 'close']);
    assert.deepEqual(await stopped, { cut: 0 });
    assert.equal(door.connections, 0);
    agent.destroy();
  });

  test('a connection whose answer had begun ends with it', async () => {
    const { handler, taken } = holder();
    const { port, door } = await open(handler);
    const agent = new Agent({ keepAlive: true });
    const held = get(`http://127.0.0.1:${port}/`, { agent });
    const response = await taken;
    await new Promise((resolve) => response.write('begun ', resolve));
    const stopped = door.stop({ timeoutMs: 10_000 });
    response.end('and done');
    assert.equal((await held).body, 'begun and done');
    assert.deepEqual(await stopped, { cut: 0 });
    agent.destroy();
  });

  test('cuts what does not finish in time, and says how much', async () => {
    const { handler, taken } = holder();
    const { port, door } = await open(handler);
    const held = get(`http://127.0.0.1:${port}/`);
    held.catch(() => {});
    await taken;
    assert.deepEqual(await door.stop({ timeoutMs: 50 }), { cut: 1 });
    await assert.rejects(held, { code: 'ECONNRESET' });
    assert.deepEqual([door.inFlight, door.connections], [0, 0]);
  });

  test('a second stop may shorten the first', async () => {
    const { handler, taken } = holder();
    const { port, door } = await open(handler);
    get(`http://127.0.0.1:${port}/`).catch(() => {});
    await taken;
    const first = door.stop({ timeoutMs: 60_000 });
    assert.deepEqual(await door.stop({ timeoutMs: 0 }), { cut: 1 });
    assert.deepEqual(await first, { cut: 1 });
  });

  test('clients that neither ask nor hang up do not hold it up', async () => {
    const tls = makePair('stopped', EC);
    const { port, door } = await open(ok, { listeners: [{ address: { host: '127.0.0.1', port: 0 }, tls }] });
    const silent = connect({ port, host: '127.0.0.1' });
    silent.on('error', () => {});
    await once(silent, 'connect');
    await settled(() => door.connections === 1);
    const started = performance.now();
    assert.deepEqual(await door.stop({ timeoutMs: 30_000 }), { cut: 0 });
    assert.ok(performance.now() - started < 5000);
    silent.destroy();
  });

  test('before start there is nothing to stop', async () => {
    assert.deepEqual(await new FrontDoor({ listeners: [], handler: ok }).stop(), { cut: 0 });
  });
});

async function getTls(port: number): Promise<{ body: string; fingerprint: string }> {
  const request = httpsGet({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    rejectUnauthorized: false,
    agent: false,
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate();
  const { body } = await read(response);
  return { body, fingerprint: fingerprint256 };
}

/** Writes as the registry's answers are written: a chunk when the one before it was taken. */
async function writeInChunks(response: ServerResponse, size: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024);
  for (let sent = 0; sent < size; sent += chunk.length)
    if (!response.write(chunk.subarray(0, size - sent))) await once(response, 'drain');
  response.end();
}

/** Waits until something becomes true that no event tells of; fails after five seconds. */
async function settled(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
