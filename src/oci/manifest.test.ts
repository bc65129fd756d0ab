import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { atOnce } from '../lib/index.ts';
import { digestOf } from './digest.ts';
import { OciError } from './error.ts';
import { MAX_MANIFEST_BYTES, MAX_MANIFEST_ENTRIES, type Manifest, parseManifest, pickPlatform } from './manifest.ts';
import { MEDIA_TYPES } from './media-types.ts';

const { ociIndex, ociManifest, dockerList, dockerManifest, dockerManifestV1, dockerManifestV1Signed } = MEDIA_TYPES;
const CONFIG = digestOf(Buffer.from('config'));
const LAYER = digestOf(Buffer.from('layer'));
const FOREIGN = digestOf(Buffer.from('foreign'), 'sha512');
const EMPTY = digestOf(Buffer.from('empty'));

const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: CONFIG, size: 7 };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: LAYER, size: 5 };

function child(os: string, architecture: string, variant?: string) {
  const name = `${os}/${architecture}/${variant ?? ''}`;
  const platform = variant === undefined ? { os, architecture } : { os, architecture, variant };
  return { mediaType: ociManifest, digest: digestOf(Buffer.from(name)), size: 500, platform };
}

function read(bytes: Buffer, mediaType: string): Manifest {
  return atOnce(parseManifest(bytes, mediaType));
}

function parse(json: unknown, mediaType: string): Manifest {
  return read(Buffer.from(JSON.stringify(json)), mediaType);
}

function digests(descriptors: readonly { readonly digest: string }[]): string[] {
  return descriptors.map(({ digest }) => digest);
}

describe('parseManifest()', () => {
  for (const mediaType of [ociManifest, dockerManifest]) {
    test(`names the config and layers of ${mediaType}`, () => {
      const manifest = parse({ schemaVersion: 2, mediaType, config, layers: [layer] }, mediaType);
      assert.deepEqual(manifest.blobs, [config, layer]);
      assert.deepEqual(manifest.manifests, []);
    });
  }

  for (const mediaType of [ociIndex, dockerList]) {
    test(`names the children of ${mediaType}`, () => {
      const manifests = [child('linux', 'amd64'), child('linux', 'arm64', 'v8')];
      const manifest = parse({ schemaVersion: 2, mediaType, manifests }, mediaType);
      assert.deepEqual(manifest.manifests, manifests);
      assert.deepEqual(manifest.blobs, []);
    });
  }

  for (const mediaType of [dockerManifestV1, dockerManifestV1Signed]) {
    test(`names the layers of ${mediaType}, each once, without sizes`, () => {
      const fsLayers = [{ blobSum: EMPTY }, { blobSum: LAYER }, { blobSum: EMPTY }];
      const manifest = parse({ schemaVersion: 1, name: 'a', fsLayers, history: [] }, mediaType);
      assert.deepEqual(digests(manifest.blobs), [EMPTY, LAYER]);
      assert.equal(manifest.blobs[0]?.size, undefined);
    });
  }

  test('keeps foreign layers', () => {
    const foreign = { ...layer, digest: FOREIGN, urls: ['https://example.com/layer'] };
    const manifest = parse({ config, layers: [foreign, layer] }, dockerManifest);
    assert.deepEqual(digests(manifest.blobs), [CONFIG, FOREIGN, LAYER]);
  });

  test('takes null for an empty list, as Go writes it', () => {
    assert.deepEqual(parse({ config, layers: null, manifests: null }, ociManifest).blobs, [config]);
    assert.deepEqual(parse({ manifests: null, layers: null }, ociIndex).manifests, []);
  });

  test('knows of an unknown type only that it is JSON', () => {
    const manifest = parse({ layers: [layer], subject: 'x' }, 'application/vnd.example+json');
    assert.deepEqual(manifest, { blobs: [], manifests: [] });
  });

  const types: readonly [contentType: string, own: string | undefined, reading: 'an image' | 'unknown'][] = [
    [`${ociManifest}; charset=utf-8`, ociManifest, 'an image'],
    [ociManifest.toUpperCase(), undefined, 'an image'],
    [ociManifest, dockerManifest, 'an image'],
    [ociManifest, 'application/vnd.example', 'an image'],
    ['application/json', ociManifest, 'an image'],
    ['text/plain; charset=utf-8', dockerManifest, 'an image'],
    ['', ociManifest, 'an image'],
    ['application/vnd.example', ociManifest, 'unknown'],
    ['application/json', undefined, 'unknown'],
  ];
  for (const [contentType, own, reading] of types) {
    test(`is ${reading} where it was sent as ${contentType || 'nothing'} and calls itself ${own}`, () => {
      const { blobs } = parse({ mediaType: own, config, layers: [layer] }, contentType);
      assert.equal(blobs.length, reading === 'unknown' ? 0 : 2);
    });
  }

  const many = Array.from({ length: MAX_MANIFEST_ENTRIES + 1 }, () => layer);
  const refused: readonly [why: string, json: unknown, mediaType: string][] = [
    ['a list', [], ociManifest],
    ['null', null, ociManifest],
    ['text', 'x', ociManifest],
    ['an index with layers', { manifests: [], layers: [layer] }, ociIndex],
    ['an image with manifests', { manifests: [child('linux', 'amd64')], config, layers: [] }, ociManifest],
    ['manifests beside fsLayers', { manifests: [], fsLayers: [] }, dockerManifestV1],
    ['manifests beside layers in any case', { Manifests: [], config, layers: [] }, ociManifest],
    ['manifests beside layers with a long s', { manifeſts: [], config, layers: [] }, ociManifest],
    ['manifests beside LAYERS in an index', { manifests: [], LAYERS: [] }, ociIndex],
    ['both, in an unknown type', { manifests: [], layers: [] }, 'application/vnd.example'],
    ['an index with a config', { manifests: [], config }, ociIndex],
    ['an image without layers', { config }, ociManifest],
    ['an image without a config', { layers: [layer] }, ociManifest],
    ['an index that is none', { config: null }, ociIndex],
    ['an image sent as an index', { mediaType: ociManifest, manifests: [] }, ociIndex],
    ['an index sent as an image', { mediaType: dockerList, config, layers: [] }, dockerManifest],
    ['schema 1 sent as schema 2', { mediaType: dockerManifestV1, config, layers: [] }, dockerManifest],
    ['schema 1 without layers', { schemaVersion: 1 }, dockerManifestV1],
    ['a mediaType that is no text', { mediaType: 1, config, layers: [] }, ociManifest],
    ['layers that are no list', { config, layers: {} }, ociManifest],
    ['a layer that is no object', { config, layers: ['x'] }, ociManifest],
    ['a layer that is null', { config, layers: [null] }, ociManifest],
    [
      'a digest of an unknown algorithm',
      { config, layers: [{ ...layer, digest: `md5:${'a'.repeat(32)}` }] },
      ociManifest,
    ],
    ['a digest that is a path', { config, layers: [{ ...layer, digest: 'sha256:../../etc/passwd' }] }, ociManifest],
    ['a missing digest', { config, layers: [{ ...layer, digest: undefined }] }, ociManifest],
    ['a negative size', { config, layers: [{ ...layer, size: -1 }] }, ociManifest],
    ['a size in text', { config, layers: [{ ...layer, size: '5' }] }, ociManifest],
    ['a broken size', { config, layers: [{ ...layer, size: 1.5 }] }, ociManifest],
    ['a size beyond numbers', { config, layers: [{ ...layer, size: 2 ** 53 }] }, ociManifest],
    ['a missing size', { config, layers: [{ ...layer, size: undefined }] }, ociManifest],
    ['a descriptor type that is no text', { config, layers: [{ ...layer, mediaType: 5 }] }, ociManifest],
    ['a blobSum that is none', { fsLayers: [{ blobSum: 'x' }] }, dockerManifestV1],
    ['a subject that is none', { config, layers: [], subject: { digest: 'x' } }, ociManifest],
    ['too many layers', { config, layers: many }, ociManifest],
    ['too many children', { manifests: many }, ociIndex],
  ];
  for (const [why, json, mediaType] of refused) {
    test(`refuses ${why}`, () => {
      assert.throws(() => parse(json, mediaType), { name: 'OciError', code: 'MANIFEST_INVALID', status: 400 });
    });
  }

  for (const text of ['', '{', '\ufeff{}', '<html>', '{"layers":[', '['.repeat(100_000)]) {
    test(`refuses ${JSON.stringify(text.slice(0, 12))}, which is not JSON`, () => {
      assert.throws(() => read(Buffer.from(text), ociManifest), { code: 'MANIFEST_INVALID' });
    });
  }

  test('refuses more bytes than any client takes, without reading them', () => {
    const bytes = Buffer.alloc(MAX_MANIFEST_BYTES + 1, ' ');
    assert.throws(() => read(bytes, ociManifest), /5242881 bytes/);
  });

  test('accepts what the largest client cap lets through', () => {
    const padded = { config, layers: [layer], annotations: { padding: 'x'.repeat(4 * 1048 * 1048) } };
    assert.equal(parse(padded, ociManifest).blobs.length, 2);
  });

  test('takes __proto__ for the word it is', () => {
    const text = `{"__proto__":{"manifests":[]},"config":${JSON.stringify(config)},"layers":[]}`;
    assert.equal(read(Buffer.from(text), ociManifest).blobs.length, 1);
  });

  test('gives a manifest or MANIFEST_INVALID for any JSON', () => {
    const field = fc.constantFrom('manifests', 'layers', 'config', 'mediaType', 'subject', 'fsLayers', 'annotations');
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom([layer], config, ociIndex, [child('linux', 'amd64')]));
    fc.assert(
      fc.property(
        fc.dictionary(field, value),
        fc.constantFrom(...Object.values(MEDIA_TYPES), ''),
        (json, mediaType) => {
          try {
            const manifest = parse(json, mediaType);
            assert.ok(manifest.blobs.length === 0 || manifest.manifests.length === 0);
          } catch (error) {
            assert.ok(error instanceof OciError && error.code === 'MANIFEST_INVALID', String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('pickPlatform()', () => {
  const attestation = child('unknown', 'unknown');
  const arm7 = child('linux', 'arm', 'v7');
  const arm6 = child('linux', 'arm', 'v6');
  const index = parse(
    { manifests: [attestation, child('windows', 'amd64'), child('linux', 'amd64'), arm7, arm6] },
    ociIndex,
  );
  const rows: readonly [os: string, architecture: string, variant: string | undefined, digest: string | undefined][] = [
    ['linux', 'amd64', undefined, child('linux', 'amd64').digest],
    ['windows', 'amd64', undefined, child('windows', 'amd64').digest],
    ['linux', 'arm', undefined, arm7.digest],
    ['linux', 'arm', 'v6', arm6.digest],
    ['linux', 'arm', 'v5', undefined],
    ['linux', 's390x', undefined, undefined],
  ];
  for (const [os, architecture, variant, digest] of rows) {
    test(`${os}/${architecture}/${variant ?? '-'} is ${digest === undefined ? 'not there' : 'found'}`, () => {
      const wanted = variant === undefined ? { os, architecture } : { os, architecture, variant };
      assert.equal(pickPlatform(index, wanted)?.digest, digest);
    });
  }

  test('prefers the child without a variant where none is asked for', () => {
    const plain = child('linux', 'arm64');
    const both = parse({ manifests: [child('linux', 'arm64', 'v8'), plain] }, ociIndex);
    assert.equal(pickPlatform(both, { os: 'linux', architecture: 'arm64' })?.digest, plain.digest);
  });
});
