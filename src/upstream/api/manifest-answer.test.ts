import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atOnce } from '../../lib/index.ts';
import { digestOf, MEDIA_TYPES } from '../../oci/index.ts';
import { isIdentity, manifestDigest, manifestMediaType } from './manifest-answer.ts';

describe('manifestMediaType', () => {
  const json = JSON.stringify;
  const rows: readonly (readonly [string, string | undefined, string, string | undefined])[] = [
    ['as it was sent', MEDIA_TYPES.ociIndex, '{}', MEDIA_TYPES.ociIndex],
    ['without parameters', `${MEDIA_TYPES.dockerManifest}; charset=utf-8`, '{}', MEDIA_TYPES.dockerManifest],
    [
      'what it was sent as before what it says',
      MEDIA_TYPES.ociIndex,
      json({ mediaType: MEDIA_TYPES.dockerList }),
      MEDIA_TYPES.ociIndex,
    ],
    [
      'what it says where it was sent as nothing',
      undefined,
      json({ mediaType: MEDIA_TYPES.dockerList }),
      MEDIA_TYPES.dockerList,
    ],
    [
      'what it says where it was sent as text',
      'text/plain; charset=utf-8',
      json({ mediaType: MEDIA_TYPES.ociManifest }),
      MEDIA_TYPES.ociManifest,
    ],
    [
      'what it says where it was sent as JSON',
      'application/json',
      json({ mediaType: MEDIA_TYPES.ociManifest }),
      MEDIA_TYPES.ociManifest,
    ],
    [
      'an index by its shape',
      'application/octet-stream',
      json({ schemaVersion: 2, manifests: [] }),
      MEDIA_TYPES.ociIndex,
    ],
    ['an image by its shape', 'binary/octet-stream', json({ config: {}, layers: [] }), MEDIA_TYPES.ociManifest],
    ['schema 1', 'application/json', json({ schemaVersion: 1, fsLayers: [] }), MEDIA_TYPES.dockerManifestV1],
    [
      'signed schema 1',
      'application/json',
      json({ schemaVersion: 1, signatures: [] }),
      MEDIA_TYPES.dockerManifestV1Signed,
    ],
    [
      'its shape where what it says cannot stand in a header',
      'application/json',
      json({ mediaType: 'application/x\r\nset-cookie: a=b', manifests: [] }),
      MEDIA_TYPES.ociIndex,
    ],
    [
      'nothing where it says more than a header holds',
      '',
      json({ mediaType: `a/${'b'.repeat(1_000_000)}` }),
      undefined,
    ],
    ['what it says where it was sent as no type', 'manifest', json({ mediaType: 'a/b' }), 'a/b'],
    ['a page for people', 'text/html; charset=utf-8', '<html>', undefined],
    ['no JSON', 'text/plain', 'hello', undefined],
    ['an array', 'text/plain', '[]', undefined],
    ['some JSON', 'application/json', '{"hello":1}', undefined],
  ];
  for (const [why, sent, bytes, expected] of rows) {
    test(why, () => assert.equal(atOnce(manifestMediaType(sent, Buffer.from(bytes))), expected));
  }
});

describe('manifestDigest', () => {
  const bytes = Buffer.from('{}');

  test('is computed in the algorithm it was asked by', () => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const digest = digestOf(bytes, algorithm);
      assert.equal(manifestDigest(bytes, { kind: 'digest', digest }), digest);
    }
    assert.equal(manifestDigest(bytes, { kind: 'tag', tag: 'x' }), digestOf(bytes));
  });

  test('is nothing where it is another than the one asked by', () => {
    assert.equal(manifestDigest(Buffer.from('{ }'), { kind: 'digest', digest: digestOf(bytes) }), undefined);
  });
});

describe('isIdentity', () => {
  const rows = [
    [undefined, true],
    ['', true],
    ['identity', true],
    ['Identity', true],
    ['gzip', false],
    ['identity, gzip', false],
  ] as const;
  for (const [encoding, expected] of rows) {
    test(String(encoding), () => assert.equal(isIdentity(encoding), expected));
  }
});
