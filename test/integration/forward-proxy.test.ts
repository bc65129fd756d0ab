import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import bcrypt from 'bcryptjs';
import { openTunnelTo, startTcpTarget } from '../support/forward-stage.ts';
import { buildImage } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { needs, run } from '../support/processes.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

const pem = (name: string): string => readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url), 'utf8');
const CA_FILE = new URL('../support/tls/ca.pem', import.meta.url).pathname;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A request through a tunnel, by a client that trusts `ca`. */
async function through(
  mirror: Mirror,
  host: string,
  {
    ca,
    path,
    headers = {},
  }: { readonly ca: string; readonly path: string; readonly headers?: Readonly<Record<string, string>> },
): Promise<Answer & { readonly certificate: X509Certificate }> {
  const socket = await openTunnelTo(
    { port: Number(new URL(mirror.url).port) },
    host.includes(':') ? host : `${host}:443`,
  );
  const client: TLSSocket = connectTls({ socket, servername: host.replace(/:\d+$/, ''), ca });
  await once(client, 'secureConnect');
  const certificate = client.getPeerX509Certificate();
  assert.ok(certificate !== undefined);
  const answer = await new Promise<Answer>((resolve, reject) => {
    const request = httpRequest({
      createConnection: () => client,
      path,
      headers: { host, connection: 'close', ...headers },
    });
    request.on('error', reject).on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    request.end();
  });
  return { ...answer, certificate };
}

describe('the whole server as a forward proxy', () => {
  const image = buildImage({ seed: 'forward' });
  const blob = image.blobs[0];
  assert.ok(blob !== undefined);
  let upstream: ScriptedUpstream;
  before(async () => {
    upstream = await startScriptedUpstream({
      personality: 'ghcr',
      tls: { cert: pem('server'), key: pem('server-key') },
      host: 'registry.test',
    });
    upstream.add(image, 'owner/app', ['latest']);
  });
  after(() => upstream.stop());

  /** A server that knows the upstream as `registry.test`, and finds it on this machine. */
  function start(forward_proxy: Readonly<Record<string, unknown>>, more: object = {}): Promise<Mirror> {
    return startMirror({
      ...more,
      registries: { 'registry.test': { upstreams: [upstream.url] } },
      transport: {
        ca_file: CA_FILE,
        dns: { hosts: { 'registry.test': '127.0.0.1' } },
        allow_private: ['registry.test'],
      },
      forward_proxy: { enabled: true, allowed_hosts: ['registry.test'], ...forward_proxy },
    });
  }

  /** The blob is in the cache: until then a second reader joins the first. */
  async function committed(mirror: Mirror): Promise<void> {
    await mirror.logged((line) => line.msg === 'ingest.finished' && line['outcome'] === 'committed');
  }

  test('looked into, pulls come through the same routing, gate, cache and log', async () => {
    await using mirror = await start({ mitm: { enabled: true } });
    const made = mirror.log.find(({ msg }) => msg.startsWith('a certificate authority was made'));
    assert.ok(made !== undefined, 'its making is in the log');
    const ca = (await mirror.get('/ca.crt')).body.toString();
    assert.equal(new X509Certificate(ca).fingerprint256, made['fingerprint']);

    const path = `/v2/owner/app/blobs/${blob.digest}`;
    upstream.forget();
    const cold = await through(mirror, 'registry.test', { ca, path });
    assert.deepEqual([cold.status, cold.headers['x-cache']], [200, 'MISS']);
    assert.ok(cold.body.equals(blob.bytes));
    await committed(mirror);
    const warm = await through(mirror, 'registry.test', { ca, path });
    assert.deepEqual([warm.status, warm.headers['x-cache']], [200, 'HIT']);
    assert.equal(upstream.blobBodies(blob.digest).length, 1, upstream.journal());
    assert.ok(cold.certificate.checkIssued(new X509Certificate(ca)));

    const push = await through(mirror, 'registry.test', { ca, path: '/v2/', headers: {} });
    assert.equal(push.status, 200, 'no token is wanted here');
    await mirror.logged((line) => line.msg === 'request' && line['cache'] === 'HIT');
    const lines = mirror.accessLog().filter((line) => line.path === path);
    assert.deepEqual(
      lines.map((line) => [line.registry, line['entrance'], line.cache]),
      [
        ['registry.test', 'mitm', 'MISS'],
        ['registry.test', 'mitm', 'HIT'],
      ],
    );
    const exchange = await mirror.logged((line) => line.msg === 'exchange');
    assert.equal(exchange['url'], `https://registry.test${path}`);
    const { body } = await mirror.get('/metrics');
    assert.match(body.toString(), /entrepot_forward_tunnels \d/);
  });

  test('within a tunnel no client says who it is, whichever brought the tunnel', async () => {
    await using mirror = await start({ mitm: { enabled: true } }, { trusted_proxies: ['127.0.0.1'] });
    const ca = (await mirror.get('/ca.crt')).body.toString();
    const headers = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-host': 'elsewhere.test' };
    const { status } = await through(mirror, 'registry.test', { ca, path: '/v2/', headers });
    assert.equal(status, 200);
    const line = await mirror.logged(
      ({ msg, path, entrance }) => msg === 'request' && path === '/v2/' && entrance === 'mitm',
    );
    assert.deepEqual([line['client'], line['registry']], ['127.0.0.1', 'registry.test']);
  });

  test('looked into, a tunnel that was open before a reload is answered by what counts now', async () => {
    const transport = {
      ca_file: CA_FILE,
      dns: { hosts: { 'registry.test': '127.0.0.1' } },
      allow_private: ['registry.test'],
    };
    const registries = { 'registry.test': { upstreams: [upstream.url] } };
    const config = (forward_proxy: object, more: object = {}) => ({
      registries,
      transport,
      ...more,
      forward_proxy: { enabled: true, mitm: { enabled: true }, ...forward_proxy },
    });
    await using mirror = await startMirror(config({ allowed_hosts: ['registry.test'] }));
    const ca = (await mirror.get('/ca.crt')).body.toString();
    const { port } = new URL(mirror.url);
    const socket = await openTunnelTo({ port: Number(port) }, 'registry.test:443');
    const client = connectTls({ socket, servername: 'registry.test', ca });
    await once(client, 'secureConnect');
    async function ask(): Promise<string> {
      client.write('GET /v2/owner/app/tags/list HTTP/1.1\r\nHost: registry.test\r\n\r\n');
      let heard = '';
      while (!/"latest"|UNKNOWN|allowed_hosts/.test(heard))
        heard += String(((await once(client, 'data')) as [Buffer])[0]);
      return heard;
    }
    assert.match(await ask(), /^HTTP\/1\.1 200 [^]*"latest"/);
    const elsewhere = { 'registry.test': { upstreams: [`${upstream.url}/nowhere`] } };
    await mirror.reload(config({ allowed_hosts: ['registry.test'] }, { registries: elsewhere }));
    assert.match(await ask(), /^HTTP\/1\.1 404 /);
    await mirror.reload(config({ allowed_hosts: ['other.test'] }));
    assert.match(await ask(), /^HTTP\/1\.1 403 [^]*registry\.test is not among forward_proxy\.allowed_hosts/);
  });

  test('looked into, a tunnel of a user who was removed from the file is refused', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-users-'));
    t.after(() => rm(directory, { recursive: true }));
    const htpasswd = join(directory, 'htpasswd');
    const lineOf = (user: string): string => `${user}:${bcrypt.hashSync('secret', 4)}\n`;
    await writeFile(htpasswd, lineOf('alice') + lineOf('bob'));
    await using mirror = await start(
      { mitm: { enabled: true } },
      { access: { htpasswd, rules: [{ who: ['alice', 'bob'], may: ['proxy', 'pull'], on: ['**'] }] } },
    );
    const ca = (await mirror.get('/ca.crt')).body.toString();
    const { port } = new URL(mirror.url);
    const authorization = `Basic ${Buffer.from('alice:secret').toString('base64')}`;
    const socket = await openTunnelTo({ port: Number(port) }, 'registry.test:443', {
      headers: [`Proxy-Authorization: ${authorization}`],
    });
    const client = connectTls({ socket, servername: 'registry.test', ca });
    t.after(() => client.destroy());
    await once(client, 'secureConnect');
    async function ask(): Promise<string> {
      client.write('HEAD /v2/ HTTP/1.1\r\nHost: registry.test\r\n\r\n');
      return String(((await once(client, 'data')) as [Buffer])[0]).slice(9, 12);
    }
    assert.equal(await ask(), '200');
    await writeFile(htpasswd, lineOf('bob'));
    // The file is looked at once a second; no other client comes meanwhile.
    let status = '200';
    for (let tries = 0; status === '200' && tries < 40; tries += 1) {
      await delay(100);
      status = await ask();
    }
    assert.equal(status, '403');
  });

  test('looked into, what is no registry is asked of its real host', async () => {
    const { host } = new URL(upstream.realm);
    await using mirror = await start({
      mitm: { enabled: true },
      ports: [443, Number(new URL(upstream.realm).port)],
      allow_private: ['registry.test'],
    });
    const ca = (await mirror.get('/ca.crt')).body.toString();
    const { pathname } = new URL(upstream.realm);
    const path = `${pathname}?service=registry.test&scope=repository:owner/app:pull`;
    const answer = await through(mirror, host, { ca, path });
    assert.equal(answer.status, 200, answer.body.toString());
    assert.match(answer.body.toString(), /"token"/);
    const line = await mirror.logged(({ msg, route }) => msg === 'request' && route === 'mitm');
    assert.equal(line['upstream'], host);
  });

  test('plain, a tunnel leads to the registry itself, and nothing is known of what is in it', async () => {
    const { host, port } = new URL(upstream.url);
    await using mirror = await start({ ports: [Number(port)], allow_private: ['registry.test'] });
    const answer = await through(mirror, host, { ca: pem('ca'), path: '/v2/' });
    assert.equal(answer.status, 401, "the registry's own answer");
    const line = await mirror.logged(({ msg, route }) => msg === 'request' && route === 'tunnel');
    assert.deepEqual([line['path'], line['status']], [host, 200]);
    assert.ok(Number(line['received']) > 100 && Number(line['bytes']) > 100);
    assert.equal((await mirror.get('/ca.crt')).status, 404);
  });

  test('a request in absolute form for a registry is a pull like any other', async () => {
    await using mirror = await start({});
    const path = `http://registry.test/v2/owner/app/blobs/${blob.digest}`;
    const first = await rawRequest(mirror.host, { path });
    assert.ok(first.body.equals(blob.bytes));
    await committed(mirror);
    assert.equal((await rawRequest(mirror.host, { path })).headers['x-cache'], 'HIT');
  });

  test('a listener of its own is the only one that forwards', async () => {
    await using mirror = await start({ listen: '127.0.0.1:0' });
    const [usual, own] = mirror.app.listeners.map(({ address }) => address);
    assert.ok(usual !== undefined && own !== undefined);
    const path = 'http://registry.test/v2/';
    assert.equal((await rawRequest(usual, { path })).status, 400);
    assert.equal((await rawRequest(own, { path })).status, 200);
    assert.equal((await rawRequest(usual, { method: 'CONNECT', path: 'registry.test:443' })).status, 405);
    assert.equal((await rawRequest(own, { method: 'CONNECT', path: 'other.test:443' })).status, 403);
  });

  describe('over HTTPS', needs('curl'), () => {
    const file = (name: string): string => fileURLToPath(new URL(`../support/tls/${name}.pem`, import.meta.url));
    const tls = { cert_file: file('server'), key_file: file('server-key') };
    const secure = { address: '127.0.0.1:0', tls };

    for (const [what, forward, more] of [
      ['a listener of its own', { listen: [secure] }, {}],
      ['the listener of everything else', {}, { listen: [secure] }],
    ] as const) {
      for (const mitm of [false, true]) {
        test(`${what} opens tunnels${mitm ? ' that are looked into' : ''}`, async () => {
          const { host } = new URL(upstream.url);
          await using mirror = await start(
            {
              ...forward,
              ports: [Number(new URL(upstream.url).port)],
              allow_private: ['registry.test'],
              mitm: { enabled: mitm },
            },
            { ...more, registries: { [host]: { upstreams: [upstream.url] } } },
          );
          const listener = mirror.app.listeners.at(-1);
          assert.equal(listener?.protocol, 'https');
          const proxy = ['--proxy', `https://${listener.address}`, '--proxy-cacert', CA_FILE];
          const ca = mitm ? join(mirror.dir, 'ca', 'ca.crt') : CA_FILE;
          const status = ['-o', '/dev/null', '-w', '%{http_code} %{size_download}'];
          const path = `v2/owner/app/blobs/${blob.digest}`;
          const { stdout, stderr } = await run([
            'curl',
            '-sS',
            ...proxy,
            '--cacert',
            ca,
            ...status,
            `https://${host}/${path}`,
          ]);
          // Who is not looked into is asked for a token by the registry itself.
          assert.equal(stdout.split(' ')[0], mitm ? '200' : '401', stderr);
          if (mitm) assert.equal(stdout, `200 ${blob.bytes.length}`);
          const refused = await run(['curl', '-sS', ...proxy, 'https://other.test/']);
          assert.match(refused.stderr, /403/);
          const plain = await run(['curl', '-sS', ...proxy, ...status, `http://registry.test/v2/`]);
          assert.match(plain.stdout, /^403 /, plain.stderr);
        });
      }
    }

    test('a client that has said all still hears the answer', async () => {
      await using target = await startTcpTarget((socket) => {
        socket.resume().once('end', () => socket.end('the answer'));
      });
      await using mirror = await start({ listen: [secure], ports: [target.port], allow_private: ['registry.test'] });
      const client = connectTls({
        port: mirror.app.listeners.at(-1)?.port ?? 0,
        ca: pem('ca'),
        servername: 'registry.test',
      });
      const authority = `registry.test:${target.port}`;
      client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
      const [established] = (await once(client, 'data')) as [Buffer];
      assert.match(String(established), /^HTTP\/1\.1 200 /);
      client.end('the question');
      const heard: string[] = [];
      client.on('data', (chunk) => heard.push(String(chunk)));
      await once(client, 'close');
      assert.equal(heard.join(''), 'the answer');
    });

    test('one of several is told in /help, and the certificate of each is known', async () => {
      await using mirror = await start({ listen: [{ ...secure, address: '127.0.0.1:0' }, '127.0.0.1:0'] });
      assert.deepEqual(
        mirror.app.listeners.map(({ protocol }) => protocol),
        ['http', 'https', 'http'],
      );
      assert.match((await mirror.get('/help')).body.toString(), /HTTPS_PROXY=https:\/\//);
      for (const { address, protocol } of mirror.app.listeners.slice(1)) {
        const asked = ['curl', '-sS', '--proxy', `${protocol}://${address}`, '--proxy-cacert', CA_FILE];
        assert.match((await run([...asked, 'https://other.test/'])).stderr, /403/);
      }
    });
  });

  test('the password is read when it is needed', async () => {
    process.env['FORWARD_TEST_PASSWORD'] = 'first';
    await using mirror = await start({ user: 'ship', password: { env: 'FORWARD_TEST_PASSWORD' } });
    const ask = (password: string): Promise<number> => {
      const basic = `Basic ${Buffer.from(`ship:${password}`).toString('base64')}`;
      const headers = { 'proxy-authorization': basic };
      return rawRequest(mirror.host, { path: 'http://registry.test/v2/', headers }).then(({ status }) => status);
    };
    assert.deepEqual([await ask('first'), await ask('second')], [200, 407]);
    process.env['FORWARD_TEST_PASSWORD'] = 'second';
    assert.deepEqual([await ask('first'), await ask('second')], [407, 200]);
    delete process.env['FORWARD_TEST_PASSWORD'];
    assert.ok(!JSON.stringify(mirror.log).includes('c2hpcD'));
  });

  test('an authority that is not fit stops the start, and is named', async () => {
    const mitm = {
      enabled: true,
      ca_cert_file: new URL('../support/tls/server.pem', import.meta.url).pathname,
      ca_key_file: new URL('../support/tls/server-key.pem', import.meta.url).pathname,
    };
    await assert.rejects(start({ mitm }), /forward_proxy\.mitm: .*server\.pem is no certificate authority/);
  });

  test('/help tells how to use and to trust it', async () => {
    await using mirror = await start({ mitm: { enabled: true }, user: 'ship', password: 's3cret' });
    const page = (await mirror.get('/help', { accept: 'text/html' })).body.toString();
    assert.ok(page.includes(`HTTPS_PROXY=http://USER:PASSWORD@${mirror.host}`), page);
    assert.ok(page.includes(`${mirror.url}/ca.crt`));
    assert.ok(!page.includes('s3cret'));
    await using plain = await startMirror({});
    assert.ok(!(await plain.get('/help', { accept: 'text/html' })).body.toString().includes('HTTPS_PROXY'));
  });

  test('the authority that was made lies in the cache directory, for its owner alone', async () => {
    await using mirror = await start({ mitm: { enabled: true } });
    assert.equal(statSync(`${mirror.dir}/ca/ca.key`).mode & 0o777, 0o600);
  });
});
