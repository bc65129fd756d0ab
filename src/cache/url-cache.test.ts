import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  type CacheWorld,
  cacheWorld,
  drain,
  LIBRARY,
  readSome,
  readUntilItEnds,
  type WorldOptions,
} from '../../test/support/cache-world.ts';
import { CuedBody, FakeFailure, Gate } from '../../test/support/fake-origin.ts';
import { FakeSite, FILE_KEY, plainResponse, type SiteVersion, urlRequest } from '../../test/support/fake-site.ts';
import { content, noise } from '../../test/support/image.ts';
import { diskFull } from '../../test/support/strict-store.ts';
import { digestOf } from '../oci/index.ts';
import type { KeptUrl, UrlAnswer, UrlRequest } from './url-request.ts';

const BYTES = noise('file', 300_000);
const FIRST: SiteVersion = { bytes: BYTES, headers: { etag: '"v1"', 'content-type': 'application/gzip' } };
const SECOND: SiteVersion = { bytes: noise('other', 300_000), headers: { etag: '"v2"' } };
const HOUR = 3_600_000;

interface Stage extends CacheWorld {
  readonly site: FakeSite;
  readonly clock: { now: number };
  ask(changes?: Partial<UrlRequest>): Promise<UrlAnswer>;
  /** Fails where it is passed on. */
  kept(changes?: Partial<UrlRequest>): Promise<KeptUrl>;
  /** Asks, reads all of it, and waits until it is kept. */
  fill(): Promise<void>;
}

async function stage(t: TestContext, version: SiteVersion = FIRST, options: WorldOptions = {}): Promise<Stage> {
  const clock = { now: Date.parse('2026-11-21T12:00:00Z') };
  const world = await cacheWorld(t, { now: () => clock.now, ...options });
  const site = new FakeSite(version);
  const ask = (changes?: Partial<UrlRequest>) => world.cache.urls.answer(FILE_KEY, urlRequest(site, changes));
  const kept = async (changes?: Partial<UrlRequest>): Promise<KeptUrl> => {
    const answer = await ask(changes);
    assert.equal(answer.kind, 'kept');
    return answer as KeptUrl;
  };
  const fill = async (): Promise<void> => {
    const finished = world.next('ingest.finished');
    const { reader } = await kept();
    await drain(reader);
    assert.equal((await finished).outcome, 'committed');
    site.calls.length = 0;
  };
  return { ...world, site, clock, ask, kept, fill };
}

/** Bodies that come on cue: one for each opening, in order. */
function cue(site: FakeSite): (n: number) => Promise<CuedBody> {
  const bodies: CuedBody[] = [];
  let opened = Promise.withResolvers<void>();
  site.deliver = () => {
    const body = new CuedBody();
    bodies.push(body);
    opened.resolve();
    opened = Promise.withResolvers();
    return body;
  };
  return async (n) => {
    while (bodies.length <= n) await opened.promise;
    return bodies[n] as CuedBody;
  };
}

async function through(answer: UrlAnswer): Promise<{ readonly status: number; readonly bytes: Buffer }> {
  assert.equal(answer.kind, 'through');
  if (answer.kind !== 'through') throw new TypeError();
  const parts: Buffer[] = [];
  for (;;) {
    const chunk = await answer.response.body.read();
    if (chunk === undefined) return { status: answer.response.status, bytes: Buffer.concat(parts) };
    parts.push(Buffer.from(chunk));
  }
}

for (const on of ['memory', 'filesystem'] as const) {
  describe(`a body by URL on its way in, with its file in ${on}`, () => {
    test('is one question however many ask, and then asked for no more than to confirm it', async (t) => {
      const { site, cache, kept, next, names } = await stage(t, FIRST, { on });
      site.pieceSize = 10_000;
      const finished = next('ingest.finished');
      const answers = await Promise.all(Array.from({ length: 50 }, () => kept()));
      assert.equal(answers.filter((each) => each.outcome === 'MISS').length, 1);
      assert.equal(answers.filter((each) => each.outcome === 'JOIN').length, 49);
      const bodies = await Promise.all(answers.map(({ reader }, i) => drain(reader, 1000 + i * 977)));
      for (const body of bodies) assert.ok(body.equals(BYTES));
      assert.deepEqual(site.asked(), ['GET']);
      const { outcome, digest, registry, repository } = await finished;
      assert.deepEqual(
        { outcome, digest, registry, repository },
        {
          outcome: 'committed',
          digest: digestOf(BYTES),
          registry: 'mirror:site',
          repository: 'https://site.test/file',
        },
      );
      assert.deepEqual(await cache.totals(), { blobs: 1, bytes: BYTES.length });
      assert.equal((await names.getUrl(FILE_KEY))?.digest, digestOf(BYTES));
      const warm = await kept();
      assert.equal(warm.outcome, 'REVALIDATED');
      assert.equal(warm.headers['content-type'], 'application/gzip');
      assert.ok((await drain(warm.reader)).equals(BYTES));
      assert.deepEqual(site.asked(), ['GET', 'GET if-none-match']);
    });

    test('gives who comes late, and who wants a part, what is there at once', async (t) => {
      const { site, kept } = await stage(t, FIRST, { on });
      const body = cue(site);
      const first = await kept();
      (await body(0)).send(BYTES.subarray(0, 200_000));
      await (await body(0)).hungry();
      const late = await kept();
      assert.deepEqual([late.outcome, late.size], ['JOIN', BYTES.length]);
      assert.ok((await readSome(late.reader, 200_000)).equals(BYTES.subarray(0, 200_000)));
      const part = await kept({ range: 'bytes=1000-250000' });
      assert.deepEqual(part.part, { start: 1000, end: 250_000 });
      assert.ok((await readSome(part.reader, 199_000)).equals(BYTES.subarray(1000, 200_000)));
      const head = await kept({ method: 'HEAD' });
      assert.deepEqual([head.outcome, head.size, head.headers], ['JOIN', BYTES.length, first.headers]);
      const rest = Promise.all([drain(late.reader), drain(part.reader), drain(first.reader)]);
      (await body(0)).send(BYTES.subarray(200_000)).end();
      const [lateRest, partRest, whole] = await rest;
      assert.ok(lateRest?.equals(BYTES.subarray(200_000)));
      assert.ok(partRest?.equals(BYTES.subarray(200_000, 250_001)));
      assert.ok(whole?.equals(BYTES));
      assert.deepEqual(site.asked(), ['GET']);
    });

    for (const doesRanges of [true, false]) {
      test(`goes on where it broke off, under its tag, ${doesRanges ? 'by Range' : 'past what came before'}`, async (t) => {
        const { site, kept, seen, next } = await stage(t, FIRST, { on });
        site.doesRanges = doesRanges;
        const body = cue(site);
        const finished = next('ingest.finished');
        const { reader } = await kept();
        (await body(0)).send(BYTES.subarray(0, 100_000)).cut();
        const second = await body(1);
        assert.deepEqual(site.asked(), ['GET', 'GET 100000-']);
        assert.equal(site.calls[1]?.validator, '"v1"');
        const got = drain(reader);
        second.send(doesRanges ? BYTES.subarray(100_000) : BYTES).end();
        assert.ok((await got).equals(BYTES));
        assert.equal(seen('ingest.resumed')[0]?.offset, 100_000);
        assert.equal((await finished).outcome, 'committed');
      });

      test(`is cut where what would go on has another tag, ${doesRanges ? 'with' : 'without'} ranges`, async (t) => {
        const { site, kept, cache, names, next } = await stage(t, FIRST, { on });
        site.doesRanges = doesRanges;
        const body = cue(site);
        const finished = next('ingest.finished');
        const { reader } = await kept();
        const got = readUntilItEnds(reader);
        (await body(0)).send(BYTES.subarray(0, 100_000));
        await (await body(0)).hungry();
        site.version = SECOND;
        (await body(0)).cut();
        const { bytes, error } = await got;
        assert.match(error?.message ?? '', /another version/);
        assert.ok(bytes.equals(BYTES.subarray(0, 100_000)));
        assert.equal((await finished).outcome, 'failed');
        assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
        assert.equal(await names.getUrl(FILE_KEY), undefined);
        // Who asks again gets the new one.
        const again = await kept();
        (await body(2)).send(SECOND.bytes).end();
        assert.ok((await drain(again.reader)).equals(SECOND.bytes));
      });
    }

    test('without its length is kept when it ended, and is no part of a Range before', async (t) => {
      const { site, kept, cache, next } = await stage(t, { ...FIRST, saysLength: false }, { on });
      const body = cue(site);
      const finished = next('ingest.finished');
      const { reader, size, part } = await kept({ range: 'bytes=0-9' });
      assert.deepEqual([size, part], [undefined, undefined]);
      (await body(0)).send(BYTES).end();
      assert.ok((await drain(reader)).equals(BYTES));
      assert.equal((await finished).outcome, 'committed');
      assert.deepEqual(await cache.totals(), { blobs: 1, bytes: BYTES.length });
    });

    test('without its length goes on by Range, and then has a size', async (t) => {
      const { site, kept, cache, next } = await stage(t, { ...FIRST, saysLength: false }, { on });
      const body = cue(site);
      const finished = next('ingest.finished');
      const { reader } = await kept();
      const got = drain(reader);
      (await body(0)).send(BYTES.subarray(0, 50_000)).cut();
      (await body(1)).send(BYTES.subarray(50_000)).end();
      assert.ok((await got).equals(BYTES));
      assert.equal((await finished).outcome, 'committed');
      assert.equal((await cache.totals()).bytes, BYTES.length);
    });

    test('without its length is cut where the second attempt ends before the first did', async (t) => {
      const { site, kept, next } = await stage(t, { ...FIRST, saysLength: false }, { on });
      site.doesRanges = false;
      const body = cue(site);
      const finished = next('ingest.finished');
      const { reader } = await kept();
      const got = readUntilItEnds(reader);
      (await body(0)).send(BYTES.subarray(0, 50_000)).cut();
      (await body(1)).send(BYTES.subarray(0, 20_000)).end();
      assert.match((await got).error?.message ?? '', /ends before/);
      assert.equal((await finished).outcome, 'failed');
    });

    test('is cut where it is longer than was said, before its last byte', async (t) => {
      const { site, kept } = await stage(t, FIRST, { on });
      const body = cue(site);
      const { reader } = await kept();
      const got = readUntilItEnds(reader);
      (await body(0)).send(BYTES.subarray(0, 299_999)).send(noise('more', 2));
      const { bytes, error } = await got;
      assert.match(error?.message ?? '', /more than the 300000 bytes/);
      assert.ok(bytes.length < BYTES.length);
    });

    test('reaches everyone where the disk takes no more', async (t) => {
      const { site, kept, store, cache, names } = await stage(t, FIRST, { on });
      let writes = 0;
      store.before = (step) => {
        if (step === 'write' && (writes += 1) === 3) throw diskFull();
      };
      const answers = await Promise.all([kept(), kept(), kept({ range: 'bytes=1000-299999' })]);
      const [one, other, part] = await Promise.all(answers.map(({ reader }) => drain(reader)));
      assert.ok(one?.equals(BYTES) && other?.equals(BYTES) && part?.equals(BYTES.subarray(1000)));
      assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
      assert.equal(await names.getUrl(FILE_KEY), undefined);
      assert.ok(site.calls.slice(1).every(({ validator, offset }) => offset === 0 || validator === '"v1"'));
    });

    test('is given up when everyone has left and much is missing', async (t) => {
      const { site, kept, next } = await stage(t, { ...FIRST, saysLength: false }, { on });
      const body = cue(site);
      const finished = next('ingest.finished');
      const answers = [await kept(), await kept()];
      (await body(0)).send(BYTES.subarray(0, 1000));
      for (const { reader } of answers) reader.close();
      assert.equal((await finished).outcome, 'aborted');
      await (await body(0)).cancelled;
      const again = kept();
      (await body(1)).send(BYTES).end();
      assert.ok((await drain((await again).reader)).equals(BYTES));
    });
  });
}

describe('an answer by URL that is kept', () => {
  test('is served without a question while it is fresh, with its age', async (t) => {
    const { site, clock, kept, fill } = await stage(t, {
      ...FIRST,
      headers: { ...FIRST.headers, 'cache-control': 'max-age=60', age: '5' },
    });
    await fill();
    clock.now += 54_000;
    const { outcome, age, headers, reader } = await kept();
    assert.deepEqual([outcome, age, headers['age']], ['HIT', 59, undefined]);
    assert.ok((await drain(reader)).equals(BYTES));
    const head = await kept({ method: 'HEAD' });
    assert.deepEqual([head.outcome, head.size, head.headers], ['HIT', BYTES.length, headers]);
    const part = await kept({ range: 'bytes=-10' });
    assert.deepEqual(part.part, { start: 299_990, end: 299_999 });
    assert.ok((await drain(part.reader)).equals(BYTES.subarray(-10)));
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
    const { site, clock, kept, next } = await stage(t, { bytes: BYTES, headers: { 'cache-control': 'no-cache' } });
    const finished = next('ingest.finished');
    await drain((await kept({ rules })).reader);
    await finished;
    clock.now += 1e6 * HOUR;
    const again = await kept({ rules });
    assert.equal(again.outcome, 'HIT');
    assert.ok((await drain(again.reader)).equals(BYTES));
    assert.deepEqual(site.asked(), ['GET']);
  });

  test('honours If-Range, and tells what no range can be', async (t) => {
    const { kept, fill } = await stage(t, { ...FIRST, headers: { etag: '"v1"', 'cache-control': 'max-age=60' } });
    await fill();
    const table: [Partial<UrlRequest>, KeptUrl['part']][] = [
      [
        { range: 'bytes=5-9', ifRange: '"v1"' },
        { start: 5, end: 9 },
      ],
      [{ range: 'bytes=5-9', ifRange: '"v0"' }, undefined],
      [{ range: 'bytes=5-9,20-30' }, undefined],
      [{ range: 'bytes=300000-' }, 'unsatisfiable'],
    ];
    for (const [request, part] of table) {
      const answer = await kept(request);
      assert.deepEqual(answer.part, part);
      const length = part === undefined ? BYTES.length : part === 'unsatisfiable' ? 0 : 5;
      assert.equal((await drain(answer.reader)).length, length);
    }
  });

  test('gives way to a new version, for all who ask at once', async (t) => {
    const { site, kept, fill, names, next } = await stage(t);
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
    assert.equal((await names.getUrl(FILE_KEY))?.headers['etag'], '"v2"');
  });

  test('is not fetched again from who ignores conditions and has the same', async (t) => {
    const { site, kept, fill, seen } = await stage(t);
    await fill();
    site.doesConditions = false;
    const again = await kept();
    assert.equal(again.outcome, 'REVALIDATED');
    assert.ok((await drain(again.reader)).equals(BYTES));
    assert.equal(seen('ingest.started').length, 1);
  });

  test('is one blob for two URLs, and goes when its blob goes', async (t) => {
    const { site, cache, kept, fill, store, names, next } = await stage(t, {
      ...FIRST,
      headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
    });
    await fill();
    const other = { ...FILE_KEY, url: 'https://site.test/other' };
    const finished = next('ingest.finished');
    const answer = await cache.urls.answer(other, urlRequest(site));
    assert.ok(answer.kind === 'kept' && (await drain(answer.reader)).equals(BYTES));
    await finished;
    assert.deepEqual(await cache.totals(), { blobs: 1, bytes: BYTES.length });
    assert.equal((await names.urlsOf(digestOf(BYTES), 9)).length, 2);
    await store.delete(digestOf(BYTES));
    site.calls.length = 0;
    const again = await kept();
    assert.equal(again.outcome, 'MISS');
    assert.ok((await drain(again.reader)).equals(BYTES));
    assert.deepEqual(site.asked(), ['GET']);
  });

  test('is evicted as any other, and fetched again', async (t) => {
    const { cache, fill, kept, names } = await stage(t, {
      ...FIRST,
      headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
    });
    await fill();
    assert.equal((await cache.collect({ maxSize: 0 })).blobs, 1);
    assert.equal(await names.getUrl(FILE_KEY), undefined);
    const again = await kept();
    assert.equal(again.outcome, 'MISS');
    again.reader.close();
  });

  test('gives no repository the right to its bytes', async (t) => {
    const { cache, fill, origin } = await stage(t);
    await fill();
    origin.addBlobs(LIBRARY, content('layer', BYTES));
    const answer = await cache.blob(LIBRARY, digestOf(BYTES), {});
    answer.reader.close();
    assert.deepEqual(origin.methods(), ['headBlob']);
  });
});

describe('an upstream in trouble', () => {
  const troubles: Record<string, (site: FakeSite) => void> = {
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
      const { site, clock, kept, fill } = await stage(t);
      await fill();
      trouble(site);
      for (const method of ['GET', 'GET', 'HEAD'] as const) {
        const { outcome, warning, age, reader } = await kept({ method });
        assert.equal(outcome, 'STALE');
        assert.match(warning ?? '', /serving what it said before/);
        assert.equal(age, 0);
        assert.equal((await drain(reader)).length, method === 'GET' ? BYTES.length : 0);
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
    const { site, kept, fill, next } = await stage(t, FIRST, { tags: { staleAfter: 20 } });
    await fill();
    const gate = new Gate();
    site.before = () => gate.pass();
    const stale = await kept();
    assert.equal(stale.outcome, 'STALE');
    assert.ok((await drain(stale.reader)).equals(BYTES));
    const again = await kept();
    assert.equal(again.outcome, 'STALE');
    again.reader.close();
    // What it says in the end counts, although nobody waits.
    site.version = SECOND;
    const finished = next('ingest.finished');
    gate.open();
    assert.equal((await finished).outcome, 'committed');
    const fresh = await kept();
    assert.ok((await drain(fresh.reader)).equals(SECOND.bytes));
    assert.deepEqual(site.asked(), ['GET if-none-match', 'GET if-none-match']);
  });

  test('is the answer where what is here must be confirmed', async (t) => {
    const { site, ask, fill } = await stage(t, { ...FIRST, headers: { etag: '"v1"', 'cache-control': 'no-cache' } });
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
    const { site, ask } = await stage(t);
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
    const { site, ask, cache } = await stage(t, { ...FIRST, headers: { 'set-cookie': 'a=b', etag: '"v1"' } });
    const answers = await Promise.all([ask(), ask(), ask()]);
    for (const answer of answers) assert.ok((await through(answer)).bytes.equals(BYTES));
    assert.deepEqual(site.asked(), ['GET', 'GET', 'GET']);
    assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
  });

  test('that says it is gone takes what was here along', async (t) => {
    for (const status of [404, 410]) {
      const { site, ask, fill, names } = await stage(t);
      await fill();
      site.before = () => plainResponse(status);
      assert.equal((await through(await ask())).status, status);
      assert.equal(await names.getUrl(FILE_KEY), undefined);
    }
  });

  test('that refuses or leads elsewhere leaves what is here for when it is confirmed', async (t) => {
    const { site, ask, kept, fill } = await stage(t);
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

  test('is given back where everyone has left before it came', async (t) => {
    const { site, ask } = await stage(t, { ...FIRST, headers: {} });
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
    const { site, ask } = await stage(t);
    assert.equal((await through(await ask({ ifNoneMatch: '"v1"' }))).status, 304);
    const far = await ask({ range: 'bytes=100000000-', ifRange: '"v1"' });
    if (far.kind === 'through') far.response.body.cancel();
    await through(await ask({ rules: { enabled: false, immutable: true } }));
    assert.deepEqual(site.asked(), ['GET if-none-match', 'GET range if-range', 'GET']);
  });

  test('begins a transfer where the condition of the first did not hold, which outlives it', async (t) => {
    const { site, kept } = await stage(t);
    const body = cue(site);
    const left = new AbortController();
    const first = await kept({ ifNoneMatch: '"v0"', signal: left.signal });
    const second = await kept();
    assert.deepEqual([first.outcome, second.outcome], ['MISS', 'JOIN']);
    left.abort();
    first.reader.close();
    (await body(0)).send(BYTES).end();
    assert.ok((await drain(second.reader)).equals(BYTES));
    assert.deepEqual(site.asked(), ['GET if-none-match']);
  });
});

describe('who comes with credentials', () => {
  const personal = true;

  test('gets nothing stored before it was confirmed to them', async (t) => {
    const { site, ask, kept, fill } = await stage(t, {
      ...FIRST,
      headers: { etag: '"v1"', 'cache-control': 'max-age=60' },
    });
    await fill();
    const answer = await kept({ personal });
    assert.equal(answer.outcome, 'REVALIDATED');
    assert.ok((await drain(answer.reader)).equals(BYTES));
    assert.deepEqual(site.asked(), ['HEAD']);
    site.before = () => plainResponse(403);
    assert.equal((await through(await ask({ personal }))).status, 403);
    site.before = () => {
      throw new FakeFailure('unavailable');
    };
    await assert.rejects(ask({ personal }), FakeFailure);
  });

  test('leaves nothing behind, unless it is declared public', async (t) => {
    const { site, ask, kept, cache, next } = await stage(t);
    assert.ok((await through(await ask({ personal }))).bytes.equals(BYTES));
    assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
    site.version = { ...FIRST, headers: { etag: '"v1"', 'cache-control': 'public' } };
    const finished = next('ingest.finished');
    await drain((await kept({ personal })).reader);
    assert.equal((await finished).outcome, 'committed');
  });

  test('joins a transfer that is for them too, and no other', async (t) => {
    const { site, ask, kept } = await stage(t);
    const body = cue(site);
    const first = await kept();
    const joined = await kept({ personal });
    assert.equal(joined.outcome, 'JOIN');
    const { version } = site;
    site.version = SECOND;
    const passed = await ask({ personal });
    site.version = version;
    (await body(0)).send(BYTES).end();
    (await body(1)).send(SECOND.bytes).end();
    assert.ok((await drain(joined.reader)).equals(BYTES));
    assert.ok((await through(passed)).bytes.equals(SECOND.bytes));
    first.reader.close();
    assert.deepEqual(site.asked(), ['GET', 'HEAD', 'HEAD', 'GET']);
  });

  test('gets the upstream’s own head', async (t) => {
    const { site, ask, fill } = await stage(t);
    await fill();
    assert.equal((await through(await ask({ personal, method: 'HEAD' }))).status, 200);
    assert.deepEqual(site.asked(), ['HEAD']);
  });

  test('gets a name that never changes where the upstream still shows it to them', async (t) => {
    const rules = { enabled: true, immutable: true };
    const { site, ask, kept, next } = await stage(t, { bytes: BYTES, headers: {} });
    const finished = next('ingest.finished');
    await drain((await kept({ rules, personal })).reader);
    await finished;
    const again = await kept({ rules, personal });
    assert.equal(again.outcome, 'REVALIDATED');
    assert.ok((await drain(again.reader)).equals(BYTES));
    site.before = () => plainResponse(404);
    assert.equal((await through(await ask({ rules, personal }))).status, 404);
  });
});

test('a HEAD renews what is here, and is passed on where nothing is', async (t) => {
  const { site, ask, kept, fill, clock } = await stage(t, {
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
