import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Digest } from '../../oci/index.ts';
import {
  ageOf,
  FOR_EVER,
  freshUntil,
  headersBehind,
  isFreshUrl,
  keptHeaders,
  mayBeServedStale,
  renewedHeaders,
  whyNotKept,
} from './policy.ts';

const NOW = Date.parse('Sat, 21 Nov 2026 12:00:00 GMT');
const DATE = 'Sat, 21 Nov 2026 12:00:00 GMT';
const HOUR_AGO = 'Sat, 21 Nov 2026 11:00:00 GMT';
const HOUR_LATER = 'Sat, 21 Nov 2026 13:00:00 GMT';
const ETAG = '"v1"';

describe('what holds of an answer that redirects led to', () => {
  type Said = Readonly<Record<string, string>>;
  const rows: [string, readonly Said[], Said, string | undefined][] = [
    ['without redirects, what it says', [], { 'cache-control': 'max-age=60' }, 'max-age=60'],
    ['where neither says anything, nothing', [{}], {}, undefined],
    [
      'fresh no longer than the redirect',
      [{ 'cache-control': 'max-age=5' }],
      { 'cache-control': 'max-age=60' },
      'max-age=5',
    ],
    ['and no longer than itself', [{ 'cache-control': 'max-age=60' }], { 'cache-control': 'max-age=5' }, 'max-age=5'],
    ['a redirect that says nothing holds for once', [{}], { 'cache-control': 'max-age=60, immutable' }, 'max-age=0'],
    ['its age counts', [{ 'cache-control': 'max-age=60', age: '50' }], { 'cache-control': 'max-age=60' }, 'max-age=10'],
    ['public only where all are', [{}], { 'cache-control': 'public, max-age=60' }, 'max-age=0'],
    ['public where all are', [{ 'cache-control': 'public' }], { 'cache-control': 'public' }, 'public, max-age=0'],
    ['immutable where all are', [{ 'cache-control': 'immutable' }], { 'cache-control': 'immutable' }, 'immutable'],
    ['what one forbids is forbidden', [{ 'cache-control': 'no-cache' }, {}], { etag: ETAG }, 'no-cache, max-age=0'],
    ['its date counts', [{ 'cache-control': 'max-age=4000', date: HOUR_AGO }], { etag: ETAG }, 'max-age=0'],
    ['Expires is no way around it', [{}], { date: HOUR_AGO, expires: DATE }, 'max-age=0'],
  ];
  for (const [what, redirects, headers, expected] of rows) {
    test(what, () => {
      const found = headersBehind(redirects, headers, { now: NOW });
      assert.equal(found['cache-control'], expected);
      if (redirects.length > 0) assert.equal(found['expires'], undefined);
    });
  }
});

describe('what is kept of an answer', () => {
  const url = 'https://site.test/file';
  const kept: [
    string,
    Parameters<typeof whyNotKept>[0]['headers'],
    { personal?: boolean; immutable?: boolean; length?: undefined }?,
  ][] = [
    ['a strong tag', { etag: ETAG }],
    ['a strong date', { date: DATE, 'last-modified': HOUR_AGO }],
    ['an immutable answer', { 'cache-control': 'max-age=31536000, immutable' }],
    ['a name the route marks', {}, { immutable: true }],
    ['a weak tag of such a name', { etag: 'W/"v1"' }, { immutable: true }],
    ['no-cache, to be confirmed each time', { etag: ETAG, 'cache-control': 'no-cache' }],
    ['what varies by encoding', { etag: ETAG, vary: 'Accept-Encoding' }],
    ['what varies as raw files of GitHub do', { etag: ETAG, vary: 'Authorization,Accept-Encoding' }],
    ['what comes in chunks', { etag: ETAG, 'transfer-encoding': 'chunked' }, { length: undefined }],
    ['identity', { etag: ETAG, 'content-encoding': 'identity' }],
    ['public, with credentials', { etag: ETAG, 'cache-control': 'Public' }, { personal: true }],
    ['s-maxage, with credentials', { etag: ETAG, 'cache-control': 's-maxage=60' }, { personal: true }],
    ['a value that only looks like a directive', { etag: ETAG, 'cache-control': 'x="no-store, private"' }],
  ];
  for (const [what, headers, rest = {}] of kept) {
    test(`${what}: kept`, () => {
      const answer = { url, status: 200, headers, length: 1, personal: false, immutable: false, ...rest };
      assert.equal(whyNotKept(answer), undefined);
    });
  }
  const refused: [RegExp, Parameters<typeof whyNotKept>[0]['headers'], Partial<Parameters<typeof whyNotKept>[0]>?][] = [
    [/tells its versions apart/, {}],
    [/tells its versions apart/, { etag: 'W/"v1"' }],
    [/tells its versions apart/, { etag: 'W/"v1"', date: DATE, 'last-modified': HOUR_AGO }],
    [/tells its versions apart/, { etag: 'v1' }],
    [/tells its versions apart/, { date: DATE, 'last-modified': DATE }],
    [/tells its versions apart/, { 'last-modified': HOUR_AGO }],
    [/tells its versions apart/, { etag: `"${'x'.repeat(600)}"` }],
    [/no-store/, { etag: ETAG, 'cache-control': 'max-age=60, NO-STORE' }],
    [/no-store/, { etag: ETAG, 'cache-control': 'no-store' }, { immutable: true }],
    [/private/, { etag: ETAG, 'cache-control': 'private, max-age=60' }],
    [/private/, { etag: ETAG, 'cache-control': 'private="set-cookie"' }],
    [/cookie/, { etag: ETAG, 'set-cookie': 'a=b' }],
    [/gzip/, { etag: ETAG, 'content-encoding': 'gzip' }],
    [/varies by accept$/, { etag: ETAG, vary: 'Accept-Encoding, Accept' }],
    [/varies by \*/, { etag: ETAG, vary: '*' }],
    [/status is 206/, { etag: ETAG }, { status: 206 }],
    [/status is 404/, { etag: ETAG }, { status: 404 }],
    [/where it ends/, { etag: ETAG }, { length: undefined }],
    [/URL is too long/, { etag: ETAG }, { url: `https://site.test/${'x'.repeat(5000)}` }],
    [
      /headers are too long/,
      Object.fromEntries(
        ['etag', 'link', 'expires', 'vary', 'digest', 'age'].map((name) => [
          name,
          name === 'vary' ? 'origin'.padEnd(1900) : name === 'etag' ? ETAG : 'x'.repeat(2000),
        ]),
      ),
    ],
    [/who asks/, { etag: ETAG, 'cache-control': 'max-age=60' }, { personal: true }],
    [/who asks/, { etag: ETAG, 'cache-control': 'must-revalidate' }, { personal: true }],
    [/who asks/, { etag: ETAG }, { personal: true, immutable: true }],
  ];
  for (const [why, headers, rest = {}] of refused) {
    test(`not kept as ${why.source}: ${JSON.stringify({ ...headers, ...rest }).slice(0, 90)}`, () => {
      assert.match(
        whyNotKept({ url, status: 200, headers, length: 1, personal: false, immutable: false, ...rest }) ?? '',
        why,
      );
    });
  }
});

describe('how long it holds', () => {
  const table: [string, Parameters<typeof freshUntil>[0], number][] = [
    ['nothing said', { etag: ETAG, date: DATE, 'last-modified': HOUR_AGO }, 0],
    ['max-age', { 'cache-control': 'public, max-age=60' }, NOW + 60_000],
    ['max-age in quotes', { 'cache-control': 'max-age="60"' }, NOW + 60_000],
    ['s-maxage before max-age', { 'cache-control': 'max-age=60, s-maxage=10' }, NOW + 10_000],
    ['max-age before Expires', { 'cache-control': 'max-age=60', expires: HOUR_AGO, date: DATE }, NOW + 60_000],
    ['Expires', { date: DATE, expires: HOUR_LATER }, NOW + 3_600_000],
    ['Expires of a date that has passed since', { date: HOUR_AGO, expires: DATE }, NOW],
    ['Expires in the past', { date: DATE, expires: HOUR_AGO }, NOW],
    ['Expires: 0', { date: DATE, expires: '0' }, NOW],
    ['age on its way', { 'cache-control': 'max-age=60', age: '25' }, NOW + 35_000],
    ['too old when it came', { 'cache-control': 'max-age=60', age: '61' }, NOW - 1000],
    ['no-cache', { 'cache-control': 'no-cache, max-age=60' }, 0],
    ['malformed', { 'cache-control': 'max-age=-1' }, NOW],
    ['immutable for a while', { 'cache-control': 'max-age=60, immutable' }, NOW + 60_000],
    ['immutable', { 'cache-control': 'immutable' }, FOR_EVER],
    ['longer than there is time', { 'cache-control': 'max-age=999999999999999' }, FOR_EVER],
  ];
  for (const [what, headers, until] of table) {
    test(what, () => assert.equal(freshUntil(headers, NOW), until));
  }

  const record = (freshUntilThen: number, headers = {}) => {
    return { digest: 'x' as Digest, size: 1, headers, checkedAt: NOW, freshUntil: freshUntilThen };
  };

  test('is believed until then, and not by a clock that was set back', () => {
    assert.equal(isFreshUrl(record(NOW + 1000), NOW + 999), true);
    assert.equal(isFreshUrl(record(NOW + 1000), NOW + 1000), false);
    assert.equal(isFreshUrl(record(NOW + 1000), NOW - 1), false);
    assert.equal(isFreshUrl(record(0), NOW), false);
    assert.equal(isFreshUrl(record(FOR_EVER), NOW - 1), true);
  });

  test('has the age it came with and what was added here', () => {
    assert.equal(ageOf(record(0, { age: '10' }), NOW + 2500), 12);
    assert.equal(ageOf(record(0), NOW - 5000), 0);
  });
});

test('serves nothing stale that is to be confirmed whatever happens', () => {
  assert.equal(mayBeServedStale({}), true);
  assert.equal(mayBeServedStale({ 'cache-control': 'max-age=60, public' }), true);
  for (const word of ['must-revalidate', 'proxy-revalidate', 's-maxage=5', 'no-cache', 'MUST-REVALIDATE']) {
    assert.equal(mayBeServedStale({ 'cache-control': `max-age=60, ${word}` }), false, word);
  }
});

test('keeps no header of a connection, and nothing that is too long', () => {
  const headers = {
    'content-type': 'text/plain',
    'content-length': '7',
    connection: 'close',
    'set-cookie': 'a=b',
    'x-linked-size': '9',
    link: 'x'.repeat(3000),
  };
  assert.deepEqual(keptHeaders(headers), { 'content-type': 'text/plain', 'x-linked-size': '9' });
});

test('takes over what a confirmation says, and keeps the strong tag', () => {
  const kept = { etag: ETAG, age: '9', date: HOUR_AGO, 'cache-control': 'max-age=1', 'content-type': 'a/b' };
  const said = { etag: 'W/"v1"', 'cache-control': 'max-age=2', 'set-cookie': 'a=b' };
  assert.deepEqual(renewedHeaders(kept, said, NOW), {
    etag: ETAG,
    date: DATE,
    'cache-control': 'max-age=2',
    'content-type': 'a/b',
  });
  const long = Object.fromEntries(
    ['link', 'digest', 'content-md5', 'content-language'].map((n) => [n, 'x'.repeat(2040)]),
  );
  const renewed = renewedHeaders(kept, { ...long, 'cache-control': 'no-cache' }, NOW);
  assert.deepEqual([renewed['cache-control'], renewed['link']], ['no-cache', undefined]);
});
