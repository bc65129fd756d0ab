import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { APP, hostingStage, OTHER } from '../../../test/support/hosting-stage.ts';
import { type Content, content } from '../../../test/support/image.ts';
import { MemoryResumableBlobStore } from '../../../test/support/memory-blob-store.ts';
import { rawRequest } from '../../../test/support/raw-request.ts';
import { smallImage, smallIndex, smallLayer } from '../../../test/support/small-image.ts';
import { digestOf, MAX_MANIFEST_BYTES, MEDIA_TYPES } from '../../oci/index.ts';

const IMAGE = smallImage('one', [smallLayer('one')]);
const SECOND = smallImage('two', [smallLayer('two')]);
const AT = '/v2/team/app/manifests/';
const TIME = Date.UTC(2026, 10, 5, 12, 30, 15, 250);

/** A manifest of any JSON. */
function manifestOf(value: Readonly<Record<string, unknown>>, mediaType: string = MEDIA_TYPES.ociManifest): Content {
  return content(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value })));
}

const EMPTY = content(MEDIA_TYPES.ociEmpty, Buffer.from('{}'));
const EMPTY_CONFIG = { mediaType: EMPTY.mediaType, digest: EMPTY.digest, size: EMPTY.size };

describe('a push of a manifest', () => {
  test('stores the exact bytes, by tag and by digest', async (t) => {
    const stage = await hostingStage(t, { now: () => TIME });
    const pushed = await stage.pushImage(IMAGE, 'v1');
    assert.equal(pushed.headers.get('location'), `/v2/team/app/manifests/${IMAGE.manifest.digest}`);
    assert.equal(pushed.headers.get('docker-content-digest'), IMAGE.manifest.digest);
    assert.equal(pushed.headers.get('oci-subject'), null);
    assert.equal(pushed.headers.get('oci-tag'), null);
    for (const reference of ['v1', IMAGE.manifest.digest]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await stage.ask(`/v2/team/app/manifests/${reference}`, { method });
        assert.equal(answer.status, 200);
        assert.deepEqual(answer.bytes, method === 'HEAD' ? Buffer.alloc(0) : IMAGE.manifest.bytes);
        assert.equal(answer.headers.get('content-length'), String(IMAGE.manifest.size));
        assert.equal(answer.headers.get('content-type'), MEDIA_TYPES.ociManifest);
        assert.equal(answer.headers.get('docker-content-digest'), IMAGE.manifest.digest);
        assert.equal(answer.headers.get('etag'), `"${IMAGE.manifest.digest}"`);
        assert.equal(answer.headers.get('last-modified'), 'Thu, 05 Nov 2026 12:30:15 GMT');
        assert.equal(answer.headers.get('x-cache'), 'HIT');
      }
      const etag = `"${IMAGE.manifest.digest}"`;
      const unchanged = await stage.ask(`/v2/team/app/manifests/${reference}`, { headers: { 'if-none-match': etag } });
      assert.deepEqual([unchanged.status, unchanged.bytes.length], [304, 0]);
    }
    assert.deepEqual(stage.seen('manifest.pushed'), [
      {
        ...APP,
        digest: IMAGE.manifest.digest,
        mediaType: MEDIA_TYPES.ociManifest,
        size: IMAGE.manifest.size,
        tags: ['v1'],
        by: 'anonymous',
        client: '127.0.0.1',
      },
    ]);
    assert.deepEqual(stage.seen('tag.moved'), [
      { ...APP, tag: 'v1', digest: IMAGE.manifest.digest, from: undefined, by: 'anonymous', client: '127.0.0.1' },
    ]);
  });

  test('names its location as the client names the registry', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    const { bytes: body } = IMAGE.manifest;
    const headers = { 'content-type': MEDIA_TYPES.ociManifest };
    for (const [path, location] of [
      ['/v2/apps/team/app/manifests/v1', `/v2/apps/team/app/manifests/${IMAGE.manifest.digest}`],
      ['/v2/team/app/manifests/v1?ns=apps', `/v2/team/app/manifests/${IMAGE.manifest.digest}?ns=apps`],
    ] as const) {
      const answer = await stage.ask(path, { method: 'PUT', headers, body });
      assert.equal(answer.headers.get('location'), location);
      assert.equal((await stage.ask(location)).status, 200);
    }
  });

  test('moves tags of ?tag= with it, each once, and says which', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'latest');
    for (const blob of [SECOND.config, ...SECOND.layers]) await stage.addBlob(blob);
    const { digest } = SECOND.manifest;
    const answer = await stage.pushManifest(SECOND.manifest, `${digest}?tag=1.2&tag=latest&tag=1.2&tag=1`);
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.headers.get('oci-tag'), '1.2, latest, 1');
    for (const tag of ['1.2', 'latest', '1']) {
      assert.equal((await stage.ask(AT + tag)).headers.get('docker-content-digest'), digest);
    }
    assert.deepEqual(
      stage.seen('tag.moved').map(({ tag, from }) => [tag, from]),
      [
        ['latest', undefined],
        ['1.2', undefined],
        ['latest', IMAGE.manifest.digest],
        ['1', undefined],
      ],
    );
  });

  test('refuses too many tags, and what is no tag, before anything is stored', async (t) => {
    const stage = await hostingStage(t);
    for (const blob of [IMAGE.config, ...IMAGE.layers]) await stage.addBlob(blob);
    const many = Array.from({ length: 101 }, (_, at) => `tag=t${at}`).join('&');
    for (const [query, status, code] of [
      [many, 414, 'UNSUPPORTED'],
      ['tag=fine&tag=-no', 400, 'NAME_INVALID'],
      ['tag=', 400, 'NAME_INVALID'],
    ] as const) {
      const answer = await stage.pushManifest(IMAGE.manifest, `${IMAGE.manifest.digest}?${query}`);
      assert.deepEqual([answer.status, answer.code], [status, code]);
    }
    assert.equal(await stage.hasFile(IMAGE.manifest.digest), false);
    const hundred = many.split('&').slice(0, 100).join('&');
    assert.equal((await stage.pushManifest(IMAGE.manifest, `${IMAGE.manifest.digest}?${hundred}`)).status, 201);
  });

  test('names its subject, which may be missing, and is pushed by a digest of sha512', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(EMPTY);
    const subject = { mediaType: MEDIA_TYPES.ociManifest, digest: IMAGE.manifest.digest, size: 7 };
    const referrer = manifestOf({ artifactType: 'text/x.a', config: EMPTY_CONFIG, layers: [], subject });
    const digest = digestOf(referrer.bytes, 'sha512');
    const answer = await stage.pushManifest(referrer, digest);
    assert.deepEqual([answer.status, answer.headers.get('oci-subject')], [201, IMAGE.manifest.digest]);
    assert.deepEqual((await stage.ask(AT + digest)).bytes, referrer.bytes);
    assert.equal((await stage.ask(AT + referrer.digest)).status, 404);
  });

  test('ignores parameters of the type, and finds a missing one in the body', async (t) => {
    const stage = await hostingStage(t);
    for (const blob of [IMAGE.config, ...IMAGE.layers, EMPTY]) await stage.addBlob(blob);
    const index = smallIndex({ 'linux/amd64': IMAGE });
    const untyped = content('', Buffer.from(JSON.stringify({ schemaVersion: 2, config: EMPTY_CONFIG, layers: [] })));
    for (const [manifest, type, expected] of [
      [IMAGE.manifest, `${MEDIA_TYPES.ociManifest.toUpperCase()}; charset=utf-8`, MEDIA_TYPES.ociManifest],
      [IMAGE.manifest, 'application/json', MEDIA_TYPES.ociManifest],
      [index, '', MEDIA_TYPES.ociIndex],
      [untyped, '', MEDIA_TYPES.ociManifest],
    ] as const) {
      const headers = type === '' ? {} : { 'content-type': type };
      const request = {
        method: 'PUT',
        path: `${AT}typed`,
        headers: { ...headers, 'content-length': `${manifest.size}` },
      };
      assert.equal((await rawRequest(stage.host, { ...request, body: manifest.bytes })).status, 201);
      assert.equal((await stage.ask(`${AT}typed`)).headers.get('content-type'), expected);
    }
  });

  const DESCRIPTORS = [
    { mediaType: MEDIA_TYPES.ociManifest, digest: IMAGE.manifest.digest, size: IMAGE.manifest.size },
  ];
  const WRONG: readonly (readonly [what: string, manifest: Pick<Content, 'bytes' | 'mediaType'>, message: RegExp])[] = [
    ['is no JSON', { mediaType: MEDIA_TYPES.ociManifest, bytes: Buffer.from('{') }, /not JSON/],
    ['is empty', { mediaType: MEDIA_TYPES.ociManifest, bytes: Buffer.alloc(0) }, /not JSON/],
    ['has another schema version', manifestOf({ schemaVersion: 3, config: EMPTY_CONFIG, layers: [] }), /schemaVersion/],
    ['is an image and an index', manifestOf({ config: EMPTY_CONFIG, layers: [], manifests: [] }), /both/],
    [
      'calls itself something else',
      { ...manifestOf({ config: EMPTY_CONFIG, layers: [] }), mediaType: MEDIA_TYPES.dockerManifest },
      /calls itself/,
    ],
    [
      'calls itself an index',
      { ...manifestOf({ manifests: [] }, MEDIA_TYPES.ociIndex), mediaType: MEDIA_TYPES.ociManifest },
      /calls itself/,
    ],
    [
      'is of schema version 1',
      manifestOf({ schemaVersion: 1, fsLayers: [] }, MEDIA_TYPES.dockerManifestV1Signed),
      /schema version 1/,
    ],
    [
      'is of an unknown type',
      manifestOf({ blobs: [] }, 'application/vnd.oci.artifact.manifest.v1+json'),
      /none that this registry takes/,
    ],
    [
      'has annotations that are no texts',
      manifestOf({ config: EMPTY_CONFIG, layers: [], annotations: { a: 1 } }),
      /annotations/,
    ],
    ['has a type that is no text', manifestOf({ config: EMPTY_CONFIG, layers: [], artifactType: 1 }), /artifactType/],
    [
      'has a subject without a digest',
      manifestOf({ manifests: DESCRIPTORS, subject: { size: 1 } }, MEDIA_TYPES.ociIndex),
      /subject/,
    ],
  ];
  for (const [what, manifest, message] of WRONG) {
    test(`is refused where the manifest ${what}`, async (t) => {
      const stage = await hostingStage(t);
      await stage.addBlob(EMPTY);
      const answer = await stage.pushManifest(manifest, 'v1');
      assert.deepEqual([answer.status, answer.code], [400, 'MANIFEST_INVALID']);
      assert.match(answer.message, message);
      assert.equal((await stage.ask(`${AT}v1`)).status, 404);
    });
  }

  test('is refused where its digest is another, and stores nothing', async (t) => {
    const stage = await hostingStage(t);
    for (const blob of [IMAGE.config, ...IMAGE.layers]) await stage.addBlob(blob);
    const answer = await stage.pushManifest(IMAGE.manifest, SECOND.manifest.digest);
    assert.deepEqual([answer.status, answer.code], [400, 'DIGEST_INVALID']);
    for (const { digest } of [IMAGE.manifest, SECOND.manifest]) assert.equal(await stage.hasFile(digest), false);
    const malformed = await stage.pushManifest(IMAGE.manifest, 'sha256:baddigeststring');
    assert.deepEqual([malformed.status, malformed.code], [400, 'DIGEST_INVALID']);
  });

  test('is refused where it names what the repository does not have', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(IMAGE.config);
    // Another repository has it, which is none of this one's.
    for (const blob of IMAGE.layers) await stage.addBlob(blob, OTHER);
    const answer = await stage.pushManifest(IMAGE.manifest, 'v1');
    assert.deepEqual([answer.status, answer.code], [400, 'MANIFEST_BLOB_UNKNOWN']);
    assert.match(answer.message, new RegExp(IMAGE.layers[0]?.digest ?? ''));
    assert.equal(await stage.hasFile(IMAGE.manifest.digest), false);
    const index = await stage.pushManifest(smallIndex({ 'linux/amd64': IMAGE }), 'v1');
    assert.deepEqual([index.status, index.code], [400, 'MANIFEST_BLOB_UNKNOWN']);
    assert.deepEqual(stage.events, []);
  });

  test('may name what is missing where the registry is sparse', async (t) => {
    const stage = await hostingStage(t, { hosting: { sparse: true } });
    assert.equal((await stage.pushManifest(IMAGE.manifest, 'v1')).status, 201);
    const index = smallIndex({ 'linux/amd64': SECOND });
    assert.equal((await stage.pushManifest(index, 'all')).status, 201);
    assert.deepEqual((await stage.ask(`${AT}all`)).bytes, index.bytes);
  });

  test('may name foreign layers that are somewhere else', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(EMPTY);
    const layer = { digest: digestOf(Buffer.from('far')), size: 3 };
    const far = (mediaType: string, more: object = {}) =>
      manifestOf({ config: EMPTY_CONFIG, layers: [{ ...layer, mediaType, ...more }] });
    const urls = ['https://far.example/blob'];
    for (const [manifest, status] of [
      [far('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', { urls }), 201],
      [far('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'), 201],
      [far('application/vnd.oci.image.layer.v1.tar', { urls }), 201],
      [far('application/vnd.oci.image.layer.v1.tar', { urls: [] }), 400],
    ] as const) {
      assert.equal((await stage.pushManifest(manifest, 'v1')).status, status);
    }
  });

  test('takes an index of layers, as BuildKit writes its cache', async (t) => {
    const stage = await hostingStage(t);
    const [layer] = IMAGE.layers;
    assert.ok(layer !== undefined);
    await stage.addBlob(layer);
    await stage.addBlob(IMAGE.config);
    const named = ({ mediaType, digest, size }: Content, type = mediaType) => ({ mediaType: type, digest, size });
    const index = manifestOf(
      { manifests: [named(layer), named(IMAGE.config, 'application/vnd.buildkit.cacheconfig.v0')] },
      MEDIA_TYPES.ociIndex,
    );
    assert.equal((await stage.pushManifest(index, 'cache')).status, 201);
    const refused = await stage.ask(`/v2/team/app/blobs/${layer.digest}`, { method: 'DELETE' });
    assert.equal(refused.status, 405, 'the index names it as a blob');
  });

  test('is refused by its announced length before it is read, and by what comes', async (t) => {
    const stage = await hostingStage(t);
    const large = MAX_MANIFEST_BYTES + 1;
    const announced = await rawRequest(stage.host, {
      method: 'PUT',
      path: `${AT}v1`,
      headers: { 'content-length': String(large), 'content-type': MEDIA_TYPES.ociManifest },
    });
    assert.equal(announced.status, 413);
    assert.match(announced.body.toString(), /SIZE_INVALID/);
    const chunked = await stage.ask(`${AT}v1`, {
      method: 'PUT',
      headers: { 'content-type': MEDIA_TYPES.ociManifest },
      body: new Blob([Buffer.alloc(large)]).stream(),
    });
    assert.deepEqual([chunked.status, chunked.code], [413, 'SIZE_INVALID']);
  });

  test('takes a manifest of 4 MiB', async (t) => {
    const stage = await hostingStage(t);
    await stage.addBlob(EMPTY);
    const annotations = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`a${at}`, 'A'.repeat(10_500)]));
    const large = manifestOf({ config: EMPTY_CONFIG, layers: [], annotations });
    assert.ok(large.size > 4 * 1024 * 1024);
    assert.equal((await stage.pushManifest(large, 'large')).status, 201);
    assert.deepEqual((await stage.ask(`${AT}large`)).bytes, large.bytes);
  });

  test('over the quota is refused with the figures, and stores nothing', async (t) => {
    const quota = IMAGE.config.size + 10_000;
    const stage = await hostingStage(t, { hosting: { quota } });
    for (const blob of [IMAGE.config, ...IMAGE.layers]) await stage.addBlob(blob);
    const answer = await stage.pushManifest(IMAGE.manifest, 'v1');
    assert.deepEqual([answer.status, answer.code], [403, 'DENIED']);
    assert.match(answer.message, /quota/);
    assert.equal(await stage.hasFile(IMAGE.manifest.digest), false);
  });
});

test('a push to a full disk is answered as such, stores nothing, and succeeds once there is room', async (t) => {
  const store = new MemoryResumableBlobStore({ capacity: 12_000 });
  const stage = await hostingStage(t, { store });
  for (const blob of [IMAGE.config, ...IMAGE.layers]) await stage.addBlob(blob);
  const filler = content('application/octet-stream', Buffer.alloc(12_000 - 10_000 - IMAGE.config.size));
  await stage.addBlob(filler);
  const answer = await stage.pushManifest(IMAGE.manifest, 'v1');
  assert.deepEqual([answer.status, answer.code, answer.headers.get('retry-after')], [503, 'UNAVAILABLE', '30']);
  assert.equal(await stage.hasFile(IMAGE.manifest.digest), false);
  assert.match(stage.seen('warning')[0]?.message ?? '', /the disk is full/);
  assert.equal((await stage.ask(`/v2/team/app/blobs/${filler.digest}`, { method: 'DELETE' })).status, 202);
  assert.equal((await stage.pushManifest(IMAGE.manifest, 'v1')).status, 201);
});

describe('tags that are immutable', () => {
  const hosting = { immutableTags: ['v*'] };

  test('are set once, and the same digest again is no move', async (t) => {
    const stage = await hostingStage(t, { hosting });
    await stage.pushImage(IMAGE, 'v1');
    await stage.pushImage(IMAGE, 'v1');
    for (const blob of [SECOND.config, ...SECOND.layers]) await stage.addBlob(blob);
    const { digest } = SECOND.manifest;
    for (const reference of ['v1', `${digest}?tag=latest&tag=v1`]) {
      const answer = await stage.pushManifest(SECOND.manifest, reference);
      assert.deepEqual([answer.status, answer.code], [409, 'DENIED']);
      assert.match(answer.message, /the tag v1 is immutable/);
    }
    assert.equal(await stage.hasFile(digest), false);
    assert.equal((await stage.ask(`${AT}latest`)).status, 404, 'all tags of a push move, or none');
    assert.equal((await stage.pushManifest(SECOND.manifest, 'latest')).status, 201);
  });

  test('are not deleted, and neither is what they point to', async (t) => {
    const stage = await hostingStage(t, { hosting });
    await stage.pushImage(IMAGE, 'v1');
    for (const reference of ['v1', IMAGE.manifest.digest]) {
      const answer = await stage.ask(AT + reference, { method: 'DELETE' });
      assert.deepEqual([answer.status, answer.code, answer.headers.get('allow')], [405, 'DENIED', 'GET, HEAD, PUT']);
      assert.match(answer.message, /v1 is immutable/);
    }
    assert.equal((await stage.ask(`${AT}v1`)).status, 200);
  });
});

describe('a push with a condition', () => {
  const one = `"${IMAGE.manifest.digest}"`;
  const two = `"${SECOND.manifest.digest}"`;

  test('moves a tag only from where it is expected', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'start');
    for (const blob of [SECOND.config, ...SECOND.layers]) await stage.addBlob(blob);
    const push = (manifest: Content, headers: Readonly<Record<string, string>>) =>
      stage.pushManifest(manifest, 'latest', { headers });
    for (const [manifest, headers, status] of [
      [IMAGE.manifest, { 'if-match': one }, 412],
      [IMAGE.manifest, { 'if-match': '*' }, 412],
      [IMAGE.manifest, { 'if-none-match': '*' }, 201],
      [SECOND.manifest, { 'if-none-match': '*' }, 412],
      [SECOND.manifest, { 'if-match': two }, 412],
      [SECOND.manifest, { 'if-match': `W/${one}` }, 412],
      [SECOND.manifest, { 'if-none-match': one }, 412],
      [SECOND.manifest, { 'if-match': `${two}, ${one}` }, 201],
      [IMAGE.manifest, { 'if-match': '*' }, 201],
    ] as const) {
      const answer = await push(manifest, headers);
      assert.equal(answer.status, status, JSON.stringify(headers));
      if (status === 412) assert.equal(answer.code, 'DENIED');
    }
  });

  test('lets one of many pushers move a tag', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'latest');
    const images = Array.from({ length: 8 }, (_, at) => smallImage(`racer ${at}`, []));
    for (const { config } of images) await stage.addBlob(config);
    const answers = await Promise.all(
      images.map(({ manifest }) => stage.pushManifest(manifest, 'latest', { headers: { 'if-match': one } })),
    );
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [201, ...Array(7).fill(412)],
    );
    const winner = images[answers.findIndex(({ status }) => status === 201)];
    const { headers } = await stage.ask(`${AT}latest`);
    assert.equal(headers.get('docker-content-digest'), winner?.manifest.digest);
  });

  test('is asked of the manifest itself where it goes to a digest', async (t) => {
    const stage = await hostingStage(t);
    for (const blob of [IMAGE.config, ...IMAGE.layers]) await stage.addBlob(blob);
    const push = () => stage.pushManifest(IMAGE.manifest, IMAGE.manifest.digest, { headers: { 'if-none-match': '*' } });
    assert.equal((await push()).status, 201);
    assert.equal((await push()).status, 412);
  });

  test('deletes a tag only where it is', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'latest');
    const remove = (condition: string) =>
      stage.ask(`${AT}latest`, { method: 'DELETE', headers: { 'if-match': condition } });
    assert.equal((await remove(two)).status, 412);
    assert.equal((await remove(one)).status, 202);
    assert.equal((await remove(one)).status, 404);
  });
});

describe('a deletion', () => {
  test('of a tag leaves the manifest', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    const answer = await stage.ask(`${AT}v1`, { method: 'DELETE' });
    assert.equal(answer.status, 202);
    assert.equal((await stage.ask(`${AT}v1`)).status, 404);
    assert.equal((await stage.ask(AT + IMAGE.manifest.digest)).status, 200);
    assert.deepEqual(stage.seen('tag.deleted'), [
      { ...APP, tag: 'v1', digest: IMAGE.manifest.digest, by: 'anonymous', client: '127.0.0.1' },
    ]);
    assert.equal((await stage.ask(`${AT}v1`, { method: 'DELETE' })).code, 'MANIFEST_UNKNOWN');
  });

  test('of a manifest takes its tags and its file', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    await stage.pushImage(IMAGE, 'latest');
    const answer = await stage.ask(AT + IMAGE.manifest.digest, { method: 'DELETE' });
    assert.equal(answer.status, 202);
    for (const reference of ['v1', 'latest', IMAGE.manifest.digest]) {
      assert.equal((await stage.ask(AT + reference, { method: 'HEAD' })).status, 404);
    }
    assert.equal(await stage.hasFile(IMAGE.manifest.digest), false);
    const tags = ['latest', 'v1'];
    const who = { by: 'anonymous', client: '127.0.0.1' };
    assert.deepEqual(stage.seen('manifest.deleted'), [{ ...APP, digest: IMAGE.manifest.digest, tags, ...who }]);
    assert.equal((await stage.ask(AT + IMAGE.manifest.digest, { method: 'DELETE' })).status, 404);
  });

  test('of a manifest leaves the file that another repository has', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    await stage.pushImage(IMAGE, 'v1', OTHER);
    assert.equal((await stage.ask(AT + IMAGE.manifest.digest, { method: 'DELETE' })).status, 202);
    assert.deepEqual((await stage.ask('/v2/team/other/manifests/v1')).bytes, IMAGE.manifest.bytes);
  });

  test('of what an index names is refused, and says which', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    const index = smallIndex({ 'linux/amd64': IMAGE });
    assert.equal((await stage.pushManifest(index, 'all')).status, 201);
    const answer = await stage.ask(AT + IMAGE.manifest.digest, { method: 'DELETE' });
    assert.deepEqual([answer.status, answer.code], [405, 'DENIED']);
    assert.match(answer.message, new RegExp(index.digest));
    assert.equal((await stage.ask(AT + index.digest, { method: 'DELETE' })).status, 202);
    assert.equal((await stage.ask(AT + IMAGE.manifest.digest, { method: 'DELETE' })).status, 202);
  });
});

describe('a stored manifest', () => {
  test('is read from the disk once, and then from memory', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    await stage.store.delete(IMAGE.manifest.digest);
    assert.deepEqual((await stage.ask(`${AT}v1`)).bytes, IMAGE.manifest.bytes);
  });

  for (const [what, spoil] of [
    ['is corrupt', Buffer.from(IMAGE.manifest.bytes).fill(0x20, 0, 1)],
    ['is shorter', IMAGE.manifest.bytes.subarray(1)],
    ['is lost', undefined],
  ] as const) {
    test(`whose file ${what} is unknown until it is pushed again`, async (t) => {
      const stage = await hostingStage(t, { manifestsInMemory: 1 });
      await stage.pushImage(IMAGE, 'v1');
      const store = stage.store as MemoryResumableBlobStore;
      if (spoil === undefined) await store.delete(IMAGE.manifest.digest);
      else store.plant(IMAGE.manifest.digest, spoil);
      for (let look = 0; look < 3; look += 1) {
        const answer = await stage.ask(`${AT}v1`);
        assert.deepEqual([answer.status, answer.code], [404, 'MANIFEST_UNKNOWN']);
        assert.equal((await stage.ask(`${AT}v1`, { method: 'HEAD' })).status, 404);
      }
      assert.equal(stage.seen('blob.rotten').length, 1);
      assert.match(
        stage
          .seen('warning')
          .map(({ message }) => message)
          .join('; '),
        /^apps\/team\/app has lost sha256:\w+: [^;]*$/,
      );
      assert.equal((await stage.pushManifest(IMAGE.manifest, 'v1')).status, 201);
      assert.deepEqual((await stage.ask(`${AT}v1`)).bytes, IMAGE.manifest.bytes);
      assert.deepEqual(stage.seen('blob.adopted'), []);
    });
  }

  test('is not served through another repository', async (t) => {
    const stage = await hostingStage(t);
    await stage.pushImage(IMAGE, 'v1');
    const answer = await stage.ask(`/v2/team/other/manifests/${IMAGE.manifest.digest}`);
    assert.deepEqual([answer.status, answer.code], [404, 'MANIFEST_UNKNOWN']);
  });
});

test('who pushed is told by name', async (t) => {
  const stage = await hostingStage(t);
  for (const blob of [IMAGE.config, ...IMAGE.layers]) await stage.addBlob(blob);
  await stage.hosting.manifests.put(APP, {
    reference: { kind: 'tag', tag: 'v1' },
    bytes: IMAGE.manifest.bytes,
    contentType: undefined,
    tags: [],
    condition: { ifMatch: undefined, ifNoneMatch: undefined },
    by: 'alice',
    client: '192.0.2.1',
  });
  assert.deepEqual(
    (await stage.records.listTagMoves(APP, 'v1')).map(({ by }) => by),
    ['alice'],
  );
});
