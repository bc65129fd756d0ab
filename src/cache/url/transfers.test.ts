import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drain, readSome, readUntilItEnds } from '../../../test/support/cache-world.ts';
import { FILE_KEY } from '../../../test/support/fake-site.ts';
import { noise } from '../../../test/support/image.ts';
import { diskFull } from '../../../test/support/strict-store.ts';
import { cue, FILE, FIRST, SECOND, urlStage } from '../../../test/support/url-stage.ts';
import { digestOf } from '../../oci/index.ts';

for (const on of ['memory', 'filesystem'] as const) {
  describe(`a body by URL on its way in, with its file in ${on}`, () => {
    test('is one question however many ask, and then asked for no more than to confirm it', async (t) => {
      const { site, cache, kept, next, metadata } = await urlStage(t, FIRST, { on });
      site.pieceSize = 10_000;
      const finished = next('ingest.finished');
      const answers = await Promise.all(Array.from({ length: 50 }, () => kept()));
      assert.equal(answers.filter((each) => each.outcome === 'MISS').length, 1);
      assert.equal(answers.filter((each) => each.outcome === 'JOIN').length, 49);
      const bodies = await Promise.all(answers.map(({ reader }, i) => drain(reader, 1000 + i * 977)));
      for (const body of bodies) assert.ok(body.equals(FILE));
      assert.deepEqual(site.asked(), ['GET']);
      const { outcome, digest, registry, repository } = await finished;
      assert.deepEqual(
        { outcome, digest, registry, repository },
        {
          outcome: 'committed',
          digest: digestOf(FILE),
          registry: 'mirror:site',
          repository: 'https://site.test/file',
        },
      );
      assert.deepEqual(await cache.totals(), { blobs: 1, bytes: FILE.length });
      assert.equal((await metadata.getUrl(FILE_KEY))?.digest, digestOf(FILE));
      const warm = await kept();
      assert.equal(warm.outcome, 'REVALIDATED');
      assert.equal(warm.headers['content-type'], 'application/gzip');
      assert.ok((await drain(warm.reader)).equals(FILE));
      assert.deepEqual(site.asked(), ['GET', 'GET if-none-match']);
    });

    test('gives who comes late, and who wants a part, what is there at once', async (t) => {
      const { site, kept } = await urlStage(t, FIRST, { on });
      const body = cue(site);
      const first = await kept();
      (await body(0)).send(FILE.subarray(0, 200_000));
      await (await body(0)).hungry();
      const late = await kept();
      assert.deepEqual([late.outcome, late.size], ['JOIN', FILE.length]);
      assert.ok((await readSome(late.reader, 200_000)).equals(FILE.subarray(0, 200_000)));
      const part = await kept({ range: 'bytes=1000-250000' });
      assert.deepEqual(part.part, { start: 1000, end: 250_000 });
      assert.ok((await readSome(part.reader, 199_000)).equals(FILE.subarray(1000, 200_000)));
      const head = await kept({ method: 'HEAD' });
      assert.deepEqual([head.outcome, head.size, head.headers], ['JOIN', FILE.length, first.headers]);
      const rest = Promise.all([drain(late.reader), drain(part.reader), drain(first.reader)]);
      (await body(0)).send(FILE.subarray(200_000)).end();
      const [lateRest, partRest, whole] = await rest;
      assert.ok(lateRest?.equals(FILE.subarray(200_000)));
      assert.ok(partRest?.equals(FILE.subarray(200_000, 250_001)));
      assert.ok(whole?.equals(FILE));
      assert.deepEqual(site.asked(), ['GET']);
    });

    for (const doesRanges of [true, false]) {
      test(`goes on where it broke off, under its tag, ${doesRanges ? 'by Range' : 'past what came before'}`, async (t) => {
        const { site, kept, seen, next } = await urlStage(t, FIRST, { on });
        site.doesRanges = doesRanges;
        const body = cue(site);
        const finished = next('ingest.finished');
        const { reader } = await kept();
        (await body(0)).send(FILE.subarray(0, 100_000)).cut();
        const second = await body(1);
        assert.deepEqual(site.asked(), ['GET', 'GET 100000-']);
        assert.equal(site.calls[1]?.validator, '"v1"');
        const got = drain(reader);
        second.send(doesRanges ? FILE.subarray(100_000) : FILE).end();
        assert.ok((await got).equals(FILE));
        assert.equal(seen('ingest.resumed')[0]?.offset, 100_000);
        assert.equal((await finished).outcome, 'committed');
      });

      test(`is cut where what would go on has another tag, ${doesRanges ? 'with' : 'without'} ranges`, async (t) => {
        const { site, kept, cache, metadata, next } = await urlStage(t, FIRST, { on });
        site.doesRanges = doesRanges;
        const body = cue(site);
        const finished = next('ingest.finished');
        const { reader } = await kept();
        const got = readUntilItEnds(reader);
        (await body(0)).send(FILE.subarray(0, 100_000));
        await (await body(0)).hungry();
        site.version = SECOND;
        (await body(0)).cut();
        const { bytes, error } = await got;
        assert.match(error?.message ?? '', /another version/);
        assert.ok(bytes.equals(FILE.subarray(0, 100_000)));
        assert.equal((await finished).outcome, 'failed');
        assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
        assert.equal(await metadata.getUrl(FILE_KEY), undefined);
        // Who asks again gets the new one.
        const again = await kept();
        (await body(2)).send(SECOND.bytes).end();
        assert.ok((await drain(again.reader)).equals(SECOND.bytes));
      });
    }

    test('without its length is kept when it ended, and is no part of a Range before', async (t) => {
      const { site, kept, cache, next } = await urlStage(t, { ...FIRST, saysLength: false }, { on });
      const body = cue(site);
      const finished = next('ingest.finished');
      const { reader, size, part } = await kept({ range: 'bytes=0-9' });
      assert.deepEqual([size, part], [undefined, undefined]);
      (await body(0)).send(FILE).end();
      assert.ok((await drain(reader)).equals(FILE));
      assert.equal((await finished).outcome, 'committed');
      assert.deepEqual(await cache.totals(), { blobs: 1, bytes: FILE.length });
    });

    test('without its length goes on by Range, and then has a size', async (t) => {
      const { site, kept, cache, next } = await urlStage(t, { ...FIRST, saysLength: false }, { on });
      const body = cue(site);
      const finished = next('ingest.finished');
      const { reader } = await kept();
      const got = drain(reader);
      (await body(0)).send(FILE.subarray(0, 50_000)).cut();
      (await body(1)).send(FILE.subarray(50_000)).end();
      assert.ok((await got).equals(FILE));
      assert.equal((await finished).outcome, 'committed');
      assert.equal((await cache.totals()).bytes, FILE.length);
    });

    test('without its length is cut where the second attempt ends before the first did', async (t) => {
      const { site, kept, next } = await urlStage(t, { ...FIRST, saysLength: false }, { on });
      site.doesRanges = false;
      const body = cue(site);
      const finished = next('ingest.finished');
      const { reader } = await kept();
      const got = readUntilItEnds(reader);
      (await body(0)).send(FILE.subarray(0, 50_000)).cut();
      (await body(1)).send(FILE.subarray(0, 20_000)).end();
      assert.match((await got).error?.message ?? '', /ends before/);
      assert.equal((await finished).outcome, 'failed');
    });

    test('is cut where it is longer than was said, before its last byte', async (t) => {
      const { site, kept } = await urlStage(t, FIRST, { on });
      const body = cue(site);
      const { reader } = await kept();
      const got = readUntilItEnds(reader);
      (await body(0)).send(FILE.subarray(0, 299_999)).send(noise('more', 2));
      const { bytes, error } = await got;
      assert.match(error?.message ?? '', /more than the 300000 bytes/);
      assert.ok(bytes.length < FILE.length);
    });

    test('reaches everyone where the disk takes no more', async (t) => {
      const { site, kept, store, cache, metadata } = await urlStage(t, FIRST, { on });
      let writes = 0;
      store.before = (step) => {
        if (step === 'write' && (writes += 1) === 3) throw diskFull();
      };
      const answers = await Promise.all([kept(), kept(), kept({ range: 'bytes=1000-299999' })]);
      const [one, other, part] = await Promise.all(answers.map(({ reader }) => drain(reader)));
      assert.ok(one?.equals(FILE) && other?.equals(FILE) && part?.equals(FILE.subarray(1000)));
      assert.deepEqual(await cache.totals(), { blobs: 0, bytes: 0 });
      assert.equal(await metadata.getUrl(FILE_KEY), undefined);
      assert.ok(site.calls.slice(1).every(({ validator, offset }) => offset === 0 || validator === '"v1"'));
    });

    test('is given up when everyone has left and much is missing', async (t) => {
      const { site, kept, next } = await urlStage(t, { ...FIRST, saysLength: false }, { on });
      const body = cue(site);
      const finished = next('ingest.finished');
      const answers = [await kept(), await kept()];
      (await body(0)).send(FILE.subarray(0, 1000));
      for (const { reader } of answers) reader.close();
      assert.equal((await finished).outcome, 'aborted');
      await (await body(0)).cancelled;
      const again = kept();
      (await body(1)).send(FILE).end();
      assert.ok((await drain((await again).reader)).equals(FILE));
    });
  });
}
