import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { rawRequest } from '../support/raw-request.ts';
import { startRawServer } from '../support/raw-server.ts';
import { file, redirect, startSite } from '../support/site.ts';

// What no client gets out of a mirror route, whatever its site says and its clients try: another's answer, an older one than the
// site stands by, a way around the route.

type Pages = Parameters<typeof startSite>[0];

/** A route with a cache of its own to a site. */
async function routed(pages: Pages, options: object = {}) {
  const site = await startSite(pages);
  const mirror = await startMirror({ mirrors: [{ name: 's', prefix: '/s', upstream: site.url, ...options }] });
  return {
    site,
    mirror,
    async [Symbol.asyncDispose]() {
      await mirror.stop();
      await site.stop();
    },
  };
}

/** What comes in is in the cache a moment after its last byte was sent. */
function stored(mirror: Mirror, count = 1): Promise<unknown> {
  return mirror.logged((line) => line.msg === 'ingest.finished' && line['outcome'] === 'committed', { count });
}

const text = (bytes: { readonly body: Buffer }): string => bytes.body.toString();

describe('behind a redirect', () => {
  const FOR_LONG = 'public, max-age=604800, immutable';

  test('a file that never changes does not make the name immutable that leads to it', async () => {
    await using cdn = await startSite({
      '/1': file(Buffer.from('first'), { etag: '"1"', 'cache-control': FOR_LONG }),
      '/2': file(Buffer.from('second'), { etag: '"2"', 'cache-control': FOR_LONG }),
    });
    let version = 1;
    await using pair = await routed({
      '/main': (request, response) => redirect(302, `${cdn.url}/${version}`)(request, response),
    });
    const { mirror } = pair;
    const first = await mirror.get('/s/main');
    assert.equal(text(first), 'first');
    assert.equal(first.headers['cache-control'], 'max-age=0', 'nor do clients believe it');
    await stored(mirror);
    assert.equal((await mirror.get('/s/main')).headers['x-cache'], 'REVALIDATED');
    version = 2;
    assert.equal(text(await mirror.get('/s/main')), 'second');
  });

  test('what a signed address shows to every client is only for those whom the site led there', async () => {
    await using cdn = await startSite({
      '/f': file(Buffer.from('gated'), { 'cache-control': FOR_LONG }),
    });
    await using pair = await routed({
      '/f': (request, response) => {
        if (request.headers.authorization === 'Bearer friend') void redirect(302, `${cdn.url}/f`)(request, response);
        else response.writeHead(401).end('who are you?');
      },
    });
    assert.equal(text(await pair.mirror.get('/s/f', { authorization: 'Bearer friend' })), 'gated');
    const { status, headers } = await pair.mirror.get('/s/f');
    assert.deepEqual([status, headers['x-cache']], [401, 'PASS']);
    const { cache } = await pair.mirror.app.status();
    assert.equal(cache === 'off' ? 0 : cache.blobs, 0);
  });

  test('no user name leads the client around this server', async () => {
    await using pair = await routed({
      '/f': (request, response) => redirect(302, `http://me:secret@${request.headers.host}/g`)(request, response),
    });
    const answer = await pair.mirror.get('/s/f');
    assert.equal(answer.status, 502);
    assert.doesNotMatch(text(answer), /secret/);
  });

  test('names that are not ASCII arrive as they are, though they come as bare UTF-8', async () => {
    await using raw = Object.assign(
      await startRawServer(({ socket, text: head }) => {
        const answer = head.startsWith('GET /name ')
          ? 'HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=文件\r\nContent-Length: 2\r\n\r\nok'
          : 'HTTP/1.1 302 Found\r\nLocation: /文件\r\nContent-Length: 0\r\n\r\n';
        socket.end(answer);
      }),
      { [Symbol.asyncDispose]: () => raw.close() },
    );
    await using mirror = await startMirror({ mirrors: [{ name: 's', prefix: '/s', upstream: raw.url().href }] });
    const moved = await mirror.get('/s/x');
    assert.equal(moved.headers['location'], `${mirror.url}/s/%E6%96%87%E4%BB%B6`);
    const named = await mirror.get('/s/name');
    const disposition = Buffer.from(named.headers['content-disposition'] ?? '', 'latin1').toString();
    assert.equal(disposition, 'attachment; filename=文件');
  });
});

describe('a URL', () => {
  test('reaches the site as the client wrote it, and the client as the site wrote it', async () => {
    const paths = ["/it's|a?sig='x'&y=%2f%2F", '/a?', '/a', '/%7ea%2fb', '/a?b="c"', '/a?b=1?c=2|3'];
    const asked: (string | undefined)[] = [];
    await using pair = await routed({
      '*': (request, response) => {
        asked.push(request.url);
        return redirect(302, `http://${request.headers.host ?? ''}${request.url ?? ''}`)(request, response);
      },
    });
    for (const path of paths) {
      const { headers } = await pair.mirror.get(`/s${path}`);
      assert.equal(headers['location'], `${pair.mirror.url}/s${path}`);
    }
    assert.deepEqual(asked, paths);
  });
});

describe('with the client’s own Host', () => {
  const pages: Pages = {
    '/f': (request, response) =>
      file(Buffer.from(`for ${request.headers.host}`), { 'cache-control': 'max-age=60' })(request, response),
    '/moved': (request, response) => redirect(302, `http://${request.headers.host}/f`)(request, response),
    '/moved-well': (request, response) => redirect(302, `http://${request.headers.host}/s/f`)(request, response),
  };

  test('one name’s answers are not another’s', async () => {
    await using pair = await routed(pages, { preserve_host: true });
    const { mirror } = pair;
    for (const host of ['a.example', 'b.example']) {
      assert.equal(text(await mirror.get('/s/f', { host })), `for ${host}`);
    }
    await stored(mirror, 2);
    const again = await mirror.get('/s/f', { host: 'a.example' });
    assert.deepEqual([text(again), again.headers['x-cache']], ['for a.example', 'HIT']);
  });

  test('a site that calls itself by it leads to its route, and not to this server’s own pages', async () => {
    await using pair = await routed(pages, { preserve_host: true });
    const location = async (path: string, host: string) => (await pair.mirror.get(path, { host })).headers['location'];
    assert.equal(await location('/s/moved', 'a.example'), 'http://a.example/s/f');
    assert.equal(await location('/s/moved', pair.mirror.host), `${pair.mirror.url}/s/f`);
    assert.equal(await location('/s/moved-well', 'a.example'), 'http://a.example/s/f');
  });

  test('one that a request may have and no site can be asked with is the client’s fault', async () => {
    await using pair = await routed(pages, { preserve_host: true });
    for (const host of ['a,b', 'a%20b', 'a:']) {
      const answer = await pair.mirror.get('/s/f', { host });
      assert.deepEqual([answer.status, text(answer)], [400, 'the route s cannot send this Host to its site\n']);
    }
    assert.equal(text(await pair.mirror.get('/s/f', { host: 'a.example' })), 'for a.example');
  });
});

describe('what a client says', () => {
  test('of a version it wants is heard by the site where nothing is kept', async () => {
    await using pair = await routed({
      '/weak': (request, response) => {
        const { 'if-match': wanted, 'if-unmodified-since': since } = request.headers;
        if (wanted !== undefined || since !== undefined) response.writeHead(412).end();
        else response.writeHead(200, { etag: 'W/"1"' }).end('another version');
      },
    });
    for (const condition of [{ 'if-match': '"0"' }, { 'if-unmodified-since': 'Sat, 21 Nov 2026 12:00:00 GMT' }]) {
      assert.equal((await pair.mirror.get('/s/weak', condition)).status, 412);
      assert.equal((await pair.mirror.head('/s/weak', condition)).status, 412);
    }
  });

  test('of a part it wants is heard by the site where the whole is not kept', async () => {
    await using pair = await routed({ '/weak': file(Buffer.from('0123456789'), { etag: 'W/"1"' }) });
    const part = await pair.mirror.get('/s/weak', { range: 'bytes=2-4' });
    assert.deepEqual([part.status, part.headers['content-range'], text(part)], [206, 'bytes 2-4/10', '234']);
    assert.equal((await pair.mirror.get('/s/nowhere', { range: 'bytes=2-4' })).status, 404);
  });

  test('never makes the site answer for another path, method or client', async () => {
    await using pair = await routed({
      '/f': (request, response) => file(Buffer.from(JSON.stringify(request.headers)))(request, response),
    });
    const names = [
      'x-forwarded-prefix',
      'x-forwarded-server',
      'x-http-method-override',
      'x-original-url',
      'x-rewrite-url',
      'true-client-ip',
    ];
    const given = Object.fromEntries(names.map((name) => [name, 'mine']));
    const seen = text(await pair.mirror.get('/s/f', { ...given, 'x-my-own': 'passes' }));
    assert.doesNotMatch(seen, /mine/);
    assert.match(seen, /"x-my-own":"passes"/);
  });

  test('as a credential under any name makes the answer its own', async () => {
    const site: Pages = {
      '/f': (request, response) => {
        if (request.headers['private-token'] === 'secret') {
          void file(Buffer.from('for you'), { 'cache-control': 'max-age=60' })(request, response);
        } else response.writeHead(404).end('no such file');
      },
    };
    await using pair = await routed(site);
    assert.equal(text(await pair.mirror.get('/s/f', { 'private-token': 'secret' })), 'for you');
    assert.equal((await pair.mirror.get('/s/f')).status, 404);
  });

  test('with a credential is not kept for others because the name never changes', async () => {
    const site: Pages = {
      '/f': (request, response) => {
        if (request.headers.authorization === undefined) response.writeHead(401).end('who are you?');
        else void file(Buffer.from('for you'))(request, response);
      },
    };
    await using pair = await routed(site, { cache: { immutable: ['/**'] } });
    assert.equal(text(await pair.mirror.get('/s/f', { authorization: 'Bearer friend' })), 'for you');
    assert.equal((await pair.mirror.get('/s/f')).status, 401);
  });
});

test('a change that passes through here ends what was kept before it', async () => {
  let version = 1;
  await using pair = await routed(
    {
      '/f': (request, response) => {
        if (request.method === 'PUT') {
          version += 1;
          response.writeHead(204).end();
        } else if (request.method === 'DELETE') response.writeHead(403).end('no');
        else
          void file(Buffer.from(`v${version}`), { etag: `"${version}"`, 'cache-control': 'max-age=60' })(
            request,
            response,
          );
      },
    },
    { methods: ['GET', 'PUT', 'DELETE'] },
  );
  const { mirror } = pair;
  const change = (method: string) => rawRequest(mirror.host, { method, path: '/s/f' });
  await mirror.get('/s/f');
  await stored(mirror);
  assert.equal((await change('DELETE')).status, 403);
  assert.equal((await mirror.get('/s/f')).headers['x-cache'], 'HIT', 'what was refused changed nothing');
  assert.equal((await change('PUT')).status, 204);
  assert.equal(text(await mirror.get('/s/f')), 'v2');
});

test('how old an answer is already is said with it from the first time on', async () => {
  await using pair = await routed({ '/f': file(Buffer.from('x'), { age: '500', 'cache-control': 'max-age=600' }) });
  assert.equal((await pair.mirror.get('/s/f')).headers['age'], '500');
});

test('what a site says of its own name’s data and connection is not said of this server’s', async () => {
  await using pair = await routed({
    '/f': (_request, response) => {
      response.writeHead(200, { 'clear-site-data': '"*"', 'proxy-authentication-info': 'x' }).end('x');
    },
  });
  const { headers } = await pair.mirror.get('/s/f');
  assert.deepEqual([headers['clear-site-data'], headers['proxy-authentication-info']], [undefined, undefined]);
});
