import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { buildImage, type Content, content, descriptor, jsonContent, platformOf } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Ways by which a client without a login could come to private content, one by one.

const image = buildImage({ seed: 'doors' });
const { manifest, layers } = platformOf(image, 'amd64');
const layer = layers[1] as Content;
const CREDENTIALS = { username: 'server', password: 'canary-password' };
const specOf = ({ url, realm }: ScriptedUpstream, more: object = {}) => ({
  hub: { upstreams: [{ url, credentials: CREDENTIALS, token_realms: [new URL(realm).host] }], ...more },
});
const TAILS = [
  'manifests/latest',
  `manifests/${image.index.digest}`,
  `blobs/${layer.digest}`,
  'tags/list',
  `referrers/${image.index.digest}`,
];

describe('a page to log in, sent by a gateway with status 200, makes nothing public', () => {
  const KEY = 'x-access-key';
  const pages: Readonly<Record<string, string>> = {
    'text/html': '<!doctype html><title>Log in</title>',
    'text/plain': 'Please log in.',
    'application/json': '{"login":"https://login.example.com"}',
    'application/problem+json': '{"title":"Log in","status":401}',
  };

  function sendPage(request: IncomingMessage, response: ServerResponse, type: string): void {
    const bytes = Buffer.from(pages[type] ?? '');
    const { method, headers } = request;
    const isPart = method === 'GET' && headers.range !== undefined;
    response.writeHead(isPart ? 206 : 200, {
      'content-type': type,
      'content-length': isPart ? 1 : bytes.length,
      ...(isPart && { 'content-range': `bytes 0-0/${bytes.length}` }),
    });
    response.end(method === 'HEAD' ? undefined : isPart ? bytes.subarray(0, 1) : bytes);
  }

  /** Lets clients with the key through to a registry, and sends others to the page. */
  async function startGateway(t: TestContext, type: string, isRedirected: boolean) {
    const registry = await startScriptedUpstream();
    t.after(() => registry.stop());
    const gateway = createServer((request, response) => {
      if (request.headers[KEY] === 'canary-key')
        response.writeHead(307, { location: `${registry.url}${request.url}` }).end();
      else if (isRedirected && request.url !== '/login') response.writeHead(302, { location: '/login' }).end();
      else sendPage(request, response, type);
    });
    await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
    t.after(() => gateway.close());
    return { registry, url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` };
  }

  for (const type of Object.keys(pages)) {
    for (const isRedirected of [false, true]) {
      test(`${type}${isRedirected ? ', after a redirect' : ''}`, async (t) => {
        const { registry, url } = await startGateway(t, type, isRedirected);
        const registries = { hub: { upstreams: [{ url, headers: { [KEY]: 'canary-key' } }] } };
        await using mirror = await startMirror({ listen: '0.0.0.0:0', registries });
        // A repository for each question: what one decides is remembered.
        for (const [at, tail] of TAILS.entries()) {
          registry.add(image, `acme/app-${at}`, ['latest']);
          for (const method of ['head', 'get'] as const) {
            const { status } = await mirror[method](`/v2/hub/acme/app-${at}/${tail}`);
            assert.equal(status, 403, `${method} ${tail}`);
          }
        }
      });
    }
  }
});

describe('no header and no form of the address opens a private repository', () => {
  for (const delivery of ['stream', 'redirect'] as const) {
    test(`delivery: ${delivery}`, async (t) => {
      const upstream = await startScriptedUpstream({
        personality: 'dockerHub',
        credentials: CREDENTIALS,
        anonymous: true,
      });
      t.after(() => upstream.stop());
      upstream.add(image, 'acme/app', ['latest']);
      upstream.setVisibility('acme/app', 'refused');
      await using mirror = await startMirror({
        listen: '0.0.0.0:0',
        registries: specOf(upstream, { delivery }),
        domain_suffix: 'mirror.test',
      });
      const headers: readonly Record<string, string>[] = [
        {},
        { range: 'bytes=0-0' },
        { 'if-none-match': `"${image.index.digest}", "${layer.digest}"` },
        { authorization: 'Basic c2VydmVyOndyb25n' },
        { authorization: 'Bearer canary-token' },
        { via: '1.1 hub.test', 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'localhost' },
      ];
      for (const tail of TAILS) {
        for (const more of headers) {
          for (const [path, host] of [
            [`/v2/hub/acme/app/${tail}`, undefined],
            [`/v2/acme/app/${tail}?ns=hub`, undefined],
            [`/hub/v2/acme/app/${tail}`, undefined],
            [`/v2/acme/app/${tail}`, 'hub.mirror.test'],
          ] as const) {
            const { status, headers: sent } = await mirror.get(path, host === undefined ? more : { ...more, host });
            const shown = [status, sent['location'], sent['etag'], sent['docker-content-digest']];
            assert.deepEqual(shown, [403, undefined, undefined, undefined], `${path} ${JSON.stringify(more)}`);
          }
        }
      }
    });
  }
});

test('a public repository does not show what its manifests name of a private one', async (t) => {
  const upstream = await startScriptedUpstream({ personality: 'dockerHub', credentials: CREDENTIALS, anonymous: true });
  t.after(() => upstream.stop());
  upstream.add(image, 'acme/closed', ['latest']);
  upstream.setVisibility('acme/closed', 'refused');
  // Registries take a manifest with such layers, and do not look whether the repository has them.
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const config = content('application/vnd.oci.empty.v1+json', Buffer.from('{}'));
  const foreign = [manifest, layer].map((each) => ({
    ...descriptor(each),
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    urls: ['https://elsewhere.example.com/layer'],
  }));
  const bait = jsonContent(mediaType, { schemaVersion: 2, mediaType, config: descriptor(config), layers: foreign });
  upstream.library.addManifest('other/bait', bait);
  upstream.library.tag('other/bait', { tag: 'latest', digest: bait.digest });

  const rules = [
    { who: 'anonymous', may: ['pull'], on: ['**'] },
    { who: 'anonymous', may: ['pull'], on: ['hub/acme/**'], private: true },
  ];
  await using mirror = await startMirror({ registries: specOf(upstream), access: { rules } });
  const closed = [`manifests/${manifest.digest}`, `blobs/${layer.digest}`];
  for (const tail of closed) assert.equal((await mirror.get(`/v2/hub/acme/closed/${tail}`)).status, 200);
  await mirror.reload({ registries: specOf(upstream), access: { rules: rules.slice(0, 1) } });
  for (const tail of closed) assert.equal((await mirror.get(`/v2/hub/acme/closed/${tail}`)).status, 403);
  assert.equal((await mirror.get('/v2/hub/other/bait/manifests/latest')).status, 200);
  for (const { digest } of [manifest, layer]) {
    for (const method of ['get', 'head'] as const) {
      for (const kind of ['blobs', 'manifests']) {
        // The same as for a digest that no repository has: the client learns nothing of the private one.
        const none = `sha256:${'0'.repeat(64)}`;
        const [shown, missing] = await Promise.all(
          [digest, none].map((each) => mirror[method](`/v2/hub/other/bait/${kind}/${each}`)),
        );
        assert.deepEqual([shown?.status, missing?.status], [404, 404], `${method} ${kind}`);
        const told = (answer: typeof shown): string =>
          JSON.stringify([
            Object.keys(answer?.headers ?? {}).toSorted(),
            answer?.headers['x-cache'],
            answer?.body.toString(),
          ]);
        assert.equal(told(shown).replaceAll(digest, none), told(missing), `${method} ${kind}`);
      }
    }
  }
  upstream.addBlob('other/bait', layer);
  assert.equal((await mirror.get(`/v2/hub/other/bait/blobs/${layer.digest}`)).status, 200);
});

test('what a credential fetched stays private when the credential is removed', async (t) => {
  const upstream = await startScriptedUpstream({ personality: 'dockerHub', credentials: CREDENTIALS, anonymous: true });
  t.after(() => upstream.stop());
  for (const name of ['acme/closed', 'acme/open']) upstream.add(image, name, ['latest']);
  upstream.setVisibility('acme/closed', 'refused');
  const rule = { who: 'anonymous', may: ['pull'], on: ['**'] };
  const access = { rules: [{ ...rule, private: true }] };
  await using mirror = await startMirror({ registries: specOf(upstream), access });
  const readAll = async (name: string): Promise<number[]> => {
    const statuses: number[] = [];
    for (const tail of TAILS.slice(0, 3)) statuses.push((await mirror.get(`/v2/hub/${name}/${tail}`)).status);
    return statuses;
  };
  for (const name of ['acme/closed', 'acme/open']) assert.deepEqual(await readAll(name), [200, 200, 200]);
  const { url, realm } = upstream;
  const upstreams = [{ url, token_realms: [new URL(realm).host] }];
  await mirror.reload({ registries: { hub: { upstreams } }, access: { rules: [rule] } });
  assert.deepEqual(await readAll('acme/closed'), [403, 403, 403]);
  assert.deepEqual(await readAll('acme/open'), [200, 200, 200]);
});
