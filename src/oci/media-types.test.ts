import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { acceptsMediaType, isIndexType, MANIFEST_ACCEPT, MEDIA_TYPES } from './media-types.ts';

const { ociIndex, ociManifest, dockerList, dockerManifest } = MEDIA_TYPES;

describe('acceptsMediaType()', () => {
  const containerd = [dockerManifest, dockerList, ociManifest, ociIndex, '*/*'].join(', ');
  const rows: readonly [accept: string | undefined, mediaType: string, accepted: boolean][] = [
    [undefined, ociIndex, true],
    ['', ociIndex, true],
    ['   ', ociIndex, true],
    ['nonsense', ociIndex, true],
    ['*/*', ociIndex, true],
    ['application/*', ociIndex, true],
    ['text/*', ociIndex, false],
    ['application/json', ociIndex, false],
    [ociIndex, ociIndex, true],
    [ociIndex.toUpperCase(), ociIndex, true],
    [ociManifest, ociIndex, false],
    [`${ociManifest}, ${dockerManifest}`, dockerList, false],
    [`${ociManifest},${dockerList}`, dockerList, true],
    [containerd, ociIndex, true],
    [containerd, MEDIA_TYPES.dockerManifestV1Signed, true],
    [`${ociIndex};q=0`, ociIndex, false],
    [`${ociIndex}; q=0.000`, ociIndex, false],
    [`${ociIndex};Q=0.0`, ociIndex, false],
    [`${ociIndex};q=0.001`, ociIndex, true],
    [`*/*, ${ociIndex};q=0`, ociIndex, false],
    [`${ociIndex};q=0, */*`, ociIndex, false],
    [`${ociIndex};q=0, */*`, ociManifest, true],
    ['application/*;q=0, */*', ociIndex, false],
    [`application/*;q=0, ${ociIndex}`, ociIndex, true],
    ['*/*;q=0', ociIndex, false],
    [`${ociIndex};charset=utf-8;q=0.5`, ociIndex, true],
    [`${ociIndex};q=0,${ociIndex};q=1`, ociIndex, true],
    [MANIFEST_ACCEPT, 'application/vnd.cncf.helm.config.v1+json', true],
    [`${'a/b,'.repeat(100_000)}${ociIndex}`, ociIndex, false],
  ];
  for (const [accept, mediaType, accepted] of rows) {
    test(`${JSON.stringify(accept?.slice(0, 80))} ${accepted ? 'takes' : 'does not take'} ${mediaType}`, () => {
      assert.equal(acceptsMediaType(accept, mediaType), accepted);
    });
  }
});

describe('isIndexType()', () => {
  test('knows the two that point to manifests', () => {
    assert.deepEqual(
      Object.values(MEDIA_TYPES).filter((type) => isIndexType(type)),
      [ociIndex, dockerList],
    );
  });
});

describe('MANIFEST_ACCEPT', () => {
  test('asks for every type of today before schema 1', () => {
    for (const type of [ociIndex, ociManifest, dockerList, dockerManifest]) {
      assert.ok(MANIFEST_ACCEPT.split(', ').includes(type), type);
    }
    assert.match(MANIFEST_ACCEPT, /v1\+prettyjws;q=0\.5/);
  });
});
