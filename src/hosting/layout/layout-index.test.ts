import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { atOnce } from '../../lib/index.ts';
import { digestOf, MEDIA_TYPES } from '../../oci/index.ts';
import { formatIndex, type LayoutContent, parseIndex } from './layout-index.ts';

const ONE = digestOf(Buffer.from('one'));
const TWO = digestOf(Buffer.from('two'), 'sha512');

const CONTENT: LayoutContent = {
  repository: { registry: 'apps', repository: 'team/web' },
  manifests: [
    {
      digest: ONE,
      mediaType: MEDIA_TYPES.ociManifest,
      size: 5,
      pushedAt: 1_700_000_000_123,
      isBlob: false,
      artifactType: 'a/b',
    },
    { digest: TWO, mediaType: MEDIA_TYPES.dockerList, size: 7, pushedAt: 1, isBlob: true, artifactType: undefined },
  ],
  tags: [
    { tag: 'latest', digest: ONE, movedAt: 1_700_000_001_000 },
    { tag: 'v1', digest: ONE, movedAt: 1_700_000_000_123 },
  ],
};

describe('an index.json', () => {
  test('is an image index with a descriptor for each tag and each manifest without one', () => {
    const pushed = { 'io.entrepot.pushed-at': '2023-11-14T22:13:20.123Z' };
    const one = { mediaType: MEDIA_TYPES.ociManifest, digest: ONE, size: 5, artifactType: 'a/b' };
    const tagged = (tag: string, at: string) => ({
      ...one,
      annotations: { 'org.opencontainers.image.ref.name': tag, 'io.entrepot.moved-at': at, ...pushed },
    });
    assert.deepEqual(JSON.parse(atOnce(formatIndex(CONTENT))), {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [
        tagged('latest', '2023-11-14T22:13:21.000Z'),
        tagged('v1', '2023-11-14T22:13:20.123Z'),
        {
          mediaType: MEDIA_TYPES.dockerList,
          digest: TWO,
          size: 7,
          annotations: { 'io.entrepot.pushed-at': '1970-01-01T00:00:00.001Z', 'io.entrepot.is-blob': 'true' },
        },
      ],
      annotations: { 'io.entrepot.registry': 'apps', 'io.entrepot.repository': 'team/web' },
    });
  });

  test('is read as it was written, also where it has nothing', () => {
    for (const content of [CONTENT, { ...CONTENT, manifests: [], tags: [] }]) {
      assert.deepEqual(atOnce(parseIndex(atOnce(formatIndex(content)))), { ...content, problems: [] });
    }
  });

  test('leaves out a tag whose manifest is not there', () => {
    const text = atOnce(formatIndex({ ...CONTENT, manifests: CONTENT.manifests.slice(1) }));
    assert.deepEqual(atOnce(parseIndex(text)).tags, []);
  });

  const broken: readonly (readonly [string, string, RegExp])[] = [
    ['that is cut', '{"schemaVersion":2', /not JSON/],
    ['that is a list', '[]', /not a JSON object/],
    ['of another program', '{"schemaVersion":2,"manifests":[]}', /no annotations io\.entrepot\.registry/],
    [
      'without a list',
      JSON.stringify({ annotations: { 'io.entrepot.registry': 'a', 'io.entrepot.repository': 'b' } }),
      /"manifests"/,
    ],
  ];
  for (const [what, text, message] of broken) {
    test(`${what} is refused`, () => {
      assert.throws(() => atOnce(parseIndex(text)), message);
    });
  }

  test('tells of each descriptor that makes no sense, and reads the others', () => {
    const index = JSON.parse(atOnce(formatIndex(CONTENT))) as { manifests: Record<string, unknown>[] };
    const [good = {}] = index.manifests;
    const annotated = (more: Record<string, unknown>) => ({
      ...good,
      annotations: { ...(good['annotations'] as object), ...more },
    });
    index.manifests = [
      good,
      { ...good, digest: 'sha256:../../etc/passwd' },
      { ...good, mediaType: 5 },
      { ...good, size: -1 },
      { ...good, size: 6 },
      { ...good, annotations: {} },
      annotated({ 'org.opencontainers.image.ref.name': '../x' }),
      annotated({}),
      null as unknown as Record<string, unknown>,
    ];
    const read = atOnce(parseIndex(JSON.stringify(index)));
    assert.deepEqual(
      read.manifests.map(({ digest }) => digest),
      [ONE],
    );
    assert.deepEqual(read.tags, CONTENT.tags.slice(0, 1));
    const found = read.problems.map((problem) => problem.replace(/^manifests\[(\d)\]: .*/, '$1'));
    assert.deepEqual(found, ['1', '2', '3', '4', '5', '6', '7', '8'], read.problems.join('\n'));
  });
});
