import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drain } from '../../../test/support/cache-world.ts';
import { FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { FILE, type UrlStage, urlStage } from '../../../test/support/url-stage.ts';
import type { UrlAnswer, UrlRequest } from './request.ts';

// The rules of RFC 9111, sections 3 and 4, for a shared cache, on every way by which an answer is stored, joined, updated and
// served. The sections are those of RFC 9111 unless a row says otherwise.

type Headers = Readonly<Record<string, string>>;

const ETAG = '"v1"';
/** The date of the stage's clock. */
const NOW = 'Sat, 21 Nov 2026 12:00:00 GMT';
const HOUR_AGO = 'Sat, 21 Nov 2026 11:00:00 GMT';
const IN_AN_HOUR = 'Sat, 21 Nov 2026 13:00:00 GMT';

/**
 * What came of a request. `fresh`: stored, and not asked about. `confirmed`: stored, and confirmed first. `stale`: stored, with a
 * warning. `new`: the whole came in for all. `own`: an answer for this request alone. `none`: the failure of the site.
 */
type Outcome = 'fresh' | 'confirmed' | 'stale' | 'new' | 'own' | 'none';

async function outcomeOf({ ask }: UrlStage, request: Partial<UrlRequest> = {}): Promise<Outcome> {
  let answer: UrlAnswer;
  try {
    answer = await ask(request);
  } catch (error) {
    assert.ok(error instanceof FakeFailure, String(error));
    return 'none';
  }
  if (answer.kind === 'through') {
    answer.response.body.cancel();
    return 'own';
  }
  await drain(answer.reader);
  const names = { HIT: 'fresh', REVALIDATED: 'confirmed', STALE: 'stale', MISS: 'new', JOIN: 'new' } as const;
  return names[answer.outcome];
}

/** Asks, and waits until what came is stored, where it is. */
async function fill(stage: UrlStage, request: Partial<UrlRequest> = {}): Promise<Outcome> {
  const finished = stage.next('ingest.finished');
  const first = await outcomeOf(stage, request);
  if (first === 'new') await finished;
  return first;
}

function goDown({ site }: UrlStage): void {
  site.before = () => {
    throw new FakeFailure('unavailable');
  };
}

interface StoringRow {
  readonly section: string;
  readonly rule: string;
  readonly answer: Headers;
  readonly request?: Partial<UrlRequest>;
  /** What the first request gets, an impersonal one a second later, and an impersonal one a day later while the site is down. */
  readonly outcomes: readonly [first: Outcome, second: Outcome, down: Outcome];
}

const personal = { personal: true };
const immutable = { rules: { enabled: true, immutable: true } };
const FRESH = ['new', 'fresh', 'stale'] as const;
const MUST_ASK = ['new', 'fresh', 'none'] as const;
const CONFIRMED = ['new', 'confirmed', 'stale'] as const;
const NOT_STORED = ['own', 'own', 'none'] as const;

/** An answer to a personal request that the next, impersonal one stores for itself. */
const OWN_FIRST = ['own', 'new', 'stale'] as const;

const STORING: readonly StoringRow[] = [
  { section: '3', rule: 'an answer is stored', answer: { 'cache-control': 'max-age=60' }, outcomes: FRESH },
  { section: '3', rule: 'no-store', answer: { 'cache-control': 'max-age=60, no-store' }, outcomes: NOT_STORED },
  { section: '3', rule: 'private', answer: { 'cache-control': 'private, max-age=60' }, outcomes: NOT_STORED },
  {
    section: '5.2.2.7',
    rule: 'private with a field name, taken for private',
    answer: { 'cache-control': 'private="x-user", max-age=60' },
    outcomes: NOT_STORED,
  },
  {
    section: '3',
    rule: 'no-store of a name that the route calls immutable',
    answer: { 'cache-control': 'no-store' },
    request: immutable,
    outcomes: NOT_STORED,
  },
  {
    section: '5.2.2.3',
    rule: 'must-understand does not lift no-store',
    answer: { 'cache-control': 'must-understand, no-store' },
    outcomes: NOT_STORED,
  },
  {
    section: '7.3',
    rule: 'a cookie',
    answer: { 'cache-control': 'public, max-age=60', 'set-cookie': 'a=b' },
    outcomes: NOT_STORED,
  },
  {
    section: '7.3',
    rule: 'a cookie of RFC 2965',
    answer: { 'cache-control': 'public, max-age=60', 'set-cookie2': 'a=b' },
    outcomes: NOT_STORED,
  },
  { section: '3.4', rule: 'an encoded answer', answer: { 'content-encoding': 'br' }, outcomes: NOT_STORED },
  {
    section: '3.5',
    rule: 'credentials',
    answer: { 'cache-control': 'max-age=60' },
    request: personal,
    outcomes: ['own', 'new', 'stale'],
  },
  {
    section: '3.5',
    rule: 'credentials, public',
    answer: { 'cache-control': 'public, max-age=60' },
    request: personal,
    outcomes: FRESH,
  },
  {
    section: '3.5',
    rule: 'credentials, s-maxage',
    answer: { 'cache-control': 's-maxage=60' },
    request: personal,
    outcomes: MUST_ASK,
  },
  {
    section: '3.5',
    rule: 'credentials, must-revalidate: stricter than the RFC',
    answer: { 'cache-control': 'must-revalidate, max-age=60' },
    request: personal,
    outcomes: ['own', 'new', 'none'],
  },
  {
    section: '3.5',
    rule: 'credentials, and a name that the route calls immutable',
    answer: {},
    request: { ...personal, ...immutable },
    outcomes: OWN_FIRST,
  },
  {
    section: '4.1',
    rule: 'a public variant of a cookie is not for requests without it',
    answer: { 'cache-control': 'public, max-age=60', vary: 'Cookie' },
    request: personal,
    outcomes: OWN_FIRST,
  },
  {
    section: '4.1',
    rule: 'a public variant of a credential is not for requests without it',
    answer: { 'cache-control': 'public, max-age=60', vary: 'accept-encoding, AUTHORIZATION' },
    request: personal,
    outcomes: OWN_FIRST,
  },
  {
    section: '4.1',
    rule: 'the variant without a credential is for all requests without it',
    answer: { 'cache-control': 'max-age=60', vary: 'Authorization, Accept-Encoding, Cookie, Origin' },
    outcomes: FRESH,
  },
  {
    section: '4.1',
    rule: 'Vary',
    answer: { 'cache-control': 'max-age=60', vary: 'Accept-Language' },
    outcomes: NOT_STORED,
  },
  { section: '4.1', rule: 'Vary: *', answer: { 'cache-control': 'max-age=60', vary: '*' }, outcomes: NOT_STORED },
  {
    section: '4.1',
    rule: 'Vary of a name of our own',
    answer: { 'cache-control': 'public, max-age=60', vary: 'X-Tenant' },
    request: personal,
    outcomes: NOT_STORED,
  },
  {
    section: '3.1',
    rule: 'a ruling header that is too long to store',
    answer: { 'cache-control': `max-age=60, no-cache, x="${'x'.repeat(3000)}"` },
    outcomes: NOT_STORED,
  },
  { section: '4.2.1', rule: 'nothing says for how long: no heuristic', answer: {}, outcomes: CONFIRMED },
  {
    section: '4.2.1',
    rule: 's-maxage before max-age',
    answer: { 'cache-control': 'max-age=60, s-maxage=0' },
    outcomes: ['new', 'confirmed', 'none'],
  },
  {
    section: '4.2.1',
    rule: 'max-age before Expires',
    answer: { 'cache-control': 'max-age=0', date: NOW, expires: IN_AN_HOUR },
    outcomes: CONFIRMED,
  },
  { section: '5.3', rule: 'Expires', answer: { date: NOW, expires: IN_AN_HOUR }, outcomes: FRESH },
  { section: '5.3', rule: 'Expires: 0', answer: { date: NOW, expires: '0' }, outcomes: CONFIRMED },
  { section: '4.2.1', rule: 'a malformed lifetime', answer: { 'cache-control': 'max-age=1h' }, outcomes: CONFIRMED },
  {
    section: '4.2.1',
    rule: 'of two lifetimes the first',
    answer: { 'cache-control': 'max-age=0, max-age=60' },
    outcomes: CONFIRMED,
  },
  { section: '4.2.3', rule: 'Age counts', answer: { 'cache-control': 'max-age=60', age: '60' }, outcomes: CONFIRMED },
  {
    section: '4.2.3',
    rule: 'the time since Date counts',
    answer: { 'cache-control': 'max-age=60', date: HOUR_AGO },
    outcomes: CONFIRMED,
  },
  {
    section: '4.2.3',
    rule: 'an Expires that has passed',
    answer: { date: HOUR_AGO, expires: NOW },
    outcomes: CONFIRMED,
  },
  {
    section: '5.2.2.4',
    rule: 'no-cache',
    answer: { 'cache-control': 'no-cache, max-age=60' },
    outcomes: ['new', 'confirmed', 'none'],
  },
  {
    section: '5.2.2.2',
    rule: 'must-revalidate is never stale',
    answer: { 'cache-control': 'max-age=60, must-revalidate' },
    outcomes: MUST_ASK,
  },
  {
    section: '5.2.2.8',
    rule: 'proxy-revalidate is never stale',
    answer: { 'cache-control': 'max-age=60, proxy-revalidate' },
    outcomes: MUST_ASK,
  },
  {
    section: '5.2.2.10',
    rule: 's-maxage is never stale',
    answer: { 'cache-control': 's-maxage=60' },
    outcomes: MUST_ASK,
  },
  {
    section: 'RFC 8246',
    rule: 'immutable',
    answer: { 'cache-control': 'max-age=60, immutable' },
    outcomes: FRESH,
  },
];

describe('what is stored, for whom, and for how long', () => {
  for (const { section, rule, answer, request, outcomes } of STORING) {
    test(`${section}: ${rule}`, async (t) => {
      const stage = await urlStage(t, { bytes: FILE, headers: { etag: ETAG, ...answer } });
      const first = await fill(stage, request);
      stage.clock.now += 1000;
      const { rules } = request ?? {};
      const second = await fill(stage, rules === undefined ? {} : { rules: { enabled: true, immutable: false } });
      stage.clock.now += 86_400_000;
      goDown(stage);
      assert.deepEqual([first, second, await outcomeOf(stage)], outcomes);
    });
  }
});

interface UpdatingRow {
  readonly section: string;
  readonly rule: string;
  readonly before?: Headers;
  /** What the site says from then on, with the same entity tag. */
  readonly after: Headers;
  readonly request?: Partial<UrlRequest>;
  readonly asks?: false;
  /** What the request gets that asks, an impersonal GET a second later, and one while the site is down. */
  readonly outcomes: readonly [asking: Outcome, next: Outcome, down: Outcome];
}

const head = { method: 'HEAD' } as const;
const TURNED = ['own', 'own', 'none'] as const;

const UPDATING: readonly UpdatingRow[] = [
  { section: '4.3.4', rule: 'a 304 that changes nothing', after: {}, outcomes: ['confirmed', 'fresh', 'stale'] },
  {
    section: '3.2',
    rule: 'a 304 with another lifetime',
    after: { 'cache-control': 'max-age=0' },
    outcomes: ['confirmed', 'confirmed', 'stale'],
  },
  {
    section: '3.2',
    rule: 'a 304 that forbids stale answers',
    after: { 'cache-control': 'max-age=10, must-revalidate' },
    outcomes: ['confirmed', 'fresh', 'none'],
  },
  {
    section: '3.2',
    rule: 'a 304 that forbids stale answers soon after it was confirmed',
    before: { 'cache-control': 'max-age=0' },
    after: { 'cache-control': 'no-cache' },
    outcomes: ['confirmed', 'confirmed', 'none'],
  },
  {
    section: '3.2',
    rule: 'a 304 whose headers are too long to store still rules',
    after: {
      'cache-control': 'no-cache',
      ...Object.fromEntries(['link', 'digest', 'content-md5', 'content-language'].map((n) => [n, 'x'.repeat(2040)])),
    },
    outcomes: ['confirmed', 'confirmed', 'none'],
  },
  {
    section: '3.2',
    rule: 'a 304 with a weak tag',
    after: { etag: 'W/"v1"' },
    outcomes: ['confirmed', 'fresh', 'stale'],
  },
  { section: '4.3.4', rule: 'a 304: no-store', after: { 'cache-control': 'no-store, max-age=9' }, outcomes: TURNED },
  { section: '4.3.4', rule: 'a 304: private', after: { 'cache-control': 'private, max-age=9' }, outcomes: TURNED },
  { section: '4.3.4', rule: 'a 304: Vary', after: { vary: 'Accept-Language' }, outcomes: TURNED },
  { section: '4.3.4', rule: 'a 304: Set-Cookie', after: { 'set-cookie': 'a=b' }, outcomes: TURNED },
  {
    section: '4.3.5',
    rule: 'a HEAD that changes nothing',
    after: {},
    request: head,
    outcomes: ['confirmed', 'fresh', 'stale'],
  },
  { section: '4.3.5', rule: 'a HEAD: private', after: { 'cache-control': 'private' }, request: head, outcomes: TURNED },
  {
    section: '4.3.5',
    rule: 'a HEAD: no-store',
    after: { 'cache-control': 'no-store' },
    request: head,
    outcomes: TURNED,
  },
  { section: '4.3.5', rule: 'a HEAD: Vary', after: { vary: 'X-Tenant' }, request: head, outcomes: TURNED },
  { section: '4.3.5', rule: 'a HEAD: Set-Cookie', after: { 'set-cookie': 'a=b' }, request: head, outcomes: TURNED },
  {
    section: '4.3.3',
    rule: 'a 200 with the same tag: private',
    after: { 'cache-control': 'private' },
    asks: false,
    outcomes: TURNED,
  },
  {
    section: '4.3.3',
    rule: 'a 200 with the same tag: Set-Cookie',
    after: { 'set-cookie': 'a=b' },
    asks: false,
    outcomes: TURNED,
  },
  {
    section: '3.5',
    rule: 'credentials: the stored answer where it is confirmed to them',
    after: {},
    request: personal,
    outcomes: ['confirmed', 'confirmed', 'stale'],
  },
  {
    section: '3.5',
    rule: 'credentials: their own answer where the site makes it private for them',
    after: { 'cache-control': 'private' },
    request: personal,
    outcomes: ['own', 'own', 'none'],
  },
];

describe('what a confirmation changes', () => {
  for (const { section, rule, before, after, request, asks, outcomes } of UPDATING) {
    test(`${section}: ${rule}`, async (t) => {
      const kept = { etag: ETAG, 'cache-control': 'max-age=10', ...before };
      const stage = await urlStage(t, { bytes: FILE, headers: kept });
      assert.equal(await fill(stage), 'new');
      stage.clock.now += before === undefined ? 11_000 : 1000;
      const { site, clock } = stage;
      site.version = { bytes: FILE, headers: { ...kept, ...after } };
      site.doesConditions = asks ?? true;
      if (after['etag'] !== undefined) {
        site.before = ({ headers }) =>
          headers['if-none-match'] === ETAG
            ? {
                status: 304,
                headers: site.version.headers,
                length: 0,
                body: { read: async () => undefined, cancel() {} },
              }
            : undefined;
      }
      const first = await outcomeOf(stage, request);
      clock.now += 1000;
      const next = await outcomeOf(stage);
      clock.now += 86_400_000;
      goDown(stage);
      assert.deepEqual([first, next, await outcomeOf(stage)], outcomes);
    });
  }

  test('4.3.4: a 304 that names another version confirms nothing', async (t) => {
    const { site, clock, ...stage } = await urlStage(t, { bytes: FILE, headers: { etag: ETAG } });
    assert.equal(await fill({ site, clock, ...stage }), 'new');
    site.before = ({ headers }) =>
      headers['if-none-match'] === undefined
        ? undefined
        : { status: 304, headers: { etag: '"v2"' }, length: 0, body: { read: async () => undefined, cancel() {} } };
    await outcomeOf({ site, clock, ...stage });
    assert.deepEqual(site.asked(), ['GET', 'GET if-none-match', 'GET']);
  });
});

describe('who shares an answer that is on its way', () => {
  const rows: [string, string, Headers, Partial<UrlRequest>, number][] = [
    ['4', 'what may be stored', { 'cache-control': 'max-age=60' }, {}, 1],
    ['4', 'what says nothing', {}, {}, 1],
    ['3', 'private', { 'cache-control': 'private' }, {}, 3],
    ['3', 'no-store', { 'cache-control': 'no-store' }, {}, 3],
    ['4.1', 'Vary', { vary: 'accept' }, {}, 3],
    ['7.3', 'a cookie', { 'set-cookie': 'a=b' }, {}, 3],
    ['3.5', 'credentials', { 'cache-control': 'max-age=60' }, personal, 3],
  ];
  for (const [section, what, headers, request, expected] of rows) {
    test(`${section}: ${what} is asked for ${expected === 1 ? 'once' : 'by each'}`, async (t) => {
      const stage = await urlStage(t, { bytes: FILE, headers: { etag: ETAG, ...headers } });
      const gate = new Gate();
      stage.site.before = () => gate.pass();
      const asked = [1, 2, 3].map(() => outcomeOf(stage, request));
      gate.open();
      assert.deepEqual(new Set(await Promise.all(asked)), new Set([expected === 1 ? 'new' : 'own']));
      assert.equal(stage.site.calls.filter(({ method }) => method === 'GET').length, expected);
    });
  }
});

test('4.4: an unsafe request ends what is stored, and what is on its way is not stored', async (t) => {
  const stage = await urlStage(t, { bytes: FILE, headers: { etag: ETAG, 'cache-control': 'max-age=60' } });
  assert.equal(await fill(stage), 'new');
  const { cache, key } = { cache: stage.cache, key: { route: 'site', url: 'https://site.test/file?token=1' } };
  await cache.urls.invalidate(key);
  assert.equal(await fill(stage), 'new');
});
