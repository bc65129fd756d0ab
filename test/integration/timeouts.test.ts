import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { content, noise } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Time limits and bounds towards clients as they are configured, in Go's durations, over real sockets: each is far from its
// default, so that what ends a connection is the one under test.

const REPOSITORY = 'team/app';
const LONG = '1h';

let upstream: ScriptedUpstream;
before(async () => {
  upstream = await startScriptedUpstream();
});
after(async () => {
  upstream.heal();
  await upstream.stop();
});

/** What comes on a connection until the other side ends it. */
function untilClosed(host: string, sent: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const [name = '', port] = host.split(':');
    const socket: Socket = connect({ host: name, port: Number(port) });
    let received = '';
    socket.on('data', (piece) => (received += piece.toString('latin1')));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') reject(error);
    });
    socket.on('close', () => resolve(received));
    socket.write(sent);
  });
}

describe('timeouts', { timeout: 60_000 }, () => {
  test('read_header_timeout: a head that does not end', async () => {
    await using mirror = await startMirror({ timeouts: { read_header_timeout: '0.15s' } });
    assert.match(await untilClosed(mirror.host, 'GET /v2/ HTTP/1.1\r\nHost: m\r\n'), /^HTTP\/1\.1 408 /);
  });

  test('read_timeout: a head, or a body, that takes too long as a whole', async () => {
    const { port } = new URL(upstream.url);
    await using mirror = await startMirror({
      timeouts: { read_timeout: '150ms', read_header_timeout: LONG },
      forward_proxy: {
        enabled: true,
        allowed_hosts: ['127.0.0.1'],
        ports: [Number(port)],
        allow_private: ['127.0.0.1'],
      },
    });
    assert.match(await untilClosed(mirror.host, 'GET /v2/ HTTP/1.1\r\nHost: m\r\n'), /^HTTP\/1\.1 408 /);
    const head = `POST ${upstream.url}/x HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\n`;
    const began = performance.now();
    await untilClosed(mirror.host, `${head}12345`);
    assert.ok(performance.now() - began < 20_000, 'long before any other limit');
  });

  test('write_timeout: an answer that takes too long as a whole', async () => {
    const blob = content('application/octet-stream', noise('write timeout', 200_000));
    upstream.addBlob(REPOSITORY, blob);
    const gate = new Gate();
    upstream.fault(blob.digest, { stallAt: 100_000, stallGate: gate });
    await using mirror = await startMirror({
      registries: { up: { upstreams: [upstream.url] } },
      timeouts: { write_timeout: '1500ms' },
    });
    const path = `/up/v2/${REPOSITORY}/blobs/${blob.digest}`;
    const received = await untilClosed(mirror.host, `GET ${path} HTTP/1.1\r\nHost: m\r\n\r\n`);
    assert.match(received, /^HTTP\/1\.1 200 /);
    assert.ok(received.length < 200_000);
    gate.open();
  });

  test('idle_timeout: a connection on which nothing more is asked', async () => {
    await using mirror = await startMirror({ timeouts: { idle_timeout: '100ms', client_stall_timeout: LONG } });
    const received = await untilClosed(mirror.host, 'GET /healthz HTTP/1.1\r\nHost: m\r\n\r\n');
    assert.match(received, /^HTTP\/1\.1 200 [^]*ok$/);
  });

  test('shutdown_timeout: what does not finish is cut, and counted', async () => {
    const blob = content('application/octet-stream', noise('shutdown timeout', 200_000));
    upstream.addBlob(REPOSITORY, blob);
    const gate = new Gate();
    upstream.fault(blob.digest, { stallAt: 100_000, stallGate: gate });
    await using mirror = await startMirror({
      registries: { up: { upstreams: [upstream.url] } },
      timeouts: { shutdown_timeout: '100ms' },
    });
    const path = `/up/v2/${REPOSITORY}/blobs/${blob.digest}`;
    const pull = untilClosed(mirror.host, `GET ${path} HTTP/1.1\r\nHost: m\r\n\r\n`);
    await gate.arrived();
    assert.deepEqual(await mirror.app.stop(), { cut: 1 });
    assert.ok((await pull).length < 200_000);
    gate.open();
  });

  test('max_header_bytes: a head that is larger', async () => {
    await using mirror = await startMirror({ timeouts: { max_header_bytes: 2048 } });
    const headOf = (length: number) =>
      `GET /healthz HTTP/1.1\r\nHost: m\r\nConnection: close\r\nX-Long: ${'a'.repeat(length)}\r\n\r\n`;
    assert.match(await untilClosed(mirror.host, headOf(1800)), /^HTTP\/1\.1 200 /);
    assert.match(await untilClosed(mirror.host, headOf(2200)), /^HTTP\/1\.1 431 /);
  });
});
