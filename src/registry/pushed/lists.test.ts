import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hostingStage } from '../../../test/support/hosting-stage.ts';
import { type Content, content } from '../../../test/support/image.ts';
import { smallImage } from '../../../test/support/small-image.ts';
import type { Authorize } from '../../access/index.ts';
import { type Digest, digestHex, digestOf, MEDIA_TYPES, type OriginList, type OriginSource } from '../../oci/index.ts';

const IMAGE = smallImage('listed', []);
const EMPTY = content(MEDIA_TYPES.ociEmpty, Buffer.from('{}'));

/** The path in the Link of an answer. */
function nextOf(headers: Headers): string | undefined {
  return /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
}

/** A manifest that refers to a subject. */
function referrer(subject: Digest, seed: string, more: object = {}): Content {
  const { mediaType, digest, size } = EMPTY;
  const value = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType: 'text/x.a',
    config: { mediaType, digest, size },
    layers: [],
    subject: { mediaType: MEDIA_TYPES.ociManifest, digest: subject, size: 1 },
    annotations: { seed },
    ...more,
  };
  return content(MEDIA_TYPES.ociManifest, Buffer.from(JSON.stringify(value)));
}

describe('the tags of a hosted repository', () => {
  test('are listed byte by byte, in pages that link to the next', async (t) => {
    const stage = await hostingStage(t);
    const tags = ['a', 'a-b', 'a.b', 'B', '1', 'latest', '_x'];
    for (const tag of tags) await stage.pushImage(IMAGE, tag);
    const sorted = [...tags].sort();
    const all = await stage.ask('/v2/team/app/tags/list');
    assert.deepEqual(all.json, { name: 'team/app', tags: sorted });
    assert.equal(all.headers.get('link'), null);
    const spelled = await stage.ask('/v2/apps/team/app/tags/list');
    assert.equal((spelled.json as { name: string }).name, 'apps/team/app', 'as the client spells it');
    for (const start of [
      '/v2/team/app/tags/list?n=2',
      '/v2/apps/team/app/tags/list?n=3',
      '/v2/team/app/tags/list?n=1&ns=apps',
    ]) {
      const found: string[] = [];
      const pages: number[] = [];
      for (let path: string | undefined = start; path !== undefined; ) {
        const { json, headers } = await stage.ask(path);
        const page = (json as { tags: string[] }).tags;
        found.push(...page);
        pages.push(page.length);
        path = nextOf(headers);
      }
      assert.deepEqual(found, sorted);
      assert.ok(
        pages.every((size) => size > 0),
        'no page is empty',
      );
    }
    const last = await stage.ask('/v2/team/app/tags/list?last=a');
    assert.deepEqual(last.json, { name: 'team/app', tags: ['a-b', 'a.b', 'latest'] });
    const beyond = await stage.ask('/v2/team/app/tags/list?last=z&n=5');
    assert.deepEqual([beyond.json, nextOf(beyond.headers)], [{ name: 'team/app', tags: [] }, undefined]);
  });

  test('are none for n=0, unknown for an unknown repository, and an empty list for an emptied one', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    const none = await stage.ask('/v2/team/app/tags/list?n=0');
    assert.deepEqual([none.json, none.headers.get('link')], [{ name: 'team/app', tags: [] }, null]);
    await stage.ask('/v2/team/app/manifests/v1', { method: 'DELETE' });
    const emptied = await stage.ask('/v2/team/app/tags/list');
    assert.deepEqual([emptied.status, emptied.json], [200, { name: 'team/app', tags: [] }]);
    for (const query of ['', '?n=0', '?n=3']) {
      const unknown = await stage.ask(`/v2/team/new/tags/list${query}`);
      assert.deepEqual([unknown.status, unknown.code], [404, 'NAME_UNKNOWN']);
    }
    assert.equal((await stage.ask('/v2/team/app/tags/list?n=-1')).code, 'PAGINATION_NUMBER_INVALID');
  });
});

describe('referrers', () => {
  const SUBJECT = IMAGE.manifest.digest;
  const PATH = `/v2/team/app/referrers/${SUBJECT}`;
  const EMPTY_INDEX = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [] };

  test('are an empty index where there are none, in any repository', async (t) => {
    const stage = await hostingStage(t);
    for (const path of [PATH, `/v2/never/pushed/referrers/${SUBJECT}`]) {
      const answer = await stage.ask(path);
      assert.deepEqual([answer.status, answer.json], [200, EMPTY_INDEX]);
      assert.equal(answer.headers.get('content-type'), MEDIA_TYPES.ociIndex);
    }
    for (const path of ['/v2/team/app/referrers/sha256:short', `${PATH}?artifactType=no%20type`, `${PATH}?last=x`]) {
      assert.equal((await stage.ask(path)).status, 400, path);
    }
  });

  test('have type, size and annotations, and are filtered by type', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(EMPTY);
    const config = { mediaType: 'text/x.config', digest: EMPTY.digest, size: EMPTY.size };
    const plain = referrer(SUBJECT, 'typed by its config', { artifactType: undefined, config, annotations: undefined });
    const index = content(
      MEDIA_TYPES.ociIndex,
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MEDIA_TYPES.ociIndex,
          manifests: [],
          subject: { mediaType: MEDIA_TYPES.ociManifest, digest: SUBJECT, size: 1 },
        }),
      ),
    );
    const typed = referrer(SUBJECT, 'typed');
    const other = referrer(digestOf(Buffer.from('another')), 'of another');
    for (const [at, manifest] of [plain, index, typed, other].entries()) {
      assert.equal((await stage.pushManifest(manifest, `t${at}`)).status, 201);
    }
    const expected = [
      { mediaType: MEDIA_TYPES.ociManifest, digest: plain.digest, size: plain.size, artifactType: 'text/x.config' },
      { mediaType: MEDIA_TYPES.ociIndex, digest: index.digest, size: index.size },
      {
        mediaType: MEDIA_TYPES.ociManifest,
        digest: typed.digest,
        size: typed.size,
        artifactType: 'text/x.a',
        annotations: { seed: 'typed' },
      },
    ].sort((a, b) => (a.digest < b.digest ? -1 : 1));
    const all = await stage.ask(PATH);
    assert.deepEqual(all.json, { ...EMPTY_INDEX, manifests: expected });
    assert.equal(all.headers.get('oci-filters-applied'), null);
    const filtered = await stage.ask(`${PATH}?artifactType=text/x.a`);
    assert.deepEqual(filtered.json, {
      ...EMPTY_INDEX,
      manifests: expected.filter(({ artifactType }) => artifactType === 'text/x.a'),
    });
    assert.equal(filtered.headers.get('oci-filters-applied'), 'artifactType');
  });

  test('are given in pages of at most 100, and of a few megabytes', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(EMPTY);
    const push = async (manifest: Content): Promise<Digest> => {
      assert.equal((await stage.pushManifest(manifest, manifest.digest)).status, 201);
      return manifest.digest;
    };
    const readAll = async (start: string) => {
      const found: Digest[] = [];
      const pages: number[] = [];
      for (let path: string | undefined = start; path !== undefined; ) {
        const { json, headers, bytes } = await stage.ask(path);
        assert.ok(bytes.length < 16 * 1024 * 1024, `${bytes.length} bytes on a page`);
        const { manifests } = json as { manifests: { digest: Digest }[] };
        found.push(...manifests.map(({ digest }) => digest));
        pages.push(manifests.length);
        path = nextOf(headers);
      }
      return { found, pages };
    };
    const pushed: Digest[] = [];
    for (let at = 0; at < 205; at += 1) pushed.push(await push(referrer(SUBJECT, String(at))));
    for (const query of ['', '?artifactType=text/x.a']) {
      const { found, pages } = await readAll(PATH + query);
      assert.deepEqual(found, pushed.toSorted());
      assert.deepEqual(pages, [100, 100, 5]);
    }
    const heavy = digestOf(Buffer.from('heavy'));
    for (let at = 0; at < 25; at += 1) await push(referrer(heavy, `${at}${'x'.repeat(1_000_000)}`));
    const { found, pages } = await readAll(`/v2/team/app/referrers/${heavy}`);
    assert.deepEqual([found.length, pages], [25, [10, 10, 5]]);
  });

  test('of a fallback tag are listed once, with the type that the manifest itself gives', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(EMPTY);
    const signature = referrer(SUBJECT, 'signature', { artifactType: 'text/x.signature' });
    assert.equal((await stage.pushManifest(signature, signature.digest)).status, 201);
    const { mediaType, digest, size } = signature;
    // As cosign 3 writes it.
    const listed = { mediaType, digest, size, artifactType: MEDIA_TYPES.ociEmpty };
    const value = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [listed] };
    const fallback = content(MEDIA_TYPES.ociIndex, Buffer.from(JSON.stringify(value)));
    assert.equal((await stage.pushManifest(fallback, `sha256-${digestHex(SUBJECT)}`)).status, 201);
    const { manifests } = (await stage.ask(PATH)).json as { manifests: object[] };
    assert.deepEqual(manifests, [
      { mediaType, digest, size, artifactType: 'text/x.signature', annotations: { seed: 'signature' } },
    ]);
  });
});

describe('the catalogue of a registry that hosts', () => {
  const NAMES = ['a', 'a-b', 'a/b', 'b', 'team/app'];

  async function listAll(stage: Awaited<ReturnType<typeof hostingStage>>, start: string) {
    const pages: string[][] = [];
    for (let path: string | undefined = start; path !== undefined; ) {
      const answer = await stage.ask(path);
      assert.equal(answer.status, 200, answer.message);
      pages.push((answer.json as { repositories: string[] }).repositories);
      path = nextOf(answer.headers);
      assert.ok(pages.length < 50, 'the pages never end');
    }
    return pages;
  }

  test('lists what was pushed, byte by byte, in pages', async (t) => {
    const stage = await hostingStage(t);
    for (const repository of NAMES) await stage.pushImage(IMAGE, 'v1', { registry: 'apps', repository });
    for (const blob of [IMAGE.config]) await stage.addBlob(blob, { registry: 'zoo', repository: 'elsewhere' });
    assert.deepEqual(await listAll(stage, '/v2/_catalog'), [NAMES]);
    assert.deepEqual(await listAll(stage, '/v2/_catalog?n=2'), [['a', 'a-b'], ['a/b', 'b'], ['team/app']]);
    assert.deepEqual(await listAll(stage, '/v2/apps/_catalog?n=4'), [NAMES.slice(0, 4), ['team/app']]);
    assert.deepEqual(await listAll(stage, '/v2/_catalog?n=0'), [[]]);
    assert.deepEqual(await listAll(stage, '/v2/_catalog?last=a'), [NAMES.slice(1)]);
  });

  test('shows each client what it may see', async (t) => {
    const authorize: Authorize = ({ repository }) => {
      const name = repository?.repository ?? '';
      if (name === '') return { allowed: true, onlyPublic: true, reason: 'only what is public' };
      if (name === 'a') return { allowed: true };
      return name === 'b' ? { allowed: true, onlyPublic: true, reason: 'private' } : { allowed: false, reason: 'no' };
    };
    const stage = await hostingStage(t, { authorize });
    for (const repository of NAMES) await stage.records.putBlob({ registry: 'apps', repository }, EMPTY, { at: 1 });
    assert.deepEqual(await listAll(stage, '/v2/_catalog'), [['a']]);
  });

  /** An upstream whose catalogue has pages of two. */
  function upstreamOf(names: readonly string[], asked: string[] = []): OriginSource {
    return async () =>
      ({
        list: async (_repository: unknown, query: { page?: string }): Promise<OriginList> => {
          asked.push(query.page ?? '');
          const last = new URLSearchParams(query.page).get('last');
          const rest = names.filter((name) => last === null || name > last);
          const repositories = rest.slice(0, 2);
          const next = rest.length > 2 ? `n=2&last=${repositories.at(-1)}` : undefined;
          return {
            bytes: Buffer.from(JSON.stringify({ repositories })),
            mediaType: 'application/json',
            next,
            filtersApplied: undefined,
            upstream: 'upstream',
            visibility: 'public',
          };
        },
      }) as unknown as Awaited<ReturnType<OriginSource>>;
  }

  test('goes on with the names of the upstream, without those whose home is here', async (t) => {
    const asked: string[] = [];
    const upstreams = upstreamOf(['aaa', 'ours/stale', 'ours/x', 'ours/y', 'ours/z', 'x', 'y', 'z'], asked);
    const stage = await hostingStage(t, { hosting: { hosted: ['ours/**'] }, upstreams });
    for (const repository of ['ours/one', 'ours/x'])
      await stage.pushImage(IMAGE, 'v1', { registry: 'apps', repository });
    const pages = await listAll(stage, '/v2/_catalog');
    assert.deepEqual(pages.flat(), ['ours/one', 'ours/x', 'aaa', 'x', 'y', 'z']);
    assert.deepEqual((await listAll(stage, '/v2/_catalog?n=1')).flat(), ['ours/one', 'ours/x', 'aaa', 'x', 'y', 'z']);
    assert.deepEqual((await listAll(stage, '/v2/_catalog?last=x')).flat(), ['y', 'z']);
    assert.ok(!asked.some((query) => query.includes('entrepot') || query.includes('ours/one')), asked.join(' '));
  });

  test('is what is hosted alone where the upstream has no catalogue', async (t) => {
    const failure = Object.assign(new Error('no catalogue'), {
      name: 'UpstreamError',
      kind: 'denied',
      upstream: 'upstream',
    });
    const upstreams: OriginSource = () => Promise.reject(failure);
    const stage = await hostingStage(t, { hosting: { hosted: ['ours/**'] }, upstreams });
    await stage.pushImage(IMAGE, 'v1', { registry: 'apps', repository: 'ours/one' });
    assert.deepEqual((await listAll(stage, '/v2/_catalog')).flat(), ['ours/one']);
  });
});
