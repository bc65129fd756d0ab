import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import { type ByteSource, byteSourceOf } from '../lib/index.ts';
import type { HttpClient, HttpRequest, HttpStream } from '../net/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { Site } from './site.ts';

type Said = readonly [status: number, headers?: Readonly<Record<string, string>>];

/** A route to a site that says what it is told, by method and host. */
function route(says: (method: string, host: string, request: HttpRequest) => Said) {
  const asked: string[] = [];
  const open: ByteSource[] = [];
  const clock = { now: 0 };
  const client: HttpClient = {
    fetch: () => Promise.reject(new TypeError('not used')),
    close: () => Promise.resolve(),
    open: async (request): Promise<HttpStream> => {
      const { method, url } = request;
      asked.push(`${method} ${url.host}`);
      const [status, headers = {}] = says(method, url.host, request);
      const source = byteSourceOf([Buffer.from('body')]);
      const body: ByteSource = {
        read: () => source.read(),
        cancel: () => void (open.includes(body) && open.splice(open.indexOf(body), 1)),
      };
      if (method !== 'HEAD') open.push(body);
      return { status, headers, setCookies: [], remoteAddress: undefined, length: undefined, body };
    },
  };
  const site = new Site(
    {
      name: 's',
      prefix: '/s',
      upstream: upstreamSpec({ name: 's', url: 'https://site.test', capabilities: ['pull'] }),
      preserveHost: false,
      methods: ['GET', 'HEAD'],
      cache: { enabled: true, immutable: [] },
    },
    { httpClientFor: () => client, telemetry: new Telemetry(), now: () => clock.now },
  );
  const head = async (headers: Readonly<Record<string, string>> = {}) => {
    asked.length = 0;
    const answer = await site.open({
      method: 'HEAD',
      url: new URL('https://site.test/f'),
      target: '/f',
      headers,
      isRouted: () => false,
      signal: new AbortController().signal,
    });
    assert.deepEqual(open, [], 'a body is left open');
    return { status: answer.status, length: answer.headers['content-length'], asked: asked.join(', ') };
  };
  return { head, clock };
}

const SIZE = { 'content-length': '1000' };

describe('a HEAD that is refused', () => {
  for (const refusal of [400, 401, 403, 405, 501]) {
    test(`behind a redirect with ${refusal} is answered by a GET, and so is the next at once`, async () => {
      const { head, clock } = route((method, host) => {
        if (host === 'site.test') return [302, { location: `https://cdn.test/f?signed-for=${method}` }];
        return method === 'GET' ? [200, SIZE] : [refusal];
      });
      const got = { status: 200, length: '1000' };
      const retried = 'HEAD site.test, HEAD cdn.test, GET site.test, GET cdn.test';
      assert.deepEqual(await head(), { ...got, asked: retried });
      assert.deepEqual(await head(), { ...got, asked: 'HEAD site.test, GET site.test, GET cdn.test' });
      clock.now += 600_000;
      assert.deepEqual(await head(), { ...got, asked: retried });
    });
  }

  test('because the redirect was signed for HEAD or for GET, is asked for with the URL of a GET', async () => {
    const { head } = route((method, host, { target = '' }) => {
      if (host === 'site.test')
        return [302, { location: `https://cdn.test/f?for=${method === 'HEAD' ? 'PUT' : method}` }];
      return target === `/f?for=${method}` ? [200, SIZE] : [403];
    });
    assert.equal((await head()).status, 200);
  });

  for (const refusal of [403, 405, 501]) {
    test(`by the site itself with ${refusal} is answered by a GET`, async () => {
      const { head } = route((method) => (method === 'GET' ? [200, SIZE] : [refusal]));
      assert.deepEqual(await head(), { status: 200, length: '1000', asked: 'HEAD site.test, GET site.test' });
      assert.deepEqual(await head(), { status: 200, length: '1000', asked: 'GET site.test' });
    });
  }

  test('as a GET is, stays refused, and is asked again', async () => {
    const { head } = route(() => [403]);
    for (let i = 0; i < 2; i += 1) assert.equal((await head()).asked, 'HEAD site.test, GET site.test');
    assert.equal((await head()).status, 403);
  });

  for (const status of [200, 304, 400, 401, 404, 429, 500]) {
    test(`is none with ${status}: the answer stands`, async () => {
      assert.deepEqual(await route(() => [status]).head(), { status, length: undefined, asked: 'HEAD site.test' });
    });
  }

  test('is asked for whole, whatever part the client names', async () => {
    const { head } = route((method, _host, { headers }) => {
      if (method === 'HEAD') return [405];
      return headers['range'] === undefined ? [200, SIZE] : [206, { 'content-length': '1' }];
    });
    assert.equal((await head({ range: 'bytes=0-0', 'if-range': '"x"' })).length, '1000');
  });
});

test('a redirect is asked as it was written, and relative to the URL that was asked', async () => {
  const seen: (string | undefined)[] = [];
  const { head } = route((_method, _host, { target }) => {
    seen.push(target);
    if (target === '/f') return [302, { location: "https://cdn.test/a/b|c%2f%2F?x='1'&y=\xc3\xa9&z?" }];
    if (target?.startsWith('/a/b') === true) return [307, { location: './d?' }];
    return [200, SIZE];
  });
  await head();
  assert.deepEqual(seen, ['/f', "/a/b|c%2f%2F?x='1'&y=%C3%A9&z?", '/a/d?']);
});
