import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectUpstreams, serve } from '../../../test/support/connect-upstreams.ts';
import { buildImage, buildReferrer, type Content, content, descriptor } from '../../../test/support/image.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../../../test/support/scripted-upstream.ts';
import { digestOf, type FailureKind, MEDIA_TYPES, type OriginList, type Repository } from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';
import { fallbackTag } from './fallback-referrers.ts';

const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const image = buildImage({ architectures: ['amd64'], layers: [1000] });
const subject = image.index;

function failsAs(kind: FailureKind): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UpstreamError, String(error));
    assert.equal(error.kind, kind, error.message);
    return true;
  };
}

function json(list: OriginList): Record<string, unknown> {
  return JSON.parse(list.bytes.toString()) as Record<string, unknown>;
}

const EMPTY_INDEX = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [],
});

describe('lists of tags and repositories', () => {
  test('are passed on page by page, to the end', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['a', 'b', 'c', 'd', 'e']);
    registry.add(image, 'other', ['x']);
    await using upstreams = connectUpstreams({ url: registry.url });
    const pages: unknown[] = [];
    let page: string | undefined;
    do {
      const query = page === undefined ? ({ kind: 'tags', limit: 2 } as const) : ({ kind: 'tags', page } as const);
      const list = await upstreams.list(app, query);
      pages.push(json(list)['tags']);
      page = list.next;
    } while (page !== undefined && pages.length < 9);
    assert.deepEqual(pages, [['a', 'b'], ['c', 'd'], ['e']]);
    const last = await upstreams.list(app, { kind: 'tags', last: 'd' });
    assert.deepEqual([json(last)['tags'], last.mediaType], [['e'], 'application/json']);
    const catalog = await upstreams.list({ ...app, repository: '' }, { kind: 'catalog' });
    assert.deepEqual(json(catalog), { repositories: ['library/app', 'other'] });
  });

  test('have the names of the registry where the upstream keeps them under a prefix', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    for (const name of ['proxy/library/app', 'proxy/other', 'proxies/x', 'elsewhere']) registry.add(image, name, ['a']);
    const asked: string[] = [];
    await using server = await serve((request, response) => {
      asked.push(request.url ?? '');
      const repositories = ['elsewhere', 'proxies/x', 'proxy', 'proxy/library/app', 'proxy/other', 7];
      response.end(JSON.stringify({ repositories, more: 1 }));
    });
    await using upstreams = connectUpstreams({ url: registry.url, repositoryPrefix: 'proxy' });
    const tags = await upstreams.list(app, { kind: 'tags' });
    assert.deepEqual(json(tags), { name: 'library/app', tags: ['a'] });
    const { digest } = await upstreams.getManifest(app, { kind: 'tag', tag: 'a' });
    assert.equal(digest, image.index.digest);
    const tokens = registry.requests.filter(({ at }) => at === 'token').map(({ url }) => decodeURIComponent(url));
    assert.ok(tokens.length > 0 && tokens.every((url) => url.includes('scope=repository:proxy/library/app:pull')));
    await using open = connectUpstreams({ url: server.url, repositoryPrefix: 'proxy' });
    const rows = [
      [{ kind: 'catalog' }, '/v2/_catalog'],
      [{ kind: 'catalog', last: 'library/app' }, '/v2/_catalog?last=proxy%2Flibrary%2Fapp'],
      [{ kind: 'catalog', last: 'b', page: 'n=2&last=b' }, '/v2/_catalog?n=2&last=proxy%2Fb'],
      [{ kind: 'catalog', last: 'proxy/b', page: 'last=proxy/b&n=2' }, '/v2/_catalog?last=proxy/b&n=2'],
    ] as const;
    for (const [query, path] of rows) {
      const list = await open.list({ ...app, repository: '' }, query);
      assert.deepEqual(json(list), { repositories: ['library/app', 'other'], more: 1 });
      assert.equal(asked.at(-1), path);
    }
  });

  test('ask for a token where that is needed', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.add(image, app.repository, ['a']);
    await using upstreams = connectUpstreams({ url: registry.url });
    assert.deepEqual(json(await upstreams.list(app, { kind: 'tags' }))['tags'], ['a']);
    await assert.rejects(upstreams.list({ ...app, repository: '' }, { kind: 'catalog' }), failsAs('not-found'));
  });

  test('that are no lists are invalid', async () => {
    for (const body of ['<html>log in</html>', '', '[]']) {
      await using server = await serve((_request, response) => response.end(body));
      await using upstreams = connectUpstreams({ url: server.url });
      await assert.rejects(upstreams.list(app, { kind: 'tags' }), failsAs('invalid'));
    }
  });

  test('that do not end are invalid', async () => {
    await using server = await serve((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, ' ');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    await using upstreams = connectUpstreams({ url: server.url });
    await assert.rejects(upstreams.list(app, { kind: 'tags' }), failsAs('invalid'));
  });
});

describe('referrers', () => {
  const note = buildReferrer(subject, { artifactType: 'application/vnd.example.note' });
  const sbom = buildReferrer(subject, { artifactType: 'application/vnd.example.sbom' });
  const signature = content(MEDIA_TYPES.ociManifest, Buffer.from('{"schemaVersion":2,"layers":[]}'));
  const hex = subject.digest.slice(7);
  const foreign = buildReferrer(image.platforms[0]?.manifest ?? subject, {
    artifactType: 'application/vnd.example.sbom',
  });

  /** Leaves what clients leave where there is no list: manifests, and an index of them under the fallback tag. */
  function addFallback(
    registry: ScriptedUpstream,
    manifests: readonly Content[] = [note.manifest, sbom.manifest],
    artifactType = 'application/vnd.oci.empty.v1+json',
  ): void {
    for (const each of manifests) registry.library.addManifest(app.repository, each);
    listUnderTag(
      registry,
      manifests.map((each) => ({ ...descriptor(each), artifactType })),
    );
  }

  function listUnderTag(registry: ScriptedUpstream, manifests: readonly object[]): void {
    const index = content(
      MEDIA_TYPES.ociIndex,
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests })),
    );
    registry.library.addManifest(app.repository, index);
    registry.library.tag(app.repository, { tag: fallbackTag(subject.digest), digest: index.digest });
  }

  function addCosign(registry: ScriptedUpstream): void {
    registry.library.addManifest(app.repository, signature);
    registry.library.tag(app.repository, { tag: `sha256-${hex}.sig`, digest: signature.digest });
  }

  function found(list: OriginList): unknown[] {
    return (json(list)['manifests'] as { digest: string; artifactType: string }[]).map((each) => [
      each.digest,
      each.artifactType,
    ]);
  }

  const query = { kind: 'referrers', digest: subject.digest } as const;

  test('are passed on where the upstream lists them', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository);
    registry.library.addManifest(app.repository, note.manifest);
    registry.library.addManifest(app.repository, sbom.manifest);
    await using upstreams = connectUpstreams({ url: registry.url });
    const all = await upstreams.list(app, query);
    assert.equal(found(all).length, 2);
    assert.deepEqual([all.mediaType, all.filtersApplied], [MEDIA_TYPES.ociIndex, undefined]);
    const some = await upstreams.list(app, { ...query, artifactType: 'application/vnd.example.sbom' });
    assert.deepEqual(found(some), [[sbom.manifest.digest, 'application/vnd.example.sbom']]);
    assert.equal(some.filtersApplied, 'artifactType');
    // No GET, which a registry may count as a pull: the subject's HEAD shows that a HEAD for the fallback tag can be believed.
    assert.equal(registry.count({ kind: 'manifest', method: 'GET' }), 0);
    assert.equal(registry.count({ kind: 'manifest', method: 'HEAD' }), 3);
  });

  test('of an upstream that refuses HEAD are still those of the fallback tag', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository);
    addFallback(registry, [note.manifest]);
    registry.fault({ kind: 'manifest', method: 'HEAD' }, { status: 404 });
    await using upstreams = connectUpstreams({ url: registry.url });
    assert.equal(found(await upstreams.list(app, query)).length, 1);
  });

  for (const personality of ['ghcr', 'ecrPublic'] as const) {
    test(`are those of the fallback tag where there is no list, by what the manifests say (${personality})`, async () => {
      await using registry = await startScriptedUpstream({ personality });
      registry.add(image, app.repository);
      // Cosign writes the type of the config for the artifact's; another subject, and what has none, are no referrers.
      addFallback(registry, [note.manifest, sbom.manifest, foreign.manifest, signature]);
      addCosign(registry);
      await using upstreams = connectUpstreams({ url: registry.url, name: 'reg' });
      const all = await upstreams.list(app, query);
      assert.deepEqual(found(all), [
        [note.manifest.digest, 'application/vnd.example.note'],
        [sbom.manifest.digest, 'application/vnd.example.sbom'],
      ]);
      assert.deepEqual(
        [all.upstream, all.mediaType, all.next, all.filtersApplied],
        ['reg', MEDIA_TYPES.ociIndex, undefined, undefined],
      );
      const some = await upstreams.list(app, { ...query, artifactType: 'application/vnd.example.sbom' });
      assert.deepEqual([found(some).length, some.filtersApplied], [1, 'artifactType']);
      const none = await upstreams.list(app, { ...query, artifactType: 'application/vnd.oci.empty.v1+json' });
      assert.deepEqual([found(none), none.filtersApplied], [[], 'artifactType']);
      assert.equal(registry.count({ at: 'cdn' }), 0, "GHCR's page is not asked for");
    });
  }

  for (const status of [400, 404, 405, 501]) {
    test(`are those of the fallback tag where the upstream answers ${status} to a question for its list`, async () => {
      await using registry = await startScriptedUpstream();
      registry.add(image, app.repository);
      addFallback(registry);
      registry.fault({ kind: 'referrers' }, { status });
      await using upstreams = connectUpstreams({ url: registry.url });
      assert.ok(found(await upstreams.list(app, query)).length > 0);
    });
  }

  test('without a list are none of cosign’s tags', async () => {
    await using registry = await startScriptedUpstream({ personality: 'ghcr' });
    registry.add(image, app.repository);
    addCosign(registry);
    await using upstreams = connectUpstreams({ url: registry.url });
    assert.deepEqual(found(await upstreams.list(app, query)), []);
  });

  test('are the upstream’s own, and what its list lacks of the fallback tag', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository);
    const native = (...manifests: readonly Content[]): object => ({
      schemaVersion: 2,
      annotations: { kept: 'yes' },
      manifests: manifests.map((each) => ({ ...descriptor(each), artifactType: 'application/vnd.example.note' })),
    });
    addFallback(registry, [note.manifest, sbom.manifest]);
    const rows: readonly [name: string, own: object, artifactType: string | undefined, expected: string[]][] = [
      ['empty', native(), undefined, [note.manifest.digest, sbom.manifest.digest]],
      ['partial', native(note.manifest), undefined, [note.manifest.digest, sbom.manifest.digest]],
      ['filtered', native(note.manifest), 'application/vnd.example.sbom', [sbom.manifest.digest]],
    ];
    for (const [name, own, artifactType, expected] of rows) {
      const mend = registry.fault({ kind: 'referrers' }, { status: 200, body: JSON.stringify(own) });
      await using upstreams = connectUpstreams({ url: registry.url });
      const list = await upstreams.list(app, artifactType === undefined ? query : { ...query, artifactType });
      assert.deepEqual(
        found(list).map((each) => (each as string[])[0]),
        expected,
        name,
      );
      assert.equal(list.filtersApplied, artifactType === undefined ? undefined : 'artifactType', name);
      assert.deepEqual(json(list)['annotations'], { kept: 'yes' }, name);
      mend();
    }
  });

  test('are the upstream’s own while the fallback tag cannot be read', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository);
    registry.library.addManifest(app.repository, note.manifest);
    registry.fault({ kind: 'manifest' }, { status: 429 });
    await using upstreams = connectUpstreams({ url: registry.url });
    assert.equal(found(await upstreams.list(app, query)).length, 1);
  });

  test('are read once for all who ask, and each manifest once', async () => {
    await using registry = await startScriptedUpstream({ personality: 'ghcr' });
    registry.add(image, app.repository);
    addFallback(registry);
    await using upstreams = connectUpstreams({ url: registry.url });
    const lists = await Promise.all(Array.from({ length: 20 }, () => upstreams.list(app, query)));
    assert.deepEqual(new Set(lists.map((list) => found(list).length)), new Set([2]));
    assert.equal(registry.count({ kind: 'manifest', method: 'GET' }), 3);
    await upstreams.list(app, query);
    assert.equal(registry.count({ kind: 'manifest', method: 'GET' }), 4);
  });

  test('go on for the others when the first who asked leaves', async () => {
    await using registry = await startScriptedUpstream({ personality: 'ghcr' });
    registry.add(image, app.repository);
    addFallback(registry);
    await using upstreams = connectUpstreams({ url: registry.url });
    const leaving = new AbortController();
    const first = upstreams.list(app, query, { signal: leaving.signal });
    const second = upstreams.list(app, query);
    leaving.abort(new Error('left'));
    await assert.rejects(first, /left/);
    assert.equal(found(await second).length, 2);
  });

  test('are read up to a bound, and the rest stays as the tag lists it', async () => {
    await using registry = await startScriptedUpstream({ personality: 'ghcr' });
    registry.add(image, app.repository);
    const many = Array.from({ length: 1000 }, (_, i) => digestOf(Buffer.from(`none ${i}`)));
    listUnderTag(
      registry,
      many.map((digest) => ({ mediaType: MEDIA_TYPES.ociManifest, digest, size: 1 })),
    );
    await using upstreams = connectUpstreams({ url: registry.url });
    const list = await upstreams.list(app, query);
    assert.equal(registry.count({ kind: 'manifest', method: 'GET' }), 1 + 64);
    assert.equal(found(list).length, 1000 - 64);
  });

  test('are an empty index where no upstream has any', async () => {
    await using registry = await startScriptedUpstream({ personality: 'ghcr' });
    registry.add(image, app.repository);
    await using upstreams = connectUpstreams({ url: registry.url });
    const list = await upstreams.list(app, query);
    assert.deepEqual(json(list), { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [] });
  });

  test('are looked for at the next upstream where the first has none', async () => {
    await using hot = await startScriptedUpstream({ personality: 'ghcr' });
    await using cold = await startScriptedUpstream({ personality: 'ghcr' });
    for (const each of [hot, cold]) each.add(image, app.repository);
    addFallback(cold, [note.manifest]);
    await using upstreams = connectUpstreams({ url: hot.url }, { url: cold.url, name: 'cold' });
    const list = await upstreams.list(app, query);
    assert.deepEqual([list.upstream, found(list).length], ['cold', 1]);
  });

  describe('where one of two upstreams cannot answer', () => {
    /** What an upstream is: its list is empty; the same, but it lacks the subject; it has no list; it fails. */
    type Habit = 'empty' | 'empty, without the subject' | 'no list' | 'down' | 'throttles' | 'is wrong';
    const rows: readonly (readonly [first: Habit, second: Habit, expected: 'an empty list' | FailureKind])[] = [
      ['empty', 'down', 'an empty list'],
      ['empty', 'throttles', 'an empty list'],
      ['empty', 'is wrong', 'an empty list'],
      ['down', 'empty', 'an empty list'],
      ['empty', 'no list', 'an empty list'],
      ['empty, without the subject', 'empty', 'an empty list'],
      // The list may be empty because the first lacks the manifest, and so its referrers.
      ['empty, without the subject', 'down', 'unavailable'],
      ['empty, without the subject', 'throttles', 'throttled'],
      // Without a list of its own, a copy may lack the fallback tag.
      ['no list', 'down', 'unavailable'],
      ['down', 'no list', 'unavailable'],
      ['down', 'throttles', 'throttled'],
    ];

    async function upstreamOf(habit: Habit): Promise<ScriptedUpstream> {
      const registry = await startScriptedUpstream({ personality: habit === 'no list' ? 'ghcr' : 'plain' });
      if (habit !== 'empty, without the subject') registry.add(image, app.repository);
      else registry.fault({ kind: 'referrers' }, { status: 200, body: EMPTY_INDEX });
      if (habit === 'down') registry.fault({}, { status: 503, headers: { 'retry-after': '9' } });
      if (habit === 'throttles') registry.fault({}, { status: 429, headers: { 'retry-after': '1' } });
      if (habit === 'is wrong') registry.fault({}, { status: 200, body: '<html>' });
      return registry;
    }

    for (const [first, second, expected] of rows) {
      test(`${first}; ${second}: ${expected}`, async () => {
        await using hot = await upstreamOf(first);
        await using cold = await upstreamOf(second);
        await using upstreams = connectUpstreams({ url: hot.url, name: 'hot' }, { url: cold.url, name: 'cold' });
        const listing = upstreams.list(app, query);
        if (expected === 'an empty list') assert.deepEqual(found(await listing), []);
        else await assert.rejects(listing, failsAs(expected));
      });
    }
  });

  test('are a failure, not an empty list, where no upstream could answer', async () => {
    await using registry = await startScriptedUpstream({ personality: 'ghcr' });
    registry.add(image, app.repository);
    const troubles = [
      ['manifest', 503, 'unavailable'],
      ['referrers', 429, 'throttled'],
    ] as const;
    for (const [kind, status, failure] of troubles) {
      registry.heal();
      registry.fault({ kind }, { status, headers: { 'retry-after': '1' } });
      await using upstreams = connectUpstreams({ url: registry.url });
      await assert.rejects(upstreams.list(app, query), failsAs(failure));
    }
  });

  test('of a repository that is closed to us are denied', async () => {
    await using registry = await startScriptedUpstream({
      personality: 'ecr',
      credentials: { username: 'a', password: 'b' },
    });
    registry.add(image, app.repository);
    await using upstreams = connectUpstreams({ url: registry.url });
    await assert.rejects(upstreams.list(app, query), failsAs('denied'));
  });
});
