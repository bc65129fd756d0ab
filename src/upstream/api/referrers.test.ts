import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atOnce } from '../../lib/index.ts';
import { digestOf, MEDIA_TYPES } from '../../oci/index.ts';
import { factsOf, fallbackTag, readIndex } from './fallback-referrers.ts';
import { referrersIndex } from './referrers.ts';

const subject = digestOf(Buffer.from('x'));
const long = digestOf(Buffer.from('x'), 'sha512');

describe('fallbackTag', () => {
  test('is algorithm and digest, cut to what a tag may hold', () => {
    assert.equal(fallbackTag(subject), subject.replace(':', '-'));
    assert.equal(fallbackTag(long), `sha512-${long.slice(7, 71)}`);
  });
});

describe('factsOf', () => {
  const config = { mediaType: 'x/config', digest: 'sha256:c', size: 2 };
  const rows: readonly [manifest: object, subject: string | undefined, type: string | undefined][] = [
    [{ artifactType: 'x/a', config, subject: { digest: subject } }, subject, 'x/a'],
    [{ config, subject: { digest: subject } }, subject, 'x/config'],
    [{ artifactType: '', config, subject: { digest: subject } }, subject, 'x/config'],
    [{ artifactType: 'x/index', manifests: [], subject: { digest: subject } }, subject, 'x/index'],
    [{ manifests: [], subject: { digest: subject } }, subject, undefined],
    [{ config, subject: null }, undefined, 'x/config'],
    [{ config, subject: subject }, undefined, 'x/config'],
    [{ config: 'x', subject: { digest: 7 }, artifactType: 7 }, undefined, undefined],
  ];
  for (const [json, of, artifactType] of rows) {
    const bytes = Buffer.from(JSON.stringify(json));
    test(bytes.toString().slice(0, 90), () => {
      const sent = { bytes, mediaType: MEDIA_TYPES.ociManifest, digest: subject, size: bytes.length };
      const facts = atOnce(factsOf(sent));
      assert.deepEqual([facts?.subject, facts?.descriptor['artifactType']], [of, artifactType]);
    });
  }

  test('has the annotations of the manifest', () => {
    const bytes = Buffer.from('{"annotations":{"a":"b"}}');
    const facts = atOnce(factsOf({ bytes, mediaType: 'x/y', digest: subject, size: 1 }));
    assert.deepEqual(facts?.descriptor['annotations'], { a: 'b' });
  });
});

describe('referrersIndex', () => {
  const a = { digest: 'sha256:a', artifactType: 'x/a', annotations: { kept: 'yes' } };
  const b = { digest: 'sha256:b', artifactType: 'x/b' };

  test('holds all, as they came', () => {
    const { bytes, mediaType, filtersApplied } = atOnce(referrersIndex([a, b], undefined));
    assert.deepEqual(JSON.parse(bytes.toString()), {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [a, b],
    });
    assert.deepEqual([mediaType, filtersApplied], [MEDIA_TYPES.ociIndex, undefined]);
  });

  test('says by what it was filtered, and keeps the other fields of the list', () => {
    const sent = { annotations: { a: 'b' }, manifests: [a] };
    const { bytes, filtersApplied } = atOnce(referrersIndex([b], 'x/b', sent));
    assert.equal(filtersApplied, 'artifactType');
    assert.deepEqual(JSON.parse(bytes.toString()), {
      annotations: { a: 'b' },
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [b],
    });
  });
});

describe('readIndex', () => {
  const rows: readonly (readonly [string, number | undefined])[] = [
    ['{"manifests":[{"digest":"a"},{"digest":1},null,"x"]}', 1],
    ['{"manifests":[]}', 0],
    ['{"manifests":{}}', undefined],
    ['{}', undefined],
    ['null', undefined],
    ['<html>', undefined],
  ];
  for (const [bytes, expected] of rows) {
    test(bytes, () => assert.equal(atOnce(readIndex(Buffer.from(bytes)))?.descriptors.length, expected));
  }
});
