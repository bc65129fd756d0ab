import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type RawResponse, rawRequest } from '../support/raw-request.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { redirect, startSite } from '../support/site.ts';

// Mirrors that have each other, or themselves, as upstream. Each starts without upstreams, so that the others know its port.

const image = buildImage({ seed: 'loops' });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[0] as Content;

const READS = [
  '/v2/o/i/tags/list',
  '/v2/_catalog',
  `/v2/o/i/referrers/${layer.digest}`,
  '/v2/o/i/manifests/t',
  `/v2/o/i/manifests/${image.index.digest}`,
  `/v2/o/i/blobs/${layer.digest}`,
];

function registryOf(...upstreams: readonly string[]): Readonly<Record<string, unknown>> {
  return { known_registries: false, default_registry: 'r', registries: { r: { upstreams } } };
}

/** Starts mirrors, and then gives each its configuration. The stack stops them. */
async function startMirrors<const Names extends readonly string[]>(
  stack: AsyncDisposableStack,
  names: Names,
  configOf: (mirrors: readonly Mirror[], at: number) => Readonly<Record<string, unknown>>,
): Promise<{ readonly [K in keyof Names]: Mirror }> {
  const mirrors: Mirror[] = [];
  for (const _ of names) mirrors.push(stack.use(await startMirror()));
  for (const [at, mirror] of mirrors.entries()) {
    assert.equal((await mirror.reload(configOf(mirrors, at))).outcome, 'changed');
  }
  return mirrors as unknown as { readonly [K in keyof Names]: Mirror };
}

/** Each has the next one as its only upstream, and the last one the first. */
function inACircle(mirrors: readonly Mirror[], at: number): Readonly<Record<string, unknown>> {
  return registryOf((mirrors[(at + 1) % mirrors.length] as Mirror).url);
}

function assertLoop(answer: RawResponse, what: string): void {
  assert.equal(answer.status, 508, `${what}: ${answer.body.toString()}`);
  assert.equal(answer.headers['cache-control'], 'no-store', what);
  assert.equal(answer.headers['retry-after'], undefined, what);
  assert.match(answer.body.toString(), /"LOOP_DETECTED"/, what);
}

/** Nothing is held against an upstream that answers 508, and no request of it is left. */
async function assertUnharmed(mirrors: readonly Mirror[]): Promise<void> {
  for (const mirror of mirrors) {
    const { upstreams = [], requests } = await mirror.app.status();
    assert.deepEqual(
      upstreams.map(({ state }) => state).filter((state) => state !== 'closed'),
      [],
    );
    assert.deepEqual([requests?.inflight, requests?.waiting], [0, 0]);
  }
}

describe('mirrors in a circle', () => {
  for (const [names, circle] of [
    [['a'], 'itself'],
    [['a', 'b'], 'one another'],
    [['a', 'b', 'c'], 'one another'],
  ] as const) {
    test(`${names.length} with ${circle} as upstream: each read is 508 after one round`, async () => {
      await using stack = new AsyncDisposableStack();
      const mirrors = await startMirrors(stack, names, inACircle);
      const [first] = mirrors;
      for (const path of READS) {
        for (const method of ['GET', 'HEAD'] as const) {
          if (method === 'HEAD' && !/manifests|blobs/.test(path)) continue;
          const before = mirrors.map((mirror) => mirror.accessLog().length);
          const answer = await rawRequest(first.host, { method, path });
          assert.equal(answer.status, 508, path);
          if (method === 'GET') assertLoop(answer, path);
          const made = mirrors.map((mirror, at) => mirror.accessLog().length - (before[at] as number));
          // The first mirror meets the request twice for each time that it is sent on, the others once.
          const rounds = made.reduce((sum, each) => sum + each, 0);
          assert.ok(rounds <= names.length + 1, `${method} ${path}: ${made.join(' + ')} requests`);
        }
      }
      const answer = await first.get('/v2/o/i/manifests/t');
      assert.match(answer.body.toString(), /Remove 127\.0\.0\.1:\d+ from the upstreams of this server/);
      await assertUnharmed(mirrors);
      const warnings = first.log.filter(({ msg }) => /508 Loop Detected/.test(JSON.stringify(msg)));
      assert.equal(warnings.length, 1, 'one warning for the operator');
    });
  }

  test('two clients that ask two mirrors for the same at the same time do not make them wait for each other', async () => {
    await using stack = new AsyncDisposableStack();
    const mirrors = await startMirrors(stack, ['a', 'b', 'c'], inACircle);
    for (const path of READS) {
      const asking = mirrors.flatMap((mirror) => [mirror, mirror]);
      const answers = await Promise.all(asking.map((mirror) => rawRequest(mirror.host, { path, timeout: 10_000 })));
      for (const answer of answers) assertLoop(answer, path);
    }
    await assertUnharmed(mirrors);
  });

  test('with a registry behind one of them, the circle does no harm', async () => {
    await using stack = new AsyncDisposableStack();
    await using upstream = await startScriptedUpstream();
    upstream.add(image, 'o/i', ['t']);
    const mirrors = await startMirrors(stack, ['a', 'b'], (all, at) =>
      registryOf((all[1 - at] as Mirror).url, upstream.url),
    );
    const contents = [image.index, amd64.manifest, amd64.config, ...amd64.layers];
    const paths = ['/v2/o/i/manifests/t', ...contents.map(({ digest, mediaType }) => pathOf(digest, mediaType))];
    for (const [at, path] of paths.entries()) {
      const expected = at === 0 ? image.index : (contents[at - 1] as Content);
      const answers = await Promise.all(mirrors.map(({ host }) => rawRequest(host, { path, timeout: 10_000 })));
      for (const { status, body } of answers) {
        assert.equal(status, 200, `${path}: ${body.toString()}`);
        assert.ok(body.equals(expected.bytes), path);
      }
    }
    const missing = await mirrors[0].get('/v2/o/i/manifests/none');
    assert.equal(missing.status, 404, 'a mirror in a circle knows less than a registry that lacks it');
    await assertUnharmed(mirrors);
  });

  test('a tag that is stored is served as stale, and asked for again at the next request', async () => {
    await using stack = new AsyncDisposableStack();
    await using upstream = await startScriptedUpstream();
    upstream.add(image, 'o/i', ['t']);
    const cache = { tags: { fresh_for: '0s' } };
    const [a, b] = await startMirrors(stack, ['a', 'b'], (all, at) => ({
      ...registryOf(at === 0 ? upstream.url : (all[0] as Mirror).url),
      cache,
    }));
    assert.equal((await a.get('/v2/o/i/manifests/t')).status, 200);
    await a.reload({ ...registryOf(b.url), cache });
    for (let round = 1; round <= 2; round += 1) {
      const stale = await a.get('/v2/o/i/manifests/t');
      assert.deepEqual([stale.status, stale.headers['x-cache']], [200, 'STALE']);
      assert.match(stale.headers['warning'] ?? '', /circle of mirrors/);
      const asked = b.accessLog().filter(({ path }) => path === '/v2/o/i/manifests/t');
      assert.equal(asked.length, round, 'no back-off');
    }
  });

  test('a site that redirects to this server is a loop too', async () => {
    await using mirror = await startMirror();
    await using site = await startSite({ '/x/file': redirect(302, `${mirror.url}/m/file?sig=1`) });
    for (const cache of [{}, 'off']) {
      const route = { name: 'm', prefix: '/m', upstream: `${site.url}/x`, cache };
      assert.equal((await mirror.reload({ mirrors: [route] })).outcome, 'changed');
      const answer = await mirror.get('/m/file?sig=1');
      assert.equal(answer.status, 508, answer.body.toString());
      assert.match(answer.body.toString(), /^loop: this server is its own upstream/);
    }
  });
});

describe('mirror routes in a circle', () => {
  for (const cache of [{}, 'off']) {
    test(`are 508 in plain text, ${cache === 'off' ? 'streamed' : 'cached'}`, async () => {
      await using stack = new AsyncDisposableStack();
      const mirrors = await startMirrors(stack, ['a', 'b'], (all, at) => ({
        mirrors: [{ name: 'm', prefix: '/m', upstream: `${(all[1 - at] as Mirror).url}/m`, cache }],
      }));
      for (let round = 0; round < 2; round += 1) {
        const answers = await Promise.all(
          mirrors.flatMap(({ host }) =>
            ['GET', 'HEAD'].map((method) => rawRequest(host, { method, path: '/m/file.txt', timeout: 10_000 })),
          ),
        );
        for (const { status, headers } of answers) {
          assert.equal(status, 508);
          assert.match(headers['content-type'] ?? '', /^text\/plain/);
          assert.equal(headers['cache-control'], 'no-store');
        }
        assert.match((answers[0] as RawResponse).body.toString(), /^loop: the request came back to this server/);
      }
      await assertUnharmed(mirrors);
    });
  }

  test('who a request has passed is no part of what is cached', async () => {
    await using site = await startSite({
      '/file': (_request, response) =>
        void response.writeHead(200, { 'cache-control': 'max-age=600', etag: '"1"' }).end('a'),
    });
    await using mirror = await startMirror({ mirrors: [{ name: 'm', prefix: '/m', upstream: site.url }] });
    assert.equal((await mirror.get('/m/file', { via: '1.1 proxy.corp.example (secret)' })).headers['x-cache'], 'MISS');
    await mirror.logged(({ msg }) => msg === 'ingest.finished');
    assert.equal((await mirror.get('/m/file')).headers['x-cache'], 'HIT');
    const [visit] = site.visits;
    assert.match(visit?.headers.via ?? '', /^1\.1 hidden, 1\.1 entrepot-[0-9a-f]{16}$/);
  });
});

describe('requests to upstreams', () => {
  test('name this server in Via, each process by a name of its own', async () => {
    await using upstream = await startScriptedUpstream();
    upstream.add(image, 'o/i', ['t']);
    const seen = new Set<string>();
    for (let process = 0; process < 2; process += 1) {
      await using mirror = await startMirror(registryOf(upstream.url));
      assert.equal((await mirror.get('/v2/o/i/manifests/t')).status, 200);
      assert.equal((await mirror.get(pathOf(layer.digest, layer.mediaType))).status, 200);
    }
    for (const { headers, url } of upstream.requests) {
      assert.match(headers.via ?? '', /^1\.1 entrepot-[0-9a-f]{16}$/, url);
      seen.add(headers.via ?? '');
    }
    assert.equal(seen.size, 2);
  });
});

function pathOf(digest: string, mediaType: string): string {
  return `/v2/o/i/${/manifest|index/.test(mediaType) ? 'manifests' : 'blobs'}/${digest}`;
}
