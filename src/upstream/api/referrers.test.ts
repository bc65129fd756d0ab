import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, MEDIA_TYPES } from '../../oci/index.ts';
import { cosignTags, descriptorsIn, fallbackTag, referrersIndex } from './referrers.ts';

const subject = digestOf(Buffer.from('x'));
const long = digestOf(Buffer.from('x'), 'sha512');

describe('fallbackTag', () => {
  test('is algorithm and digest, cut to what a tag may hold', () => {
    assert.equal(fallbackTag(subject), subject.replace(':', '-'));
    assert.equal(fallbackTag(long), `sha512-${long.slice(7, 71)}`);
  });
});

describe('cosignTags', () => {
  test('are three, for sha256 alone', () => {
    const hex = subject.slice(7);
    assert.deepEqual(
      cosignTags(subject).map(({ tag }) => tag),
      [`sha256-${hex}.sig`, `sha256-${hex}.att`, `sha256-${hex}.sbom`],
    );
    assert.deepEqual(cosignTags(long), []);
  });
});

describe('referrersIndex', () => {
  const a = { digest: 'sha256:a', artifactType: 'x/a', annotations: { kept: 'yes' } };
  const b = { digest: 'sha256:b', artifactType: 'x/b' };

  test('holds all, as they came', () => {
    const { bytes, mediaType, filtersApplied } = referrersIndex([a, b], undefined);
    assert.deepEqual(JSON.parse(bytes.toString()), {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [a, b],
    });
    assert.deepEqual([mediaType, filtersApplied], [MEDIA_TYPES.ociIndex, undefined]);
  });

  test('is filtered, and says so', () => {
    const { bytes, filtersApplied } = referrersIndex([a, b], 'x/b');
    assert.deepEqual([descriptorsIn(bytes), filtersApplied], [[b], 'artifactType']);
  });
});

describe('descriptorsIn', () => {
  const rows: readonly (readonly [string, number | undefined])[] = [
    ['{"manifests":[{"digest":"a"},{"digest":1},null,"x"]}', 1],
    ['{"manifests":[]}', 0],
    ['{"manifests":{}}', undefined],
    ['{}', undefined],
    ['null', undefined],
    ['<html>', undefined],
  ];
  for (const [bytes, expected] of rows) {
    test(bytes, () => assert.equal(descriptorsIn(Buffer.from(bytes))?.length, expected));
  }
});
