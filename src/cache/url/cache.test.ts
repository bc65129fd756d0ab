import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drain, LIBRARY } from '../../../test/support/cache-world.ts';
import { FakeFailure, Gate } from '../../../test/support/fake-origin.ts';
import { FILE_KEY, plainResponse, urlRequest } from '../../../test/support/fake-site.ts';
import { content } from '../../../test/support/image.ts';
import { cue, FILE, FIRST, SECOND, through, type UrlStage, urlStage } from '../../../test/support/url-stage.ts';
import { digestOf } from '../../oci/index.ts';
import type { KeptUrl, UrlRequest } from './request.ts';

const HOUR = 3_600_000;

describe('an answer by URL that is kept', () => {
  test('is served without a question while it is fresh, with its age', async (t) => {
    const { site, clock, kept, fill } = await urlStage(t, {
      ...FIRST,
      headers: { ...FIRST.headers, 'cache-control': 'max-age=60', age: '5' },
    });
    await fill();
    clock.now += 54_000;
    const { outcome, age, headers, reader } = await kept();
    assert.deepEqual([outcome, age, headers['age']], ['HIT', 59, undefined]);
    assert.ok((await drain(reader)).equals(FILE));
    const head = await kept({ method: 'HEAD' });
    assert.deepEqual([head.outcome, head.size, head.headers], ['HIT', FILE.length, headers]);
    const part = await kept({ range: 'bytes=-10' });
    assert.deepEqual(part.part, { start: 299_990, end: 299_999 });
    assert.ok((await drain(part.reader)).equals(FILE.subarray(-10)));
    assert.deepEqual(site.asked(), []);
    clock.now += 1000;
    (await kept()).reader.close();
    assert.deepEqual(site.asked(), ['GET if-none-match']);
    // Confirmed, it is fresh again: the age it came with is not counted twice.
    clock.now += 54_000;
    assert.equal((await kept({ method: 'HEAD' })).outcome, 'HIT');
  });

  test('of a name that never changes is not asked for again, whatever its headers say', async (t) => {
    const rules = { enabled: true, immutable: true };
    const { site, clock, kept, next } = await urlStage(t, { bytes: FILE, headers: { 'cache-control': 'no-cache' } });
    const finished = next('ingest.finished');
    await drain((await kept({ rules })).reader);
    await finished;
    clock.now += 1e6 * HOUR;
    const again = await kept({ rules });
    assert.equal(again.outcome, 'HIT');
    assert.ok((await drain(again.reader)).equals(FILE));
    assert.deepEqual(site.asked(), ['GET']);
  });

  test('honours If-Range, and tells what no range can be', async (t) => {
    const { kept, fill } = await urlStage(t, { ...FIRST, headers: { etag: '"v1"', 'cache-control': 'max-age=60' } });
    await fill();
    const table: [Partial<UrlRequest>, KeptUrl['part']][] = [
      [
        { range: 'bytes=5-9', ifRange: '"v1"' },
        { start: 5, end: 9 },
      ],
      [{ range: 'bytes=5-9', ifRange: '"v0"' }, undefined],
      // Nearly touching: one part.
      [{ range: 'bytes=5-9,20-30' }, { start: 5, end: 30 }],
      [{ range: 'bytes=5-9,20-30', ifRange: '"v0"' }, undefined],
      [{ range: 'bytes=300000-,-0' }, 'unsatisfiable'],
      [{ range: 'bytes=300000-' }, 'unsatisfiable'],
    ];
    for (const [request, part] of table) {
      const answer = await kept(request);
      assert.deepEqual(answer.part, part);
      const length = part === undefined ? FILE.length : part === 'unsatisfiable' ? 0 : part.end - part.start + 1;
      assert.equal((await drain(answer.reader)).length, length);
    }
  });

  test('has several parts, each opened by itself and all of one version', async (t) => {
    const { kept, fill, site } = await urlStage(t, {
      ...FIRST,
      headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
    });
    await fill();
    const { part, reader, several } = await kept({ range: 'bytes=5-9,2000-2009' });
    site.version = SECOND;
    assert.deepEqual(part, { start: 5, end: 9 });
    assert.ok((await drain(reader)).equals(FILE.subarray(5, 10)));
    const second = several?.parts[1];
    assert.ok(several !== undefined && second !== undefined && several.parts.length === 2);
    assert.ok((await drain(await several.open(second))).equals(FILE.subarray(2000, 2010)));
  });

  test('gives way to a new version, for all who ask at once', async (t) => {
    const { site, kept, fill, metadata, next } = await urlStage(t);
    await fill();
    site.version = SECOND;
    const finished = next('ingest.finished');
    const answers = await Promise.all([kept(), kept(), kept()]);
    for (const { reader } of answers) assert.ok((await drain(reader)).equals(SECOND.bytes));
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      ['MISS', 'JOIN', 'JOIN'],
    );
    assert.deepEqual(site.asked(), ['GET if-none-match']);
    await finished;
    assert.equal((await metadata.getUrl(FILE_KEY))?.headers['etag'], '"v2"');
  });

  test('is not fetched again from who ignores conditions and has the same', async (t) => {
    const { site, kept, fill, seen } = await urlStage(t);
    await fill();
    site.doesConditions = false;
    const again = await kept();
    assert.equal(again.outcome, 'REVALIDATED');
    assert.ok((await drain(again.reader)).equals(FILE));
    assert.equal(seen('ingest.started').length, 1);
  });

  test('is one blob for two URLs, and goes when its blob goes', async (t) => {
    const { site, cache, kept, fill, store, metadata, next } = await urlStage(t, {
      ...FIRST,
      headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
    });
    await fill();
    const other = { ...FILE_KEY, url: 'https://site.test/other' };
    const finished = next('ingest.finished');
    const answer = await cache.urls.answer(other, urlRequest(site));
    assert.ok(answer.kind === 'kept' && (await drain(answer.reader)).equals(FILE));
    await finished;
    assert.deepEqual(await cache.totals(), { blobs: 1, bytes: FILE.length });
    assert.equal((await metadata.urlsOf(digestOf(FILE), 9)).length, 2);
    await store.delete(digestOf(FILE));
    site.calls.length = 0;
    const again = await kept();
    assert.equal(again.outcome, 'MISS');
    assert.ok((await drain(again.reader)).equals(FILE));
    assert.deepEqual(site.asked(), ['GET']);
  });

  test('is evicted as any other, and fetched again', async (t) => {
    const { cache, fill, kept, metadata } = await urlStage(t, {
      ...FIRST,
      headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
    });
    await fill();
    assert.equal((await cache.collect({ maxSize: 0 })).blobs, 1);
    assert.equal(await metadata.getUrl(FILE_KEY), undefined);
    const again = await kept();
    assert.equal(again.outcome, 'MISS');
    again.reader.close();
  });

  test('gives no repository the right to its bytes', async (t) => {
    const { cache, fill, origin } = await urlStage(t);
    await fill();
    origin.addBlobs(LIBRARY, content('layer', FILE));
    const answer = await cache.blob(LIBRARY, digestOf(FILE), {});
    answer.reader.close();
    assert.deepEqual(origin.methods(), ['headBlob']);
  });
});

describe('an upstream in trouble', () => {
  const troubles: Record<string, (site: UrlStage['site']) => void> = {
    'that is dead': (site) => {
      site.before = () => {
        throw new FakeFailure('unavailable');
      };
    },
    'that answers with 503': (site) => {
      site.before = () => plainResponse(503, { 'retry-after': '3' });
    },
    'that throttles': (site) => {
      site.before = () => plainResponse(429);
    },
  };
  for (const [what, trouble] of Object.entries(troubles)) {
    test(`${what} leaves what is here, called stale, and is left alone for a while`, async (t) => {
      const { site, clock, kept, fill } = await urlStage(t);
      await fill();
      trouble(site);
      for (const method of ['GET', 'GET', 'HEAD'] as const) {
        const { outcome, warning, age, reader } = await kept({ method });
        assert.equal(outcome, 'STALE');
        assert.match(warning ?? '', /serving what it said before/);
        assert.equal(age, 0);
        assert.equal((await drain(reader)).length, method === 'GET' ? FILE.length : 0);
      }
      assert.deepEqual(site.asked(), ['GET if-none-match']);
      clock.now += HOUR;
      site.before = () => undefined;
      const again = await kept();
      assert.equal(again.outcome, 'REVALIDATED');
      again.reader.close();
    });
  }

  test('that does not answer is waited for as long as tags are, and then asked behind what is here', async (t) => {
    const { site, kept, fill, next } = await urlStage(t, FIRST, { tags: { staleAfter: 20 } });
    await fill();
    const gate = new Gate();
    site.before = () => gate.pass();
    const stale = await kept();
    assert.equal(stale.outcome, 'STALE');
    assert.ok((await drain(stale.reader)).equals(FILE));
    const again = await kept();
    assert.equal(again.outcome, 'STALE');
    again.reader.close();
    // What it says in the end counts, although no client waits.
    site.version = SECOND;
    const finished = next('ingest.finished');
    gate.open();
    assert.equal((await finished).outcome, 'committed');
    const fresh = await kept();
    assert.ok((await drain(fresh.reader)).equals(SECOND.bytes));
    assert.deepEqual(site.asked(), ['GET if-none-match', 'GET if-none-match']);
  });

  test('is the answer where what is here must be confirmed', async (t) => {
    const { site, ask, fill } = await urlStage(t, { ...FIRST, headers: { etag: '"v1"', 'cache-control': 'no-cache' } });
    await fill();
    site.before = () => plainResponse(503);
    assert.equal((await through(await ask())).status, 503);
    site.before = () => {
      throw new FakeFailure('unavailable');
    };
    await assert.rejects(ask(), FakeFailure);
    await assert.rejects(ask({ method: 'HEAD' }), FakeFailure);
  });

  test('is told to everyone who waits where nothing is here', async (t) => {
    const { site, ask } = await urlStage(t);
    const gate = new Gate();
    site.before = async () => {
      await gate.pass();
      throw new FakeFailure('unavailable');
    };
    const asked = [ask(), ask(), ask()];
    gate.open();
    for (const each of await Promise.allSettled(asked)) assert.equal(each.status, 'rejected');
    assert.deepEqual(site.asked(), ['GET']);
  });
});

describe('an answer by URL that is passed on', () => {
  test('is for one alone, and each of the others asks for itself', async (t) => {
    const { site, ask, cache } = await urlStage(t, { ...FIRST, headers: { 'set-cookie': 'a=b', etag: '"v1"' } });
    const answers = await Promise.all([ask(), ask(), ask()]);
    for (const answer of answers) assert.ok((await through(answer)).bytes.equals(FILE));
    assert.deepEqual(site.asked(), ['GET', 'GET', 'GET']);
    assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
  });

  test('that says it is gone takes what was here along', async (t) => {
    for (const status of [404, 410]) {
      const { site, ask, fill, metadata } = await urlStage(t);
      await fill();
      site.before = () => plainResponse(status);
      assert.equal((await through(await ask())).status, status);
      assert.equal(await metadata.getUrl(FILE_KEY), undefined);
    }
  });

  test('that refuses or leads elsewhere leaves what is here for when it is confirmed', async (t) => {
    const { site, ask, kept, fill } = await urlStage(t);
    await fill();
    for (const status of [302, 401, 403]) {
      site.before = () => plainResponse(status);
      assert.equal((await through(await ask())).status, status);
    }
    site.before = () => undefined;
    const again = await kept();
    assert.equal(again.outcome, 'REVALIDATED');
    again.reader.close();
  });

  test('that something on the way gives in the site’s place leaves what is stored, and it is served', async (t) => {
    const { site, kept, fill, metadata } = await urlStage(t);
    await fill();
    for (const status of [202, 403, 404, 451]) {
      site.before = () => ({ ...plainResponse(status), blockedBy: 'a firewall' });
      const { outcome, warning, reader } = await kept();
      assert.deepEqual([outcome, /is blocked by a firewall/.test(warning ?? '')], ['STALE', true]);
      reader.close();
      assert.notEqual(await metadata.getUrl(FILE_KEY), undefined);
    }
  });

  test('is given back where everyone has left before it came', async (t) => {
    const { site, ask } = await urlStage(t, { ...FIRST, headers: {} });
    const gate = new Gate();
    const body = cue(site);
    site.before = () => gate.pass();
    const left = new AbortController();
    const asked = ask({ signal: left.signal });
    await gate.reached;
    left.abort(new Error('left'));
    await assert.rejects(asked, /left/);
    gate.open();
    await (await body(0)).cancelled;
  });

  test('asks with the conditions and the far range of the client where nothing is here', async (t) => {
    const { site, ask } = await urlStage(t);
    assert.equal((await through(await ask({ ifNoneMatch: '"v1"' }))).status, 304);
    const far = await ask({ range: 'bytes=100000000-', ifRange: '"v1"' });
    if (far.kind === 'through') far.response.body.cancel();
    await through(await ask({ rules: { enabled: false, immutable: true } }));
    assert.deepEqual(site.asked(), ['GET if-none-match', 'GET range if-range', 'GET']);
  });

  test('begins a transfer where the condition of the first did not hold, which outlives it', async (t) => {
    const { site, kept } = await urlStage(t);
    const body = cue(site);
    const left = new AbortController();
    const first = await kept({ ifNoneMatch: '"v0"', signal: left.signal });
    const second = await kept();
    assert.deepEqual([first.outcome, second.outcome], ['MISS', 'JOIN']);
    left.abort();
    first.reader.close();
    (await body(0)).send(FILE).end();
    assert.ok((await drain(second.reader)).equals(FILE));
    assert.deepEqual(site.asked(), ['GET if-none-match']);
  });
});

describe('who comes with credentials', () => {
  const personal = true;

  test('gets nothing stored before it was confirmed to them', async (t) => {
    const { site, ask, kept, fill } = await urlStage(t, {
      ...FIRST,
      headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
    });
    await fill();
    const answer = await kept({ personal });
    assert.equal(answer.outcome, 'REVALIDATED');
    assert.ok((await drain(answer.reader)).equals(FILE));
    assert.deepEqual(site.asked(), ['HEAD']);
    site.before = () => plainResponse(403);
    assert.equal((await through(await ask({ personal }))).status, 403);
    site.before = () => {
      throw new FakeFailure('unavailable');
    };
    await assert.rejects(ask({ personal }), FakeFailure);
  });

  test('leaves nothing behind, unless it is declared public', async (t) => {
    const { site, ask, kept, cache, next } = await urlStage(t);
    assert.ok((await through(await ask({ personal }))).bytes.equals(FILE));
    assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
    site.version = { ...FIRST, headers: { etag: '"v1"', 'cache-control': 'public' } };
    const finished = next('ingest.finished');
    await drain((await kept({ personal })).reader);
    assert.equal((await finished).outcome, 'committed');
  });

  test('joins a transfer that is for them too, and no other', async (t) => {
    const { site, ask, kept } = await urlStage(t);
    const body = cue(site);
    const first = await kept();
    const joined = await kept({ personal });
    assert.equal(joined.outcome, 'JOIN');
    const { version } = site;
    site.version = SECOND;
    const passed = await ask({ personal });
    site.version = version;
    (await body(0)).send(FILE).end();
    (await body(1)).send(SECOND.bytes).end();
    assert.ok((await drain(joined.reader)).equals(FILE));
    assert.ok((await through(passed)).bytes.equals(SECOND.bytes));
    first.reader.close();
    assert.deepEqual(site.asked(), ['GET', 'HEAD', 'HEAD', 'GET']);
  });

  test('gets the upstream’s own head', async (t) => {
    const { site, ask, fill } = await urlStage(t);
    await fill();
    assert.equal((await through(await ask({ personal, method: 'HEAD' }))).status, 200);
    assert.deepEqual(site.asked(), ['HEAD']);
  });

  test('gets a name that never changes where the upstream still shows it to them', async (t) => {
    const rules = { enabled: true, immutable: true };
    const { site, ask, kept, next } = await urlStage(t, { bytes: FILE, headers: {} });
    const finished = next('ingest.finished');
    await drain((await kept({ rules })).reader);
    await finished;
    const again = await kept({ rules, personal });
    assert.equal(again.outcome, 'REVALIDATED');
    assert.ok((await drain(again.reader)).equals(FILE));
    site.before = () => plainResponse(404);
    assert.equal((await through(await ask({ rules, personal }))).status, 404);
  });
});

test('a HEAD renews what is here, and is passed on where nothing is', async (t) => {
  const { site, ask, kept, fill, clock } = await urlStage(t, {
    ...FIRST,
    headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
  });
  assert.equal((await through(await ask({ method: 'HEAD' }))).status, 200);
  site.calls.length = 0;
  await fill();
  clock.now += 61_000;
  assert.equal((await kept({ method: 'HEAD', range: 'bytes=0-1' })).outcome, 'REVALIDATED');
  const { outcome, reader, age } = await kept();
  assert.deepEqual([outcome, age], ['HIT', 0]);
  reader.close();
  assert.deepEqual(site.asked(), ['HEAD']);
  clock.now += 61_000;
  site.version = SECOND;
  assert.equal((await ask({ method: 'HEAD' })).kind, 'through');
});
