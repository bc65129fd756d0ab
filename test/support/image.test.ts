import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { buildImage, buildReferrer, platformOf } from './image.ts';

interface Manifest {
  readonly mediaType: string;
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

describe('buildImage()', () => {
  for (const format of ['oci', 'docker'] as const) {
    test(`${format}: every digest and size is right, down to the diff ids`, () => {
      const image = buildImage({ format });
      const index = JSON.parse(image.index.bytes.toString()) as { mediaType: string; manifests: { digest: string }[] };
      assert.equal(index.mediaType, format === 'oci' ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.dockerList);
      assert.deepEqual(
        index.manifests.map((each) => each.digest),
        image.platforms.map((platform) => platform.manifest.digest),
      );
      for (const platform of image.platforms) {
        const manifest = JSON.parse(platform.manifest.bytes.toString()) as Manifest;
        assert.equal(manifest.mediaType, platform.manifest.mediaType);
        assert.equal(manifest.config.digest, digestOf(platform.config.bytes));
        assert.deepEqual(
          manifest.layers.map(({ digest, size }) => ({ digest, size })),
          platform.layers.map(({ bytes }) => ({ digest: digestOf(bytes), size: bytes.length })),
        );
        const config = JSON.parse(platform.config.bytes.toString()) as { rootfs: { diff_ids: string[] } };
        assert.deepEqual(
          config.rootfs.diff_ids,
          platform.layers.map(({ bytes }) => digestOf(gunzipSync(bytes))),
        );
      }
    });
  }

  test('the same seed gives the same image, another seed another', () => {
    assert.equal(buildImage({ seed: 'a' }).index.digest, buildImage({ seed: 'a' }).index.digest);
    assert.notEqual(buildImage({ seed: 'a' }).index.digest, buildImage({ seed: 'b' }).index.digest);
  });

  test('platforms share no layer', () => {
    const digests = buildImage().blobs.map((blob) => blob.digest);
    assert.equal(new Set(digests).size, digests.length);
  });

  test('a layer is an archive that tar reads', () => {
    const [first] = platformOf(buildImage(), 'arm64').layers;
    const listed = spawnSync('tar', ['-tzvf', '-'], { input: first?.bytes, encoding: 'utf8' });
    assert.equal(listed.status, 0, listed.stderr);
    assert.match(listed.stdout, /^-rw-r--r-- 0\/0 +65536 \d{4}-\d\d-\d\d \d\d:\d\d usr\/share\/layer-0\/payload$/m);
  });
});

test('buildReferrer() names its subject', () => {
  const image = buildImage();
  const { manifest } = buildReferrer(image.index, { artifactType: 'application/x' });
  const value = JSON.parse(manifest.bytes.toString()) as { subject: { digest: string }; artifactType: string };
  assert.equal(value.subject.digest, image.index.digest);
  assert.equal(value.artifactType, 'application/x');
});
