import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import {
  type ForwardStage,
  type ForwardStageOptions,
  openTunnelTo,
  startForward,
  startTarget,
  startTcpTarget,
} from '../../test/support/forward-stage.ts';
import { check, needs, type RunResult, run, Workspace } from '../../test/support/processes.ts';
import type { Events } from '../telemetry/index.ts';
import { createAuthority, openAuthority } from './authority/index.ts';

const pair = createAuthority({ host: 'mirror.test' });
const authority = openAuthority(pair);

const startMitm = (options: ForwardStageOptions = {}): Promise<ForwardStage> => startForward({ authority, ...options });

interface Handshake {
  readonly authority?: string;
  readonly servername?: string;
  readonly trust?: boolean;
  readonly alpn?: readonly string[];
}

/** A client of a tunnel, that trusts us unless it is told not to. */
async function secure(
  stage: ForwardStage,
  { authority: target = 'registry.test:443', servername = 'registry.test', trust = true, alpn = [] }: Handshake = {},
): Promise<TLSSocket> {
  const socket = await openTunnelTo(stage, target);
  const client = connectTls({
    socket,
    ...(servername === '' ? {} : { servername }),
    ...(trust ? { ca: pair.cert } : {}),
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    checkServerIdentity: () => undefined,
  });
  await once(client, 'secureConnect');
  return client;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One request on a decrypted connection. */
function ask(client: Socket, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => client,
      path,
      headers: { host: 'registry.test', ...headers },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let body = '';
      response.on('data', (chunk) => (body += String(chunk)));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    request.end();
  });
}

/** The certificate a client was shown. */
function shown(client: TLSSocket): X509Certificate {
  const certificate = client.getPeerX509Certificate();
  assert.ok(certificate !== undefined);
  return certificate;
}

describe('a decrypted tunnel', () => {
  test('a registry is answered by this server, as if it had been asked', async () => {
    const asked: (string | undefined)[][] = [];
    await using stage = await startMitm({
      forward: { isRegistry: ({ host }) => host === 'registry.test' },
      handler: (request, response) => {
        asked.push([request.method, request.headers.host, request.url, request.socket.remoteAddress]);
        response.end('from here');
      },
    });
    const client = await secure(stage);
    assert.equal((await ask(client, '/v2/app/manifests/1?x=y')).body, 'from here');
    assert.deepEqual(asked, [['GET', 'registry.test', '/v2/app/manifests/1?x=y', '127.0.0.1']]);
    assert.ok(shown(client).checkIssued(new X509Certificate(pair.cert)));
    assert.equal(shown(client).checkHost('registry.test'), 'registry.test');
    client.destroy();
  });

  test('everything else is asked of its real host, over TLS that is checked', async () => {
    const body = randomBytes(3 << 20).toString('hex');
    const seen: string[] = [];
    await using target = await startTarget(
      (request, response) => {
        seen.push(`${request.method} ${request.headers.host}${request.url} ${request.headers.authorization}`);
        response.end(body);
      },
      { secure: true },
    );
    const host = `registry.test:${target.port}`;
    await using stage = await startMitm({ forward: { ports: [target.port] } });
    const client = await secure(stage, { authority: host });
    const answer = await ask(client, '/token?scope=x', { host, authorization: 'Bearer own' });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, body);
    assert.deepEqual(seen, [`GET ${host}/token?scope=x Bearer own`]);
    const line = await stage.request(({ route }) => route === 'mitm');
    assert.deepEqual([line.path, line.upstream, line.bytes, line.entrance], ['/token', host, body.length, 'mitm']);
  });

  test('a real host whose certificate is not good is not believed', async () => {
    await using target = await startTarget((_request, response) => void response.end('secret'), { secure: true });
    // Its certificate does not name this.
    const host = `cdn.test:${target.port}`;
    await using stage = await startMitm({ forward: { ports: [target.port] } });
    const answer = await ask(await secure(stage, { authority: host }), '/', { host });
    assert.equal(answer.status, 502);
    assert.ok(!answer.body.includes('secret'));
  });

  test('several requests, on one connection', async () => {
    await using stage = await startMitm({
      forward: { isRegistry: () => true },
      handler: (request, response) => void response.end(request.url),
    });
    const client = await secure(stage);
    client.write(
      'GET /v2/1 HTTP/1.1\r\nHost: registry.test\r\n\r\nGET /v2/2 HTTP/1.1\r\nHost: registry.test:443\r\nConnection: close\r\n\r\n',
    );
    let heard = '';
    client.on('data', (chunk) => (heard += String(chunk)));
    await once(client, 'close');
    assert.match(heard, /\/v2\/1[\s\S]*\/v2\/2/);
    await nothingLeft(stage);
  });

  for (const [what, servername, expected] of [
    ['no name', '', 'registry.test'],
    ['another name', 'evil.example', 'registry.test'],
    ['a name with a star', '*', 'registry.test'],
    ['a name of 255 bytes', 'a'.repeat(255), 'registry.test'],
    ['a name beyond ASCII', 'bücher.example', 'registry.test'],
  ] as const) {
    test(`the certificate is for the host of the CONNECT where the handshake has ${what}`, async () => {
      await using stage = await startMitm();
      const client = await secure(stage, { servername });
      assert.equal(shown(client).subjectAltName, `DNS:${expected}`);
      client.destroy();
    });
  }

  test('an address has a certificate of its own', async () => {
    await using stage = await startMitm({ allowed: ['192.0.2.7'] });
    const client = await secure(stage, { authority: '192.0.2.7:443', servername: '' });
    assert.equal(shown(client).checkIP('192.0.2.7'), '192.0.2.7');
    client.destroy();
  });

  test('HTTP/1.1 is all there is to choose', async () => {
    await using stage = await startMitm();
    const client = await secure(stage, { alpn: ['h2', 'http/1.1'] });
    assert.equal(client.alpnProtocol, 'http/1.1');
    client.destroy();
  });

  for (const [what, path, headers, status] of [
    ['another Host', '/v2/', { host: 'evil.example' }, 421],
    ['another port', '/v2/', { host: 'registry.test:8443' }, 421],
    ['a Host that is none, and so no other', '/v2/', { host: 'a b' }, 400],
    ['another host in the request line', 'https://evil.example/v2/', {}, 421],
    ['plain text in the request line', 'http://registry.test/v2/', {}, 421],
  ] as const) {
    test(`${what} than the tunnel leads to is ${status}`, async () => {
      let reached = 0;
      await using stage = await startMitm({
        forward: { isRegistry: () => true },
        handler: (_request, response) => void response.end(String(++reached)),
      });
      const answer = await ask(await secure(stage), path, headers);
      assert.equal(answer.status, status);
      assert.equal(reached, 0);
    });
  }

  test('no tunnel within a tunnel, and no switch of protocols', async () => {
    await using stage = await startMitm();
    for (const [lines, status] of [
      ['CONNECT registry.test:443 HTTP/1.1\r\nHost: registry.test\r\n\r\n', 405],
      ['GET / HTTP/1.1\r\nHost: registry.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', 400],
    ] as const) {
      const client = await secure(stage);
      client.write(lines);
      const [chunk] = (await once(client, 'data')) as [Buffer];
      assert.match(chunk.toString(), new RegExp(`^HTTP/1\\.1 ${status} `));
      client.destroy();
    }
  });

  test('a host that is not listed gets no certificate', async () => {
    await using stage = await startMitm();
    await assert.rejects(openTunnelTo(stage, 'evil.example:443'), /403/);
  });

  test('port 80 is a tunnel as ever: nothing in it is encrypted', async () => {
    const dialled: number[] = [];
    await using stage = await startMitm({
      forward: {
        dial: ({ port }) => {
          dialled.push(port);
          return Promise.reject(new Error('enough'));
        },
      },
    });
    await assert.rejects(openTunnelTo(stage, 'registry.test:80'), /500/);
    assert.deepEqual(dialled, [80]);
  });

  test('a handshake that begins before the answer to CONNECT', async () => {
    await using stage = await startMitm();
    const hello = await clientHello();
    const socket = await openTunnelTo(stage, 'registry.test:443', { eager: hello });
    const [answer] = (await once(socket.resume(), 'data')) as [Buffer];
    assert.equal(answer[0], 0x16, 'a ServerHello');
    socket.destroy();
  });

  test('the exchange is told to those who listen, without secrets', async () => {
    await using stage = await startMitm({
      forward: { isRegistry: () => true },
      handler: (_request, response) =>
        void response.writeHead(307, { location: 'https://cdn.test/b?sig=s3cret', 'set-cookie': 's3cret' }).end(),
    });
    const exchanges: Events['mitm.exchange'][] = [];
    const told = new Promise<void>((resolve) => {
      stage.telemetry.on('mitm.exchange', (event) => {
        exchanges.push(event);
        resolve();
      });
    });
    await ask(await secure(stage), '/v2/x?token=s3cret', { authorization: 'Bearer s3cret', accept: 'a/b' });
    await told;
    const [context] = exchanges;
    assert.deepEqual([context?.method, context?.url, context?.status], ['GET', 'https://registry.test/v2/x', 307]);
    assert.equal(context?.requestHeaders['accept'], 'a/b');
    assert.equal(context?.responseHeaders['location'], 'https://cdn.test/b');
    assert.ok(!JSON.stringify(exchanges).includes('s3cret'), JSON.stringify(exchanges));
  });

  test('stopping ends kept connections within tunnels, and waits for answers', async () => {
    const pending = Promise.withResolvers<{ end(text: string): void }>();
    const stage = await startMitm({
      forward: { isRegistry: () => true },
      handler: (_request, response) => pending.resolve(response),
    });
    const idle = await secure(stage);
    const busy = await secure(stage);
    const answer = ask(busy, '/v2/');
    const response = await pending.promise;
    const stopped = stage.door.stop({ timeoutMs: 10_000 });
    await once(idle.resume(), 'close');
    response.end('whole');
    assert.equal((await answer).body, 'whole');
    assert.deepEqual(await stopped, { cut: 0 });
  });
});

describe('whatever clients do to the handshake', () => {
  let stage: ForwardStage;
  before(async () => {
    stage = await startMitm({
      forward: { isRegistry: () => true, maxTunnels: 64 },
      handler: (_request, response) => void response.end('well'),
    });
  });
  after(() => stage[Symbol.asyncDispose]());

  test('a thousand broken ones later, the next is served', async () => {
    const hello = await clientHello();
    const ways: ((socket: Socket, i: number) => void)[] = [
      (socket) => socket.destroy(),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end(),
      (socket) => socket.end(randomBytes(300)),
      (socket) => socket.end('GET / HTTP/1.1\r\nHost: registry.test\r\n\r\n'),
      (socket, i) => socket.end(hello.subarray(0, i % hello.length)),
      (socket, i) => socket.write(hello.subarray(0, i % hello.length), () => socket.resetAndDestroy()),
      (socket) => socket.write(hello, () => socket.resetAndDestroy()),
      (socket) => socket.write(hello, () => socket.destroy()),
      (socket, i) => {
        const broken = Buffer.from(hello);
        broken[5 + (i % (broken.length - 5))] = (broken[5 + (i % (broken.length - 5))] ?? 0) ^ 0xff;
        socket.end(Buffer.concat([broken, randomBytes(50)]));
      },
      // Within the handshake, an alert, a record of no length, one far too long.
      (socket) => socket.end(Buffer.from('15030300020228', 'hex')),
      (socket) => socket.end(Buffer.from('1603010000', 'hex')),
      (socket) => socket.end(Buffer.from('160301ffff01', 'hex')),
    ];
    let next = 0;
    async function client(): Promise<void> {
      for (let i = next++; i < 1000; i = next++) {
        const socket = await openTunnelTo(stage, 'registry.test:443');
        const closed = new Promise((resolve) => socket.once('close', resolve));
        ways[i % ways.length]?.(socket, i);
        socket.resume();
        await closed;
      }
    }
    await Promise.all(Array.from({ length: 8 }, client));
    assert.equal((await ask(await secure(stage), '/v2/')).body, 'well');
  });

  test('nothing is left of them', async () => {
    await nothingLeft(stage);
  });
});

describe('openssl and curl', needs('openssl', 'curl'), () => {
  let workspace: Workspace;
  let ca: string;
  before(async () => {
    workspace = await Workspace.open();
    ca = await workspace.file('ca.crt', pair.cert);
  });
  after(() => workspace.close());

  test('openssl s_client finds the chain in order', async () => {
    await using stage = await startMitm();
    const verify = ['-CAfile', ca, '-verify_hostname', 'registry.test', '-verify_return_error', '-brief'];
    const command = ['openssl', 's_client', '-proxy', stage.host, '-connect', 'registry.test:443', ...verify];
    const { code, stderr } = await run(command, { input: '' });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Verification: OK/);
  });

  test('curl pulls through a plain tunnel and a decrypted one', async () => {
    await using target = await startTarget((_request, response) => void response.end('content'), { secure: true });
    const url = `https://registry.test:${target.port}/blob`;
    const testCa = fileURLToPath(new URL('../../test/support/tls/ca.pem', import.meta.url));
    const curl = (stage: ForwardStage, cacert: string): Promise<RunResult> =>
      run(['curl', '-sS', '-x', `http://${stage.host}`, '--cacert', cacert, url]);
    await using plain = await startForward({ forward: { ports: [target.port] } });
    assert.equal((await curl(plain, testCa)).stdout, 'content');
    await using looked = await startMitm({ forward: { ports: [target.port] } });
    const trusted = await curl(looked, ca);
    assert.deepEqual([trusted.code, trusted.stdout], [0, 'content'], trusted.stderr);
  });

  test('curl that does not trust the authority is told of, and by whom', async () => {
    await using stage = await startMitm();
    const failed = new Promise<Events['mitm.handshake']>((resolve) => stage.telemetry.on('mitm.handshake', resolve));
    const { code } = await run(['curl', '-sS', '-x', `http://${stage.host}`, 'https://registry.test/']);
    assert.equal(code, 60, 'curl: the certificate is not trusted');
    const { host, client, reason } = await failed;
    assert.deepEqual({ host, client, reason }, { host: 'registry.test', client: '127.0.0.1', reason: 'untrusted' });
  });

  test('curl says that a host was refused', async () => {
    await using stage = await startMitm();
    const { stderr } = await run(['curl', '-sS', '-x', `http://${stage.host}`, 'https://evil.example/']);
    assert.match(stderr, /403/);
  });

  test('curl gives user and password, and asks plainly', async () => {
    await using target = await startTarget((request, response) => void response.end(request.url));
    const credential = () => Promise.resolve({ user: 'ship', password: 's3cret' });
    await using stage = await startForward({ forward: { ports: [target.port], credential } });
    const url = `http://registry.test:${target.port}/plain`;
    assert.equal(await check(['curl', '-sS', '-x', `http://ship:s3cret@${stage.host}`, url]), '/plain');
    const { stdout } = await run([
      'curl',
      '-sS',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-x',
      `http://${stage.host}`,
      url,
    ]);
    assert.equal(stdout, '407');
  });
});

/** The server hears of a close a moment after the client. */
async function nothingLeft(stage: ForwardStage): Promise<void> {
  for (let i = 0; i < 200 && stage.forward.tunnels > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(stage.forward.tunnels, 0);
}

/** The first bytes of a TLS client. */
async function clientHello(): Promise<Buffer> {
  const heard = Promise.withResolvers<Buffer>();
  await using target = await startTcpTarget((socket) => void socket.once('data', heard.resolve));
  const client = connectTls({ port: target.port, host: '127.0.0.1', servername: 'registry.test' });
  client.on('error', () => undefined);
  const hello = await heard.promise;
  client.destroy();
  return hello;
}
