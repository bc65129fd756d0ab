import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { drain, LIBRARY } from '../../../test/support/cache-world.ts';
import { FILE_KEY, urlRequest } from '../../../test/support/fake-site.ts';
import { content, noise } from '../../../test/support/image.ts';
import { FILE, FIRST, SECOND, urlStage } from '../../../test/support/url-stage.ts';
import { OPERATIONS, OPERATOR } from '../../admin/index.ts';
import { digestOf } from '../../oci/index.ts';
import type { UrlKey } from '../url/request.ts';

const OTHER_VERSION: UrlKey = { route: 'site', url: 'https://site.test/other/file?x=1' };
const OTHER_ROUTE: UrlKey = { route: 'site2', url: 'https://site.test/file' };

/** Three answers: two with the same bytes under two routes, and another. */
async function filled(t: TestContext) {
  const stage = await urlStage(t);
  await stage.fill();
  for (const [key, version] of [
    [OTHER_ROUTE, FIRST],
    [OTHER_VERSION, SECOND],
  ] as const) {
    stage.site.version = version;
    const finished = stage.next('ingest.finished');
    const answer = await stage.cache.urls.answer(key, urlRequest(stage.site));
    assert.equal(answer.kind, 'kept');
    if (answer.kind === 'kept') await drain(answer.reader);
    await finished;
  }
  stage.site.version = FIRST;
  assert.equal((await stage.cache.totals()).blobs, 2);
  return stage;
}

describe('purge() of answers by URL', () => {
  test('takes those of a route, and the bytes that only they have', async (t) => {
    const { cache, metadata } = await filled(t);
    for (const dryRun of [true, false]) {
      const purged = await cache.purge([{ route: 'site', path: undefined }], { dryRun });
      assert.deepEqual([purged.urls, purged.blobs, purged.freed], [2, 1, SECOND.bytes.length]);
    }
    assert.deepEqual(
      (await metadata.listUrls({ limit: 9 })).map(({ route }) => route),
      ['site2'],
    );
    assert.deepEqual(await cache.totals(), { blobs: 1, bytes: FILE.length });
    assert.equal((await cache.purge([{ route: '*', path: undefined }])).blobs, 1);
  });

  test('goes by paths at the site, with the query or without', async (t) => {
    for (const [path, urls] of [
      ['/file', 1],
      ['/file?token=1', 1],
      ['/file?token=2', 0],
      ['/other/*', 1],
      ['/*', 1],
      ['/**', 2],
      ['', 0],
    ] as const) {
      const { cache } = await filled(t);
      assert.equal((await cache.purge([{ route: 'site', path }])).urls, urls, path);
    }
  });

  test('leaves the bytes that a repository has, and of an image those that a URL has', async (t) => {
    const { cache, origin, metadata, kept, next } = await filled(t);
    origin.addBlobs(LIBRARY, content('layer', FILE));
    await drain((await cache.blob(LIBRARY, digestOf(FILE), {})).reader);
    const ofUrls = await cache.purge([{ route: '**', path: undefined }]);
    assert.deepEqual([ofUrls.urls, ofUrls.blobs], [3, 1]);
    const finished = next('ingest.finished');
    await drain((await kept()).reader);
    await finished;
    assert.notEqual(await metadata.getUrl(FILE_KEY), undefined);
    const ofImages = await cache.purge([{ repository: '**' }]);
    assert.deepEqual([ofImages.members, ofImages.urls, ofImages.blobs], [1, 0, 0]);
    const { outcome, reader } = await kept();
    assert.equal(outcome, 'REVALIDATED');
    reader.close();
  });

  test('by digest takes everything that leads to it', async (t) => {
    const { cache, metadata } = await filled(t);
    const purged = await cache.purge([{ digest: digestOf(FILE) }]);
    assert.deepEqual([purged.urls, purged.blobs], [2, 1]);
    assert.equal((await metadata.listUrls({ limit: 9 })).length, 1);
  });

  test('is asked for by the word mirror', async (t) => {
    const { cache } = await filled(t);
    const catalogue = undefined as never;
    const answer = await OPERATIONS.purge.handle(
      { patterns: ['mirror:site/**', 'mirror:site2'], dryRun: false },
      { cache, catalogue, hosted: { current: undefined } },
      OPERATOR,
    );
    assert.deepEqual([answer.urls, answer.blobs, answer.patterns], [3, 2, ['mirror:site/**', 'mirror:site2']]);
  });

  test('disturbs no transfer under way, which is kept', async (t) => {
    const { cache, site, next, metadata } = await filled(t);
    const key = { route: 'site', url: 'https://site.test/third' };
    site.version = { bytes: noise('third', 200_000), headers: { etag: '"v3"' } };
    const finished = next('ingest.finished');
    const answer = await cache.urls.answer(key, urlRequest(site));
    await cache.purge([{ route: 'site', path: undefined }]);
    assert.ok(answer.kind === 'kept' && (await drain(answer.reader)).equals(site.version.bytes));
    await finished;
    assert.notEqual(await metadata.getUrl(key), undefined);
  });
});
