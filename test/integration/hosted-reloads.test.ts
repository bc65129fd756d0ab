import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startEntrepot } from '../support/app.ts';
import { type Content, content, noise } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { pushBlob, pushManifest, refusalOf, send } from '../support/push.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type SmallImage, smallImage } from '../support/small-image.ts';

// Pushes beside reloads that add and remove what they push to, and uploads over a stop of the server.

const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const alice = basic('alice');

let workspace: Workspace;
let access: Readonly<Record<string, unknown>>;
before(async () => {
  workspace = await Workspace.open();
  const htpasswd = await workspace.file('htpasswd', htpasswdOf('alice'));
  access = { htpasswd, rules: [{ who: 'alice', may: ['pull', 'push', 'delete'], on: ['**'] }] };
});
after(() => workspace.close());

test('reloads that add and remove hosted repositories lose nothing, and fail no push to the others', async () => {
  // Where `lib` hosts nothing, its upstream is asked, which there is none.
  const lib = (...hosted: readonly string[]) => ({ upstreams: ['http://127.0.0.1:1'], hosted });
  const small = { registries: { apps: { hosted: true }, lib: lib('stays/**') }, access };
  const large = {
    registries: { apps: { hosted: true }, lib: lib('stays/**', 'goes/**'), extra: { hosted: true } },
    access,
  };
  await using mirror = await startMirror(large);
  const reloads = 20;
  const over = new AbortController();
  const pushed: { readonly repository: string; readonly image: SmallImage }[] = [];
  let refused = 0;

  /** Pushes images one after the other. @param comesAndGoes whether its repository does */
  async function push(repository: string, comesAndGoes: boolean): Promise<void> {
    for (let at = 0; !over.signal.aborted; at += 1) {
      const image = smallImage(`${repository} ${at}`, [content(LAYER, noise(`${repository} ${at}`, 60_000))]);
      const to = { host: mirror.host, repository, headers: alice };
      const answers = [];
      for (const blob of [...image.layers, image.config]) answers.push(await pushBlob(to, blob));
      answers.push(await pushManifest(to, image.manifest, `v${at}`));
      const failed = answers.find(({ status }) => status !== 201);
      if (failed === undefined) {
        pushed.push({ repository, image });
        continue;
      }
      const { status, code, message } = refusalOf(failed);
      assert.ok(comesAndGoes, `${repository}: ${status} ${code} ${message}`);
      assert.ok(status >= 400 && status < 500, `${repository}: ${status} ${code} ${message}`);
      refused += 1;
    }
  }

  const pushers = [
    push('apps/web', false),
    push('apps/api', false),
    push('lib/stays/a', false),
    push('lib/goes/a', true),
    push('extra/a', true),
  ];
  const pushing = Promise.all(pushers);
  try {
    for (let at = 0; at < reloads; at += 1) {
      const { outcome, problems } = await mirror.reload(at % 2 === 0 ? small : large);
      assert.equal(outcome, 'changed', problems.join());
      // Each configuration sees pushes to every repository that it hosts, and refusals of the others.
      const [done, not] = [pushed.length, refused];
      await eventually(() => assert.ok(pushed.length >= done + 5 && (at % 2 === 1 || refused > not)), {
        within: 30_000,
      });
    }
  } finally {
    over.abort();
    await pushing;
  }
  assert.ok(pushed.some(({ repository }) => repository.startsWith('extra/')));
  // The last one hosts all: whatever was answered 201 is there, also where it was not hosted for a while.
  for (const { repository, image } of pushed) {
    for (const [path, { bytes }] of [
      [`manifests/${image.manifest.digest}`, image.manifest],
      ...[image.config, ...image.layers].map((blob) => [`blobs/${blob.digest}`, blob] as const),
    ] as const) {
      const { status, body } = await mirror.get(`/v2/${repository}/${path}`, alice);
      assert.ok(status === 200 && body.equals(bytes), `${repository}/${path}: ${status}`);
    }
  }
});

describe('a stop of the server while an upload runs', () => {
  const layer: Content = content(LAYER, noise('stopped', 2_000_000));
  const config = () => ({ registries: { apps: { hosted: true } }, access });

  async function begin(host: string): Promise<string> {
    const begun = await send(host, 'POST', '/v2/apps/web/blobs/uploads/', { headers: alice });
    assert.equal(begun.status, 202);
    return begun.headers['location'] ?? '';
  }

  /** Begins a PATCH, and sends the first bytes of its body. */
  function sendSome(host: string, location: string, bytes: Buffer) {
    const { hostname, port } = new URL(`http://${host}`);
    const socket = connect({ host: hostname, port: Number(port) });
    const head = [
      `PATCH ${location} HTTP/1.1`,
      `host: ${host}`,
      'connection: close',
      `authorization: ${alice['authorization']}`,
      `content-length: ${layer.size}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    socket.write(bytes);
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.on('error', () => undefined);
    const ended = new Promise<string>((resolve) =>
      socket.on('close', () => resolve(Buffer.concat(received).toString('latin1'))),
    );
    return { socket, ended };
  }

  /** Waits until a request is at work on an upload, which others hear as 409. */
  async function becomesBusy(host: string, location: string): Promise<void> {
    for (let turn = 0; turn < 100; turn += 1) {
      const { status } = await rawRequest(host, { path: location, headers: alice });
      if (status === 409) return;
      assert.equal(status, 204);
    }
    assert.fail('no request came to work on the upload');
  }

  test('that comes to its end meanwhile: it is answered, and its bytes are there afterwards', async () => {
    const first = await startEntrepot(workspace, config());
    const location = await begin(first.host);
    const half = layer.size / 2;
    const { socket, ended } = sendSome(first.host, location, layer.bytes.subarray(0, half));
    await becomesBusy(first.host, location);
    const stopped = first.stop();
    await eventually(() => assert.ok(first.logs().some(({ msg }) => msg.startsWith('stopping'))));
    socket.write(layer.bytes.subarray(half));
    assert.match(await ended, /^HTTP\/1\.1 202 /);
    assert.equal(await stopped, 0);
    const second = await startEntrepot(workspace, config(), { dir: first.dir });
    const asked = await rawRequest(second.host, { path: location, headers: alice });
    assert.deepEqual([asked.status, asked.headers['range']], [204, `0-${layer.size - 1}`]);
    const path = `${location}?digest=${layer.digest}`;
    assert.equal((await send(second.host, 'PUT', path, { headers: alice })).status, 201);
    const pulled = await rawRequest(second.host, { path: `/v2/apps/web/blobs/${layer.digest}`, headers: alice });
    assert.ok(pulled.body.equals(layer.bytes));
    assert.equal(await second.stop(), 0);
  });

  test('that does not: it goes on after the restart, where GET says', async () => {
    const first = await startEntrepot(workspace, { ...config(), timeouts: { shutdown_timeout: '1s' } });
    const location = await begin(first.host);
    const { ended } = sendSome(first.host, location, layer.bytes.subarray(0, 1_500_000));
    await becomesBusy(first.host, location);
    assert.equal(await first.stop(), 0);
    await ended;
    const second = await startEntrepot(workspace, config(), { dir: first.dir });
    const asked = await rawRequest(second.host, { path: location, headers: alice });
    assert.equal(asked.status, 204);
    const size = Number(asked.headers['range']?.split('-')[1]) + 1;
    assert.ok(size > 1 && size <= 1_500_000, `${size} bytes are there`);
    const path = `${location}?digest=${layer.digest}`;
    const answer = await send(second.host, 'PUT', path, { headers: alice, body: layer.bytes.subarray(size) });
    assert.equal(answer.status, 201, answer.body.toString());
    const pulled = await rawRequest(second.host, { path: `/v2/apps/web/blobs/${layer.digest}`, headers: alice });
    assert.ok(pulled.body.equals(layer.bytes));
    assert.equal(await second.stop(), 0);
  });
});
