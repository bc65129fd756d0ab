import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startMirror } from '../support/mirror.ts';

// What others wrote is served under this server's own address: a browser must not take it for a page of this server.

const PAGE = '<script>fetch("/api/v1/session")</script>';
const LIST = JSON.stringify({ name: 'app', tags: [PAGE] });

test('a page of a mirrored site, or in the answer of a registry, has no origin of this server', async (t) => {
  const site = createServer((request, response) => {
    const isList = request.url?.endsWith('/tags/list') === true;
    const type = request.url === '/untyped' ? {} : { 'content-type': 'text/html' };
    response.writeHead(200, {
      ...type,
      'cache-control': 'public, max-age=60',
      etag: '"1"',
      'content-length': Buffer.byteLength(isList ? LIST : PAGE),
      'content-security-policy': "default-src 'self'",
    });
    response.end(isList ? LIST : PAGE);
  }).listen(0, '127.0.0.1');
  await once(site, 'listening');
  t.after(() => site.close());
  const upstream = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  await using mirror = await startMirror({
    mirrors: [{ name: 'site', prefix: '/site', upstream }],
    registries: { odd: { upstreams: [upstream] } },
  });
  for (const path of ['/site/page', '/site/page', '/site/untyped', '/v2/odd/app/tags/list']) {
    const { status, headers, body } = await mirror.get(path);
    assert.equal(status, 200, path);
    assert.ok(body.includes('<script>'), path);
    assert.match(headers['content-security-policy'] ?? '', /(?:^|, )sandbox allow-/, path);
    assert.doesNotMatch(headers['content-security-policy'] ?? '', /allow-same-origin/);
  }
  const { headers } = await mirror.head('/site/page');
  assert.match(headers['x-cache'] ?? '', /^(?:HIT|JOIN)$/);
  assert.match(headers['content-security-policy'] ?? '', /sandbox /);
});
