import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noise } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
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

  test('a release is had through the redirect, which the client never sees, and no other site learns who asked', async () => {
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

  test('Range, HEAD and conditions reach the host that has the file', async () => {
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
    // Behind an outbound proxy it is not known where an answer came from, so the site counts as public by its name.
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

describe('what a mirror route keeps', () => {
  /** What comes in is in the cache a moment after its last byte was sent. */
  function stored(mirror: Mirror): Promise<unknown> {
    return mirror.logged((line) => line.msg === 'ingest.finished' && line['outcome'] === 'committed');
  }

  /** A route with a cache of its own to a site of one page. */
  async function kept(pages: Parameters<typeof startSite>[0], cache: object = {}) {
    const site = await startSite(pages);
    const mirror = await startMirror({ mirrors: [{ name: 's', prefix: '/s', upstream: site.url, cache }] });
    return {
      site,
      mirror,
      gets: () => site.visits.filter(({ method }) => method === 'GET').length,
      async [Symbol.asyncDispose]() {
        await mirror.stop();
        await site.stop();
      },
    };
  }

  test('a file with an entity tag comes once, is confirmed after that, and its parts and head are had from here', async () => {
    await using pair = await kept({ '/f': file(ASSET) });
    const { mirror, site } = pair;
    const first = await mirror.get('/s/f');
    assert.deepEqual([first.headers['x-cache'], first.body.equals(ASSET)], ['MISS', true]);
    await stored(mirror);
    const again = await mirror.get('/s/f');
    assert.deepEqual([again.headers['x-cache'], again.body.equals(ASSET)], ['REVALIDATED', true]);
    const part = await mirror.get('/s/f', { range: 'bytes=-100' });
    assert.deepEqual([part.status, part.body.equals(ASSET.subarray(-100))], [206, true]);
    const head = await mirror.head('/s/f');
    assert.deepEqual(
      [head.status, head.headers['content-length'], head.headers['etag']],
      [200, String(ASSET.length), first.headers['etag']],
    );
    const same = await mirror.get('/s/f', { 'if-none-match': String(first.headers['etag']) });
    assert.deepEqual([same.status, same.body.length], [304, 0]);
    const whole = site.visits.filter(
      ({ method, headers }) => method === 'GET' && headers['if-none-match'] === undefined,
    );
    assert.equal(whole.length, 1, JSON.stringify(site.visits));
  });

  test('a firewall in front of the site does not take a stored file away, and its page is no answer to keep', async () => {
    let isBlocked = false;
    const page = file(ASSET);
    await using pair = await kept({
      '/f': (request, response) => {
        if (isBlocked) response.writeHead(403, { 'x-amzn-waf-action': 'captcha' }).end('prove it');
        else void page(request, response);
      },
    });
    const { mirror } = pair;
    await mirror.get('/s/f');
    await stored(mirror);
    isBlocked = true;
    const answer = await mirror.get('/s/f');
    assert.deepEqual([answer.status, answer.headers['x-cache'], answer.body.equals(ASSET)], [200, 'STALE', true]);
    assert.match(String(answer.headers['warning']), /blocked by the web application firewall of AWS/);
    const metrics = (await mirror.get('/metrics')).body.toString();
    assert.match(
      metrics,
      /^entrepot_upstream_requests_blocked_total\{registry="s",upstream="[^"]+",by="firewall"\} 1$/m,
    );
  });

  test('several parts of a stored file come in one answer', async () => {
    await using pair = await kept({ '/f': file(ASSET, { 'content-type': 'application/zck' }) });
    const { mirror, gets } = pair;
    await mirror.get('/s/f');
    await stored(mirror);
    const before = gets();
    const answer = await mirror.get('/s/f', { range: 'bytes=500000-500099, 0-9, -5' });
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(String(answer.headers['content-type']))?.[1];
    assert.deepEqual([answer.status, answer.headers['content-range']], [206, undefined]);
    const last = ASSET.length - 1;
    const spans = [
      [500_000, 500_099],
      [0, 9],
      [last - 4, last],
    ] as const;
    const expected = spans.map(([start, end]) => {
      const range = `bytes ${start}-${end}/${ASSET.length}`;
      const head = `\r\n--${boundary}\r\ncontent-type: application/zck\r\ncontent-range: ${range}\r\n\r\n`;
      return head + ASSET.toString('latin1', start, end + 1);
    });
    assert.equal(answer.body.toString('latin1'), `${expected.join('')}\r\n--${boundary}--\r\n`);
    const rows: readonly (readonly [headers: Record<string, string>, status: number, range: unknown])[] = [
      [{ range: 'bytes=0-9,5-19' }, 206, `bytes 0-19/${ASSET.length}`],
      [{ range: `bytes=${ASSET.length}-,-0` }, 416, `bytes */${ASSET.length}`],
      [{ range: 'bytes=0-9,1000-1009', 'if-range': '"another"' }, 200, undefined],
    ];
    for (const [headers, status, range] of rows) {
      const { status: found, headers: given } = await mirror.get('/s/f', headers);
      assert.deepEqual([found, given['content-range']], [status, range], JSON.stringify(headers));
    }
    assert.equal((await mirror.head('/s/f')).status, 200);
    assert.ok(pair.site.visits.slice(before).every(({ headers }) => headers.range === undefined));
  });

  test('a name that never changes is not asked about again, and survives a start', async (t) => {
    await using site = await startSite({ '/o/r/releases/download/v1/a': file(ASSET) });
    const mirrors = [
      { name: 's', prefix: '/s', upstream: site.url, cache: { immutable: ['/*/*/releases/download/**'] } },
    ];
    const workspace = await Workspace.open();
    t.after(() => workspace.close());
    const dir = workspace.path('cache');
    await using first = await startMirror({ mirrors }, { dir });
    const path = '/s/o/r/releases/download/v1/a';
    assert.ok((await first.get(path)).body.equals(ASSET));
    await stored(first);
    const hit = await first.get(path);
    assert.deepEqual([hit.headers['x-cache'], hit.body.equals(ASSET)], ['HIT', true]);
    await first.stop();
    await using second = await startMirror({ mirrors }, { dir });
    const later = await second.get(path);
    assert.deepEqual([later.headers['x-cache'], later.body.equals(ASSET)], ['HIT', true]);
    assert.equal(site.visits.length, 1);
  });

  test('fifty at once, some for a part of it, cost one download', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    await using pair = await kept({
      '/f': async (request, response) => {
        if (request.headers['if-none-match'] === '"1"') {
          response.writeHead(304, { etag: '"1"' }).end();
          return;
        }
        response.writeHead(200, { etag: '"1"', 'content-length': ASSET.length });
        response.write(ASSET.subarray(0, 1_000_000));
        await gate;
        response.end(ASSET.subarray(1_000_000));
      },
    });
    const { mirror } = pair;
    const clients = Array.from({ length: 50 }, (_, i) =>
      i % 5 === 0 ? mirror.get('/s/f', { range: 'bytes=900000-999999' }) : mirror.get('/s/f'),
    );
    // Parts that are here already are had while the rest is still to come.
    const part = await (clients[0] as (typeof clients)[0]);
    assert.ok(part.body.equals(part.status === 206 ? ASSET.subarray(900_000, 1_000_000) : ASSET));
    open();
    for (const [i, answer] of (await Promise.all(clients)).entries()) {
      assert.ok(answer.body.equals(i % 5 === 0 ? ASSET.subarray(900_000, 1_000_000) : ASSET), `client ${i}`);
    }
    // Who came when it was here already had it confirmed, which costs no bytes.
    const downloads = pair.site.visits.filter(({ headers }) => headers['if-none-match'] === undefined);
    assert.equal(downloads.length, 1, JSON.stringify(pair.site.visits));
  });

  test('a body that breaks off is continued under the same entity tag, and cut where it is another by then', async () => {
    let version = 1;
    let breaks = 0;
    const page: Parameters<typeof startSite>[0][string] = (request, response) => {
      const etag = `"${version}"`;
      const isRest = request.headers['if-range'] === etag;
      const start = isRest ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
      response.writeHead(isRest ? 206 : 200, {
        etag,
        'content-length': ASSET.length - start,
        ...(isRest ? { 'content-range': `bytes ${start}-${ASSET.length - 1}/${ASSET.length}` } : {}),
      });
      if (breaks > 0) {
        breaks -= 1;
        response.write(ASSET.subarray(start, start + 1_000_000), () => setTimeout(() => response.destroy(), 50));
      } else {
        response.end(ASSET.subarray(start));
      }
    };
    await using pair = await kept({
      '/healed': page,
      '/changed': (request, response) => {
        if (request.headers['if-range'] !== undefined) version = 2;
        return page(request, response);
      },
    });
    breaks = 2;
    const healed = await pair.mirror.get('/s/healed');
    assert.deepEqual([healed.whole, healed.body.equals(ASSET)], [true, true]);
    assert.equal(pair.gets(), 3);
    breaks = 1;
    const changed = await pair.mirror.get('/s/changed');
    assert.equal(changed.whole, false, 'two versions are never joined');
    const next = await pair.mirror.get('/s/changed');
    assert.deepEqual([next.whole, next.headers['etag']], [true, '"2"']);
  });

  test('is served stale while the site is down, and says so', async () => {
    await using pair = await kept({ '/f': file(SMALL) });
    await pair.mirror.get('/s/f');
    await stored(pair.mirror);
    await pair.site.stop();
    const stale = await pair.mirror.get('/s/f');
    assert.deepEqual([stale.status, stale.headers['x-cache'], stale.body.equals(SMALL)], [200, 'STALE', true]);
    assert.match(String(stale.headers['warning']), /^1\d\d |^299 /);
    assert.equal((await pair.mirror.get('/s/other')).status, 502);
  });

  for (const [what, headers] of [
    ['the site forbids it', { 'cache-control': 'no-store' }],
    ['it is private', { 'cache-control': 'private' }],
    ['it sets a cookie', { 'set-cookie': 'a=1' }],
    ['it varies', { vary: 'Accept-Language' }],
    ['nothing tells its versions apart', { etag: 'W/"weak"' }],
  ] as const) {
    test(`is nothing where ${what}`, async () => {
      await using pair = await kept({ '/f': file(SMALL, headers) });
      for (let turn = 0; turn < 2; turn += 1) {
        const answer = await pair.mirror.get('/s/f');
        assert.ok(answer.body.equals(SMALL));
        assert.notEqual(answer.headers['x-cache'], 'HIT');
      }
      assert.equal(pair.gets(), 2);
      const { cache } = await pair.mirror.app.status();
      assert.equal(cache === 'off' ? 0 : cache.blobs, 0);
    });
  }

  test('is shown to a client with a credential only where the site confirms it to that credential', async () => {
    await using pair = await kept({
      '/f': (request, response) => {
        if (request.headers.authorization === 'Bearer stranger') {
          response.writeHead(403).end('not you');
          return;
        }
        return file(SMALL)(request, response);
      },
    });
    const { mirror } = pair;
    assert.equal((await mirror.get('/s/f')).headers['x-cache'], 'MISS');
    await stored(mirror);
    const refused = await mirror.get('/s/f', { authorization: 'Bearer stranger' });
    assert.deepEqual([refused.status, refused.body.toString()], [403, 'not you']);
    const friend = await mirror.get('/s/f', { authorization: 'Bearer friend' });
    assert.deepEqual([friend.status, friend.body.equals(SMALL)], [200, true]);
    assert.equal((await mirror.get('/s/f')).status, 200, 'no other is refused for it');
  });

  test('is no client’s private answer', async () => {
    await using pair = await kept({
      '/f': (request, response) => file(Buffer.from(`for ${request.headers.authorization}`))(request, response),
    });
    const { mirror } = pair;
    for (const who of ['a', 'b', 'a']) {
      assert.equal((await mirror.get('/s/f', { authorization: who })).body.toString(), `for ${who}`);
    }
    assert.equal((await mirror.get('/s/f')).body.toString(), 'for undefined');
  });
});
