import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noise } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { rawRequest } from '../support/raw-request.ts';
import { file, redirect, type ScriptedSite, startSite } from '../support/site.ts';

// Other sites under a path of this server. Each stand-in does what the real one was seen to do; hosts are ports here.

const ASSET = noise('a release', 3_000_000);
const SMALL = Buffer.from('{"model_type": "small"}');

interface Route {
  readonly name: string;
  readonly site: ScriptedSite | string;
  readonly [option: string]: unknown;
}

function startRoutes(routes: readonly Route[], config: Readonly<Record<string, unknown>> = {}): Promise<Mirror> {
  const mirrors = routes.map(({ name, site, ...options }) => ({
    name,
    prefix: `/${name}`,
    upstream: typeof site === 'string' ? site : site.url,
    ...options,
  }));
  return startMirror({ cache: 'off', mirrors, ...config });
}

describe('GitHub', () => {
  /** Releases are kept by one host, archives by another; pages and `git` are on the first. */
  async function github() {
    const objects = await startSite({ '/asset': file(ASSET, { 'content-disposition': 'attachment; filename=tool' }) });
    const codeload = await startSite({ '/o/r/tar.gz/v1': file(SMALL, { 'content-type': 'application/x-gzip' }) });
    const site = await startSite({
      '/o/r/releases/download/v1/tool': redirect(302, `${objects.url}/asset?sig=secret`),
      '/o/r/archive/refs/tags/v1.tar.gz': redirect(302, `${codeload.url}/o/r/tar.gz/v1`),
      '/o/r/releases/latest': (_request, response) => {
        response.writeHead(302, {
          location: `http://${_request.headers.host}/o/r/releases/tag/v1`,
          'set-cookie': ['a=1; Domain=.github.com; Path=/', 'b=2'],
        });
        response.end();
      },
      '/login': (request, response) => void response.end(`${request.headers.authorization} ${request.headers.cookie}`),
    });
    return {
      site,
      objects,
      codeload,
      async [Symbol.asyncDispose]() {
        await Promise.all([site.stop(), objects.stop(), codeload.stop()]);
      },
    };
  }

  test('a release is had through the redirect, which the client never sees, and nobody else learns who asked', async () => {
    await using hub = await github();
    await using mirror = await startRoutes([{ name: 'github', site: hub.site }]);
    const answer = await mirror.get('/github/o/r/releases/download/v1/tool', {
      authorization: 'Bearer secret',
      cookie: 'session=secret',
      'x-forwarded-for': '10.1.2.3',
    });
    assert.equal(answer.status, 200);
    assert.ok(answer.body.equals(ASSET));
    assert.equal(answer.headers['content-disposition'], 'attachment; filename=tool');
    assert.equal(answer.headers['content-length'], String(ASSET.length));
    assert.equal(answer.headers['docker-distribution-api-version'], undefined);
    const [first] = hub.site.visits;
    assert.deepEqual([first?.headers.authorization, first?.headers.cookie], ['Bearer secret', 'session=secret']);
    assert.equal(first?.headers['x-forwarded-for'], undefined);
    const [second] = hub.objects.visits;
    assert.deepEqual([second?.headers.authorization, second?.headers.cookie], [undefined, undefined]);
    await mirror.logged(
      ({ msg, ...line }) => msg === 'request' && line['route'] === 'github' && line['status'] === 200,
    );
    assert.doesNotMatch(JSON.stringify(mirror.log), /secret/);
  });

  test('Range, HEAD and conditions reach whoever has the file', async () => {
    await using hub = await github();
    await using mirror = await startRoutes([{ name: 'github', site: hub.site }]);
    const path = '/github/o/r/releases/download/v1/tool';
    const part = await mirror.get(path, { range: 'bytes=100-199' });
    assert.deepEqual([part.status, part.headers['content-range']], [206, `bytes 100-199/${ASSET.length}`]);
    assert.ok(part.body.equals(ASSET.subarray(100, 200)));
    const head = await mirror.head(path);
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, String(ASSET.length), 0]);
    const same = await mirror.get(path, { 'if-none-match': String(head.headers['etag']) });
    assert.deepEqual([same.status, same.body.length], [304, 0]);
  });

  test('a redirect to a host with a route is the client’s to follow, under this server’s name', async () => {
    await using hub = await github();
    await using mirror = await startRoutes([
      { name: 'github', site: hub.site },
      { name: 'codeload', site: hub.codeload },
    ]);
    const away = await mirror.get('/github/o/r/archive/refs/tags/v1.tar.gz');
    assert.deepEqual([away.status, away.headers['location']], [302, `${mirror.url}/codeload/o/r/tar.gz/v1`]);
    const archive = await mirror.get('/codeload/o/r/tar.gz/v1');
    assert.ok(archive.body.equals(SMALL));
    const own = await mirror.get('/github/o/r/releases/latest');
    assert.equal(own.headers['location'], `${mirror.url}/github/o/r/releases/tag/v1`);
    assert.equal(own.headers['set-cookie'], 'a=1; Path=/github, b=2; Path=/github');
  });

  test('addresses are written by public_url, else by what the client or a trusted proxy says', async () => {
    await using hub = await github();
    const routes = [{ name: 'github', site: hub.site }];
    const path = '/github/o/r/releases/latest';
    const forwarded = {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'm.example.com',
      'x-forwarded-for': '192.0.2.1',
    };
    const location = async (mirror: Mirror) => (await mirror.get(path, forwarded)).headers['location'];
    await using plain = await startRoutes(routes);
    assert.equal(await location(plain), `${plain.url}/github/o/r/releases/tag/v1`);
    await using behind = await startRoutes(routes, { trusted_proxies: ['127.0.0.1'] });
    assert.equal(await location(behind), 'https://m.example.com/github/o/r/releases/tag/v1');
    await using named = await startRoutes(routes, { public_url: 'https://mirror.example.com' });
    assert.equal(await location(named), 'https://mirror.example.com/github/o/r/releases/tag/v1');
  });

  test('a credential of the route goes to its site and replaces the client’s own', async () => {
    await using hub = await github();
    await using mirror = await startRoutes([
      { name: 'github', site: hub.site, credentials: { username: 'me', password: 'secret' } },
    ]);
    await mirror.get('/github/o/r/releases/download/v1/tool', { authorization: 'Basic other' });
    const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`;
    assert.equal(hub.site.visits[0]?.headers.authorization, basic);
    assert.equal(hub.objects.visits[0]?.headers.authorization, undefined);
  });
});

describe('Hugging Face', () => {
  test('what is said of a large file on the way to it is said with it', async () => {
    await using cdn = await startSite({ '/blob': file(ASSET, { etag: '"of the CDN"' }) });
    const linked = { 'x-repo-commit': 'c0ffee', 'x-linked-etag': '"sha256"', 'x-linked-size': String(ASSET.length) };
    await using site = await startSite({
      '/org/model/resolve/main/model.bin': redirect(302, `${cdn.url}/blob?Signature=1`, {
        ...linked,
        'x-xet-hash': 'x',
      }),
      '/org/model/resolve/main/config.json': redirect(307, '/api/resolve-cache/config.json', {
        'x-repo-commit': 'c0ffee',
      }),
      '/api/resolve-cache/config.json': file(SMALL),
    });
    await using mirror = await startRoutes([{ name: 'hf', site }]);
    const head = await mirror.head('/hf/org/model/resolve/main/model.bin');
    assert.equal(head.status, 200);
    for (const [name, value] of Object.entries(linked)) assert.equal(head.headers[name], value);
    // The other way to the file does not lead through here.
    assert.equal(head.headers['x-xet-hash'], undefined);
    const part = await mirror.get('/hf/org/model/resolve/main/model.bin', { range: 'bytes=1000000-' });
    assert.ok(part.body.equals(ASSET.subarray(1_000_000)));
    // Within the site the client follows by itself, and stays here.
    const config = await mirror.head('/hf/org/model/resolve/main/config.json');
    assert.deepEqual(
      [config.status, config.headers['location']],
      [307, `${mirror.url}/hf/api/resolve-cache/config.json`],
    );
    assert.ok((await mirror.get('/hf/api/resolve-cache/config.json')).body.equals(SMALL));
  });
});

describe('Docker Hub by route', () => {
  test('the challenge leads through here, and blobs come from where they are', async () => {
    await using cdn = await startSite({ '/data': file(ASSET) });
    await using auth = await startSite({ '/token': (_request, response) => void response.end('{"token":"t"}') });
    await using site = await startSite({
      '/v2/library/a/manifests/latest': (request, response) => {
        if (request.headers.authorization === 'Bearer t') return void response.end('{}');
        const realm = `Bearer realm="${auth.url}/token",service="hub",scope="repository:library/a:pull"`;
        response.writeHead(401, { 'www-authenticate': realm }).end();
      },
      '/v2/library/a/blobs/x': redirect(307, `${cdn.url}/data`),
      '/v2/library/a/tags/list': (_request, response) => {
        response.writeHead(200, { link: '</v2/library/a/tags/list?last=b&n=1>; rel="next"' }).end('{}');
      },
    });
    await using mirror = await startRoutes([
      { name: 'hub', site },
      { name: 'hub-auth', site: auth },
    ]);
    const refused = await mirror.get('/hub/v2/library/a/manifests/latest');
    assert.equal(refused.status, 401);
    const realm = /realm="([^"]*)"/.exec(String(refused.headers['www-authenticate']))?.[1] ?? '';
    assert.equal(realm, `${mirror.url}/hub-auth/token`);
    const { token } = JSON.parse((await mirror.get(new URL(realm).pathname)).body.toString()) as { token: string };
    const allowed = await mirror.get('/hub/v2/library/a/manifests/latest', { authorization: `Bearer ${token}` });
    assert.equal(allowed.status, 200);
    assert.ok((await mirror.get('/hub/v2/library/a/blobs/x')).body.equals(ASSET));
    const list = await mirror.get('/hub/v2/library/a/tags/list');
    assert.equal(list.headers['link'], `<${mirror.url}/hub/v2/library/a/tags/list?last=b&n=1>; rel="next"`);
  });
});

describe('a mirror route', () => {
  test('takes a large body, and many at once', async () => {
    await using site = await startSite({
      '/count': async (request, response) => {
        let count = 0;
        for await (const chunk of request) count += (chunk as Buffer).length;
        response.end(`${count} ${request.headers['content-length']} ${request.headers['transfer-encoding']}`);
      },
    });
    await using mirror = await startRoutes([{ name: 's', site }]);
    const body = noise('a body', 5_000_000);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        fetch(`${mirror.url}/s/count`, {
          method: 'POST',
          body: i % 2 === 0 ? body : new Blob([Uint8Array.from(body)]).stream(),
          duplex: 'half',
        }).then((answer) => answer.text()),
      ),
    );
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer, i % 2 === 0 ? '5000000 5000000 undefined' : '5000000 undefined chunked');
    }
  });

  test('with the longest prefix has the request; own pages and registries stay', async () => {
    await using a = await startSite({ '*': (request, response) => void response.end(`a ${request.url}`) });
    await using b = await startSite({ '*': (request, response) => void response.end(`b ${request.url}`) });
    await using mirror = await startRoutes([
      { name: 'x', site: a },
      { name: 'y', site: b, prefix: '/x/y' },
    ]);
    const text = async (path: string) => (await mirror.get(path)).body.toString();
    assert.equal(await text('/x/z?q'), 'a /z?q');
    assert.equal(await text('/x/y/z'), 'b /z');
    assert.equal(await text('/x/yz'), 'a /yz');
    assert.equal(await text('/healthz'), 'ok');
    assert.equal((await mirror.get('/v2/')).status, 200);
    assert.match(await text('/metrics'), /^entrepot_http_requests_total\{[^}]*route="x"[^}]*\} 2$/m);
  });

  test('preserves the client’s Host where that is wanted', async () => {
    await using site = await startSite({ '*': (request, response) => void response.end(request.headers.host) });
    await using mirror = await startRoutes([
      { name: 'own', site },
      { name: 'kept', site, preserve_host: true },
    ]);
    assert.equal((await mirror.get('/own/')).body.toString(), new URL(site.url).host);
    assert.equal((await mirror.get('/kept/')).body.toString(), mirror.host);
  });

  test('says in words what it does not do, and passes on what the site says', async () => {
    await using site = await startSite({
      '/loop': redirect(302, 'http://127.0.0.2:1/loop'),
      '/file': redirect(302, 'file:///etc/passwd'),
      '/cut': (_request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('some');
        setImmediate(() => response.destroy());
      },
      '/broken': (request) => void request.socket.destroy(),
    });
    await using dead = await startSite({});
    await dead.stop();
    await using mirror = await startRoutes([
      { name: 's', site },
      { name: 'dead', site: dead },
      { name: 'strict', site, redirect_hosts: ['cdn.example.com'] },
    ]);
    const say = async (path: string, method = 'GET') => {
      const { status, body, headers } = await rawRequest(mirror.host, { path, method, headers: {} });
      assert.match(headers['content-type'] ?? 'text/plain', /^text\/plain/);
      return `${status} ${body.toString()}`;
    };
    assert.match(await say('/s/nowhere'), /^404 no such page/);
    assert.match(await say('/s/x', 'DELETE'), /^405 DELETE does not pass the route s; GET, HEAD, OPTIONS, POST do/);
    assert.match(await say('/s/a/../b'), /^400 the path has/);
    assert.match(await say('/s/broken'), /^502 127\.0\.0\.1:\d+/);
    assert.match(await say('/dead/x'), /^502 127\.0\.0\.1:\d+/);
    assert.match(await say('/s/file'), /^502 .*leads to a file: URL/);
    assert.match(await say('/strict/loop'), /^502 .*not in redirect_hosts/);
    const cut = await mirror.get('/s/cut');
    assert.deepEqual([cut.whole, cut.body.toString()], [false, 'some'], 'a body that breaks off is cut, not ended');
    assert.equal((await mirror.get('/healthz')).status, 200);
  });

  test('may not lead into the private network on a public site’s word', async () => {
    await using inner = await startSite({ '*': (_request, response) => void response.end('secret') });
    const port = new URL(inner.url).port;
    await using site = await startSite({ '/x': redirect(302, `http://127.0.0.1:${port}/`) });
    // Behind an outbound proxy nobody knows where an answer came from, so the site counts as public by its name.
    await using mirror = await startRoutes([
      { name: 's', site: 'http://public.example.com', transport: { outbound_proxy: site.url } },
    ]);
    const answer = await mirror.get('/s/x');
    assert.equal(answer.status, 502);
    assert.equal(inner.visits.length, 0);
  });

  test('turns away whom there is no place for, in words', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    await using site = await startSite({
      '*': async (_request, response) => {
        arrive();
        await gate;
        response.end('at last');
      },
    });
    await using mirror = await startRoutes([{ name: 's', site }], { limits: { max_inflight: 1 } });
    const first = mirror.get('/s/a');
    await arrived;
    const second = await mirror.get('/s/b');
    assert.equal(second.status, 429);
    assert.ok(Number(second.headers['retry-after']) >= 1);
    assert.equal(second.headers['content-type'], 'text/plain; charset=utf-8');
    open();
    assert.equal((await first).body.toString(), 'at last');
  });

  test('is taken up, and given up, by a reload', async () => {
    await using site = await startSite({ '*': (_request, response) => void response.end('here') });
    await using mirror = await startMirror({ cache: 'off' });
    assert.equal((await mirror.get('/new/x')).status, 404);
    const mirrors = [{ name: 'new', prefix: '/new', upstream: site.url }];
    assert.equal((await mirror.reload({ cache: 'off', mirrors })).outcome, 'changed');
    assert.equal((await mirror.get('/new/x')).body.toString(), 'here');
    await mirror.reload({ cache: 'off' });
    assert.equal((await mirror.get('/new/x')).status, 404);
  });
});
