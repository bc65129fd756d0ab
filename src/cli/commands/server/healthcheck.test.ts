import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createNetServer, type ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { healthcheck } from './healthcheck.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-health-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const tls = (name: string): Buffer => readFileSync(new URL(`../../../../test/support/tls/${name}`, import.meta.url));

/** A server that notes what it was asked, as `METHOD URL`. */
async function serve(
  listener: RequestListener,
  { at = { host: '127.0.0.1', port: 0 }, secure = false }: { at?: ListenOptions; secure?: boolean } = {},
) {
  const asked: string[] = [];
  const note: RequestListener = (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    listener(request, response);
  };
  const server: Server = secure
    ? createSecureServer({ key: tls('server-key.pem'), cert: tls('server.pem') }, note)
    : createServer(note);
  await once(server.listen(at), 'listening');
  const address = server.address() as AddressInfo | string;
  return {
    asked,
    port: typeof address === 'string' ? 0 : address.port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function probe(options: { readonly url?: string; readonly timeout?: string; readonly config?: string }) {
  const { config, ...rest } = options;
  const file = join(directory, 'entrepot.yaml');
  writeFileSync(file, config ?? '{}');
  const { output, said } = captureOutput();
  return { code: await healthcheck({ flags: { config: file }, ...rest }, output), ...said };
}

const ok: RequestListener = (_, response) => void response.end('ok');

describe('entrepot healthcheck', () => {
  test('asks the first listener that answers for itself, and prints one line', async () => {
    await using server = await serve(ok);
    const { port } = server;
    const files = 'tls: {cert_file: /nowhere.pem, key_file: /nowhere.pem}';
    for (const listen of [
      `127.0.0.1:${port}`,
      `:${port}`,
      `'0.0.0.0:${port}'`,
      `[{address: '127.0.0.1:0'}, {address: ':1', redirect_to_https: true}, {address: ':2', ${files}}, ':${port}']`,
    ]) {
      const { code, out, err } = await probe({ config: `listen: ${listen}\n` });
      assert.deepEqual([code, out, err], [0, `healthy: http://127.0.0.1:${port}/healthz answered 200\n`, ''], listen);
    }
    assert.deepEqual(server.asked, Array(4).fill('GET /healthz'));
  });

  test('asks a listener with TLS whatever its certificate names, and one on a socket', async () => {
    await using secure = await serve(ok, { secure: true });
    const files = 'tls: {cert_file: /nowhere.pem, key_file: /nowhere.pem}';
    const listen = `listen: [{address: '127.0.0.1:${secure.port}', ${files}}]\n`;
    assert.equal(
      (await probe({ config: listen })).out,
      `healthy: https://127.0.0.1:${secure.port}/healthz answered 200\n`,
    );
    assert.equal((await probe({ url: `https://localhost:${secure.port}` })).code, 0);

    const path = join(directory, 'socket');
    await using socket = await serve(ok, { at: { path } });
    assert.equal(
      (await probe({ config: `listen: unix:${path}\n` })).out,
      `healthy: unix:${path} /healthz answered 200\n`,
    );
    assert.equal((await probe({ url: `unix:${path}` })).code, 0);
    assert.deepEqual(socket.asked, ['GET /healthz', 'GET /healthz']);
  });

  test('asks what --url names, with its own path', async () => {
    await using server = await serve((request, response) => {
      response.statusCode = request.url === '/readyz?verbose=1' ? 503 : 200;
      response.end();
    });
    const origin = `http://127.0.0.1:${server.port}`;
    assert.deepEqual(await probe({ url: `${origin}/readyz?verbose=1` }), {
      code: 1,
      out: '',
      err: `unhealthy: ${origin}/readyz answered 503\n`,
    });
    assert.equal((await probe({ url: origin })).out, `healthy: ${origin}/healthz answered 200\n`);
  });

  test('a redirect is no health', async () => {
    await using server = await serve((_, response) => void response.writeHead(308, { location: '/' }).end());
    assert.match((await probe({ url: `http://127.0.0.1:${server.port}` })).err, /^unhealthy: .* answered 308\n$/);
  });

  test('gives up after its time, on a server that takes the connection and says nothing', async () => {
    await using server = await serve(() => undefined);
    const { code, err } = await probe({ url: `http://127.0.0.1:${server.port}`, timeout: '50ms' });
    assert.deepEqual(
      [code, err],
      [1, `unhealthy: http://127.0.0.1:${server.port}/healthz did not answer within 50ms\n`],
    );
  });

  test('is not misled by another program on the port', async () => {
    for (const [said, message] of [
      ['220 mail.example.com ESMTP\r\n'.repeat(50), 'the answer is not HTTP'],
      ['SSH-2.0-x\r\n', 'the connection was closed without an answer'],
    ] as const) {
      const server = createNetServer((socket) => void socket.resume().end(said));
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const { port } = server.address() as AddressInfo;
      const { code, err } = await probe({ url: `http://127.0.0.1:${port}` });
      assert.deepEqual([code, err], [1, `unhealthy: http://127.0.0.1:${port}/healthz cannot be asked: ${message}\n`]);
      server.close();
      await once(server, 'close');
    }
  });

  test('says that the server is not there', async () => {
    const server = await serve(ok);
    await server[Symbol.asyncDispose]();
    const { code, err } = await probe({ url: `http://127.0.0.1:${server.port}` });
    assert.equal(code, 1);
    assert.match(err, /^unhealthy: http:\/\/127\.0\.0\.1:\d+\/healthz is not there \(ECONNREFUSED\): [^\n]+\n$/);
    assert.match((await probe({ url: `unix:${directory}/none` })).err, /is not there \(ENOENT\)/);
  });

  test('a running server stays healthy while its file has a problem', async () => {
    await using server = await serve(ok);
    const config = `listen: 127.0.0.1:${server.port}\ncache: {max_sise: 5GB}\nregistries: {apps: {}}\n`;
    assert.equal((await probe({ config })).code, 0);
  });

  test('says what is wrong where it finds no address, in one line', async () => {
    const rows: readonly (readonly [config: string, message: RegExp])[] = [
      ['listen: [nonsense]\n', /entrepot\.yaml:1:10 {2}listen\[0\]: found "nonsense".*--url\n$/],
      ['listen: {{\n', /entrepot\.yaml:\d.*--url\n$/],
      ["listen: '127.0.0.1:0'\n", /names no address to ask.*--url\n$/],
    ];
    for (const [config, message] of rows) {
      const { code, out, err } = await probe({ config });
      assert.deepEqual([code, out], [1, ''], config);
      assert.match(err, message);
      assert.match(err, /^unhealthy: [^\n]+\n$/);
    }
  });

  test('refuses a wrong time and a wrong address', async () => {
    assert.deepEqual(await probe({ timeout: '3' }), {
      code: 2,
      out: '',
      err: 'error: --timeout 3 is not a length of time; expected one such as 3s or 500ms\n',
    });
    for (const url of ['5000', 'ftp://a', 'unix:relative']) {
      const { code, err } = await probe({ url });
      assert.equal(code, 2);
      assert.match(err, /is not an address; expected http:/);
    }
  });
});
