import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIBRARY } from '../../test/support/cache-world.ts';
import { FakeFailure } from '../../test/support/fake-origin.ts';
import { buildImage, type Content, content, platformOf } from '../../test/support/image.ts';
import { ALL_BYTES, AMD64, APP, LAYER, named, only, stage } from '../../test/support/warm-stage.ts';
import { MEDIA_TYPES } from '../oci/index.ts';

describe('what an image is made of', () => {
  const manifestOf = (mediaType: string, value: object): Content =>
    content(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value })));
  const pointerTo = ({ mediaType, digest, size }: Content) => ({ mediaType, digest, size });

  test('attestations are fetched with all platforms alone', async (t) => {
    const { jobs, ended, origin, cache } = await stage(t);
    const unknown = { os: 'unknown', architecture: 'unknown' };
    const { config, layers } = platformOf(buildImage({ seed: 'attestation', layers: [50] }), 'amd64');
    const attestation = manifestOf(MEDIA_TYPES.ociManifest, {
      config: pointerTo(config),
      layers: layers.map(pointerTo),
    });
    const index = manifestOf(MEDIA_TYPES.ociIndex, {
      manifests: [
        { ...pointerTo(AMD64.manifest), platform: { os: 'linux', architecture: 'amd64' } },
        { ...pointerTo(attestation), platform: unknown },
      ],
    });
    origin.addManifest(LIBRARY, index, 'attested');
    origin.addManifest(LIBRARY, attestation);
    origin.addBlobs(LIBRARY, config, ...layers);
    await ended(jobs.start([named('attested', { platforms: ['linux/amd64'] })], 'alice'));
    assert.equal(await cache.storedSize(attestation.digest), undefined);
    assert.equal(only(await ended(jobs.start([named('attested')], 'alice'))).state, 'done');
    assert.equal(await cache.storedSize(attestation.digest), attestation.size);
  });

  test('an index within an index is followed, and blobs that an index lists are fetched as blobs', async (t) => {
    const { jobs, ended, origin, cache } = await stage(t);
    const layer = content('application/vnd.oci.image.layer.v1.tar+gzip', Buffer.from('a layer of BuildKit'));
    const index = manifestOf(MEDIA_TYPES.ociIndex, { manifests: [pointerTo(APP.index), pointerTo(layer)] });
    origin.addManifest(LIBRARY, index, 'nested');
    origin.addBlobs(LIBRARY, layer);
    const image = only(await ended(jobs.start([named('nested')], 'alice')));
    assert.deepEqual([image.state, image.size], ['done', ALL_BYTES + index.size + layer.size]);
    assert.equal(await cache.storedSize(layer.digest), layer.size);
  });

  test('a foreign layer that its registry does not have is left out, another one is not', async (t) => {
    const { jobs, ended, origin } = await stage(t);
    const gone = (type: string) => ({ mediaType: type, digest: content(type, Buffer.from(type)).digest, size: 7000 });
    const imageWith = (type: string) =>
      manifestOf(MEDIA_TYPES.dockerManifest, { config: pointerTo(AMD64.config), layers: [gone(type)] });
    const foreign = imageWith('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
    const broken = imageWith('application/vnd.docker.image.rootfs.diff.tar.gzip');
    origin.addManifest(LIBRARY, foreign, 'windows');
    origin.addManifest(LIBRARY, broken, 'broken');
    const one = only(await ended(jobs.start([named('windows')], 'alice')));
    assert.deepEqual([one.state, one.blobs, one.blobCount, one.bytes - one.size], ['done', 1, 1, 0]);
    assert.equal(only(await ended(jobs.start([named('broken')], 'alice'))).state, 'failed');
  });

  test('an answer that is stale is a failure: where the tag points is not known', async (t) => {
    const { jobs, ended, origin, cache } = await stage(t);
    await ended(jobs.start([named()], 'alice'));
    cache.reconfigure({ keep: true, tags: { freshFor: 0 } });
    origin.before = () => {
      throw new FakeFailure('unavailable');
    };
    const image = only(await ended(jobs.start([named()], 'alice')));
    assert.equal(image.state, 'failed');
    assert.match(image.error ?? '', /serving what/);
  });
});

describe('a cache that keeps nothing', () => {
  test('is not asked for blobs, and the image is tried again', async (t) => {
    const { jobs, ended, cache, origin } = await stage(t, { retryAfter: (error) => void seen.push(error) });
    const seen: unknown[] = [];
    Object.defineProperty(cache, 'pause', { value: { reason: 'the disk is full', since: 0, until: undefined } });
    const image = only(await ended(jobs.start([named()], 'alice')));
    assert.equal(image.error, 'the cache keeps nothing now: the disk is full');
    assert.equal(origin.count('openBlob'), 0);
  });

  test('is noticed where the manifest alone could not be stored', async (t) => {
    const { jobs, ended, cache, origin } = await stage(t);
    await ended(jobs.start([named('latest', { platforms: ['linux/amd64'] })], 'alice'));
    const other = content(AMD64.manifest.mediaType, Buffer.concat([AMD64.manifest.bytes, Buffer.from('\n')]));
    origin.addManifest(LIBRARY, other, 'other');
    Object.defineProperty(cache, 'storedSize', {
      value: (digest: string) => Promise.resolve(digest === other.digest ? undefined : 1),
    });
    Object.defineProperty(cache, 'pause', { value: { reason: 'the disk is full', since: 0, until: undefined } });
    const image = only(await ended(jobs.start([named('other')], 'alice')));
    assert.equal(image.error, 'the cache keeps nothing now: the disk is full');
  });

  test('says which blob exceeds its limits', async (t) => {
    const { jobs, ended, cache } = await stage(t);
    cache.reconfigure({ keep: true, maxSize: 2500 });
    const image = only(await ended(jobs.start([named('latest', { platforms: ['linux/amd64'] })], 'alice')));
    assert.match(image.error ?? '', new RegExp(`^${LAYER.digest} is not kept: it exceeds the limits`));
  });
});
