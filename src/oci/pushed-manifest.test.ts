import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { atOnce } from '../lib/index.ts';
import { digestOf } from './digest.ts';
import { OciError } from './error.ts';
import { MEDIA_TYPES } from './media-types.ts';
import { readPushedManifest } from './pushed-manifest.ts';

const ONE = digestOf(Buffer.from('one'));
const TWO = digestOf(Buffer.from('two'), 'sha512');
const LAYER = 'application/vnd.oci.image.layer.v1.tar';

const read = (value: unknown, contentType?: string) =>
  atOnce(readPushedManifest(Buffer.from(JSON.stringify(value)), contentType));
const named = (digest: string, mediaType: string, more: object = {}) => ({ digest, mediaType, size: 3, ...more });

describe('readPushedManifest', () => {
  test('gives what an image names, each digest once', () => {
    const manifest = read({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: named(ONE, 'text/x.config'),
      layers: [named(TWO, LAYER), named(ONE, LAYER), named(TWO, LAYER)],
      subject: named(TWO, MEDIA_TYPES.ociIndex),
      annotations: { a: 'b' },
    });
    assert.deepEqual(manifest, {
      mediaType: MEDIA_TYPES.ociManifest,
      references: [
        { digest: ONE, kind: 'blob', isForeign: false },
        { digest: TWO, kind: 'blob', isForeign: false },
      ],
      subject: TWO,
      artifactType: 'text/x.config',
      annotations: { a: 'b' },
    });
  });

  test('gives what an index names by the types that it says', () => {
    const manifests = [
      named(ONE, MEDIA_TYPES.dockerManifest),
      named(TWO, LAYER),
      named(digestOf(Buffer.from('x')), ''),
    ];
    const { references, artifactType, subject } = read({ schemaVersion: 2, artifactType: '', manifests });
    assert.deepEqual(
      references.map(({ kind }) => kind),
      ['manifest', 'blob', 'unknown'],
    );
    assert.deepEqual([artifactType, subject], [undefined, undefined]);
  });

  for (const [what, value, expected] of [
    [
      'its own type',
      { mediaType: MEDIA_TYPES.dockerManifest, config: named(ONE, 'x/y'), layers: [] },
      MEDIA_TYPES.dockerManifest,
    ],
    ['a list of manifests', { manifests: [] }, MEDIA_TYPES.ociIndex],
    ['layers', { config: named(ONE, 'x/y'), layers: [] }, MEDIA_TYPES.ociManifest],
  ] as const) {
    test(`finds a missing type by ${what}`, () => {
      for (const type of [undefined, '', 'text/plain; charset=utf-8', 'application/octet-stream']) {
        assert.equal(read({ schemaVersion: 2, ...value }, type).mediaType, expected);
      }
    });
  }

  test('takes any bytes, and refuses with MANIFEST_INVALID alone', () => {
    const types = fc.constantFrom(undefined, '', 'text/plain', 'x', ...Object.values<string>(MEDIA_TYPES));
    const descriptor = fc.record(
      {
        digest: fc.oneof(fc.constantFrom<string>(ONE, TWO), fc.string()),
        size: fc.oneof(fc.nat(), fc.anything()),
        mediaType: fc.oneof(fc.constantFrom<string>(LAYER, ...Object.values(MEDIA_TYPES)), fc.anything()),
        urls: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const list = fc.oneof(fc.array(descriptor, { maxLength: 4 }), fc.anything());
    const json = fc.record(
      {
        schemaVersion: fc.oneof(fc.constant(2), fc.anything()),
        mediaType: fc.oneof(fc.constantFrom<string>(...Object.values(MEDIA_TYPES)), fc.anything()),
        config: fc.oneof(descriptor, fc.anything()),
        layers: list,
        manifests: list,
        fsLayers: list,
        subject: fc.oneof(descriptor, fc.anything()),
        artifactType: fc.anything(),
        annotations: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.anything()),
      },
      { requiredKeys: [] },
    );
    const bytes = fc.oneof(
      json.map((value) => Buffer.from(stringify(value))),
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 50 }).map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(bytes, types, (body, type) => {
        try {
          const { references, mediaType } = atOnce(readPushedManifest(body, type));
          assert.equal(new Set(references.map(({ digest }) => digest)).size, references.length);
          assert.notEqual(mediaType, '');
        } catch (error) {
          if (!(error instanceof OciError)) throw error;
          assert.deepEqual([error.code, error.status], ['MANIFEST_INVALID', 400]);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** As JSON, without what cannot be. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? Number(each) : each)) ?? 'null';
  } catch {
    return 'null';
  }
}
