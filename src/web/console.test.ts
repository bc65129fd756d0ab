import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Asset } from '#console-assets';
import { replyConsole } from './console.ts';

const GZIP = Buffer.from('H4sIAAAAAAAAA0tMSgYAwkEkNQMAAAA=', 'base64');

function asset(contentType: string): Asset {
  return { contentType, gzip: GZIP.toString('base64'), hash: 'h1' };
}

const FILES = new Map([
  ['index.html', asset('text/html; charset=utf-8')],
  ['console-0123456789.js', asset('text/javascript; charset=utf-8')],
]);

function ask(path: string, headers: { readonly acceptEncoding?: string; readonly ifNoneMatch?: string } = {}) {
  const { acceptEncoding, ifNoneMatch } = headers;
  return replyConsole({ path, acceptEncoding, ifNoneMatch }, () => Promise.resolve(FILES));
}

describe('replyConsole', () => {
  test('a file by its name, to be kept for good', async () => {
    const { status, headers, body } = await ask('/ui/console-0123456789.js', { acceptEncoding: 'gzip, br' });
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/javascript; charset=utf-8');
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(headers['content-encoding'], 'gzip');
    assert.deepEqual(body, GZIP);
  });

  for (const path of ['/ui/', '/ui/images/docker.io/library/nginx:latest', '/ui/index.html', '/ui/pulls/a.js']) {
    test(`${path}: the page, asked for again each time`, async () => {
      const { status, headers } = await ask(path);
      assert.equal(status, 200);
      assert.equal(headers['content-type'], 'text/html; charset=utf-8');
      assert.equal(headers['cache-control'], 'no-cache');
    });
  }

  test('the page may load itself and ask this server, and nothing else', async () => {
    const { headers } = await ask('/ui/');
    const policy = headers['content-security-policy'] ?? '';
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
  });

  test('/ui leads to /ui/', async () => {
    const { status, headers, body } = await ask('/ui');
    assert.deepEqual([status, headers['location'], body], [308, '/ui/', undefined]);
  });

  test('a file of another version is not found, instead of being the page', async () => {
    const { status, body } = await ask('/ui/console-9876543210.js');
    assert.equal(status, 404);
    assert.match(String(body), /Reload the page/);
  });

  for (const [acceptEncoding, compressed] of [
    [undefined, false],
    ['identity', false],
    ['br;q=1.0, gzip;q=0.8', true],
    ['gzip;q=0', false],
    ['gzip;q=0.0', false],
    ['x-gzip', true],
    ['gzipped', false],
  ] as const) {
    test(`accept-encoding ${acceptEncoding ?? 'absent'}: ${compressed ? 'gzip' : 'as it is'}`, async () => {
      const { headers, body } = await ask('/ui/', acceptEncoding === undefined ? {} : { acceptEncoding });
      assert.equal(headers['content-encoding'], compressed ? 'gzip' : undefined);
      assert.equal(headers['vary'], 'accept-encoding');
      assert.deepEqual(compressed ? gunzipSync(body as Buffer) : body, gunzipSync(GZIP));
    });
  }

  test('a page that the browser has is not sent again, in either form', async () => {
    for (const acceptEncoding of ['gzip', 'identity']) {
      const { headers } = await ask('/ui/', { acceptEncoding });
      const again = await ask('/ui/', { acceptEncoding, ifNoneMatch: `"other", W/${headers['etag']}` });
      assert.deepEqual([again.status, again.body], [304, undefined]);
      const other = await ask('/ui/', { acceptEncoding, ifNoneMatch: '"other"' });
      assert.equal(other.status, 200);
    }
  });

  test('a checkout without a build says what to run', async () => {
    const { status, headers, body } = await replyConsole(
      { path: '/ui/', acceptEncoding: undefined, ifNoneMatch: undefined },
      () => Promise.reject(new Error('Cannot find module')),
    );
    assert.equal(status, 503);
    assert.equal(headers['cache-control'], 'no-store');
    assert.match(String(body), /npm run build/);
  });
});
