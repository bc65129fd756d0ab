import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { buildImage, type Content, type TestImage } from '../../test/support/image.ts';
import { MemoryBlobStore } from '../../test/support/memory-blob-store.ts';
import { type Digest, digestAlgorithm, digestOf, type Reference } from '../oci/index.ts';
import { BundleError } from './error.ts';
import { pathOfDigest } from './layout.ts';
import { type ImportedManifest, type ImportReport, type ImportTarget, importBundle } from './read-bundle.ts';
import { BLOCK, readHeader, readPax } from './tar-header.ts';
import { writeBundle } from './write-bundle.ts';

// One byte of a bundle is wrong. What is imported all the same must be what was exported, under its own name.

const CONFIRMED_AT = Date.UTC(2026, 10, 1);
const REPOSITORY = { registry: 'up', repository: 'team/app' };
const one = buildImage({ seed: 'one', layers: [700, 90], architectures: ['amd64', 'arm64'] });
const other = withSha512(buildImage({ seed: 'other', layers: [400], architectures: ['amd64'] }));
const IMAGES: readonly (readonly [tag: string, image: TestImage])[] = [
  ['1.0', one],
  ['2.0', other],
];
const nameOf = (tag: string): string => `up/team/app:${tag}`;

/** Its layer is named by a digest whose path fits no header of a tar archive. */
function withSha512(image: TestImage): TestImage {
  const [platform] = image.platforms;
  const layer = platform?.layers[0];
  assert.ok(platform !== undefined && layer !== undefined);
  const renamed = digestOf(layer.bytes, 'sha512');
  const rewrite = (content: Content, from: string, to: string): Content => {
    const bytes = Buffer.from(content.bytes.toString().replace(from, to));
    return { ...content, bytes, size: bytes.length, digest: digestOf(bytes) };
  };
  const manifest = rewrite(platform.manifest, layer.digest, renamed);
  const sized = rewrite(image.index, `"size":${platform.manifest.size}`, `"size":${manifest.size}`);
  const index = rewrite(sized, platform.manifest.digest, manifest.digest);
  return {
    index,
    platforms: [],
    manifests: [index, manifest],
    blobs: [platform.config, { ...layer, digest: renamed }],
  };
}

async function exported(): Promise<Buffer> {
  const store = new MemoryBlobStore();
  for (const [, image] of IMAGES) {
    for (const { digest, bytes } of [...image.manifests, ...image.blobs]) {
      const ingestion = await store.begin();
      await ingestion.write(bytes, 0);
      await ingestion.commit(digest);
    }
  }
  const chunks: Buffer[] = [];
  const to = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  await writeBundle({
    to,
    entries: IMAGES.map(([tag, { index }]) => ({
      ...index,
      name: nameOf(tag),
      repository: 'up/team/app',
      confirmedAt: CONFIRMED_AT,
      visibility: 'private',
    })),
    parts: IMAGES.flatMap(([, { manifests, blobs }]) => [
      ...manifests.map(({ digest }) => ({ digest, kind: 'manifest' as const, home: 'mirrored' as const })),
      ...blobs.map(({ digest }) => ({ digest, kind: 'blob' as const, home: 'mirrored' as const })),
    ]),
    source: { mirrored: store, hosted: store },
  });
  return Buffer.concat(chunks);
}

/** What an import has recorded. */
class Site implements ImportTarget {
  readonly stored = new Map<Digest, Buffer>();
  readonly recorded: ImportedManifest[] = [];
  readonly tags = new Map<string, ImportedManifest & { readonly confirmedAt: number }>();

  resolve(name: string): { text: string; repository: typeof REPOSITORY; reference: Reference } {
    const tag = /^up\/team\/app:(.+)$/.exec(name)?.[1];
    assert.ok(tag !== undefined, `a name that was never exported: ${name}`);
    return { text: name, repository: REPOSITORY, reference: { kind: 'tag', tag } };
  }
  storedSize(digest: Digest): Promise<number | undefined> {
    return Promise.resolve(this.stored.get(digest)?.length);
  }
  begin(): ReturnType<ImportTarget['begin']> {
    const chunks: Buffer[] = [];
    return {
      append: async (bytes) => void chunks.push(Buffer.from(bytes)),
      commit: async (digest) => {
        const bytes = Buffer.concat(chunks);
        assert.equal(digestOf(bytes, digestAlgorithm(digest)), digest);
        this.stored.set(digest, bytes);
        return bytes.length;
      },
      drop: async () => undefined,
    };
  }
  hold(): void {}
  manifest(digest: Digest): Promise<Buffer | undefined> {
    return Promise.resolve(this.stored.get(digest));
  }
  async record(_: unknown, manifest: ImportedManifest): Promise<void> {
    this.recorded.push(manifest);
  }
  async tag(_: unknown, tag: string, manifest: ImportedManifest & { readonly confirmedAt: number }): Promise<'moved'> {
    this.tags.set(tag, manifest);
    return 'moved';
  }
  readonly now = (): number => CONFIRMED_AT + 1;
}

async function* whole(bytes: Buffer): AsyncGenerator<Buffer, void> {
  yield bytes;
}

type Kind = 'header' | 'pax' | 'layout' | 'index' | 'seal' | 'manifest' | 'blob' | 'padding' | 'end';

interface Region {
  readonly kind: Kind;
  readonly from: number;
  readonly to: number;
  /** Of a manifest or a blob. */
  readonly digest: Digest | undefined;
}

/** Every byte of a bundle, by what it belongs to. */
function regionsOf(bundle: Buffer): readonly Region[] {
  const kinds = new Map<string, { kind: Kind; digest?: Digest }>([
    ['oci-layout', { kind: 'layout' }],
    ['index.json', { kind: 'index' }],
    ['entrepot-bundle.json', { kind: 'seal' }],
  ]);
  for (const [, { manifests, blobs }] of IMAGES) {
    for (const { digest } of manifests) kinds.set(pathOfDigest(digest), { kind: 'manifest', digest });
    for (const { digest } of blobs) kinds.set(pathOfDigest(digest), { kind: 'blob', digest });
  }
  const regions: Region[] = [];
  let at = 0;
  const take = (kind: Kind, size: number, digest?: Digest): void => {
    if (size > 0) regions.push({ kind, from: at, to: at + size, digest });
    at += size;
  };
  let path: string | undefined;
  for (;;) {
    const header = readHeader(bundle.subarray(at, at + BLOCK));
    if (header === undefined) break;
    take('header', BLOCK);
    if (header.kind === 'pax') path = readPax(bundle.subarray(at, at + header.size)).path;
    const { kind, digest } =
      header.kind === 'pax' ? { kind: 'pax' as const } : (kinds.get(path ?? header.path) ?? assert.fail(header.path));
    if (header.kind !== 'pax') path = undefined;
    take(kind, header.size, digest);
    take('padding', (BLOCK - (header.size % BLOCK)) % BLOCK);
  }
  take('end', bundle.length - at);
  return regions;
}

/** Asserts that what was recorded is what was exported, and gives the tags of it. */
function assertRight({ recorded, tags, stored }: Site): readonly string[] {
  const contents = new Map(IMAGES.flatMap(([, { manifests }]) => manifests.map((each) => [each.digest, each])));
  for (const { digest, mediaType, bytes, visibility } of recorded) {
    assert.ok(contents.get(digest)?.bytes.equals(bytes), digest);
    assert.equal(mediaType, contents.get(digest)?.mediaType);
    assert.equal(visibility, 'private');
  }
  for (const [tag, { digest, confirmedAt }] of tags) {
    const image = IMAGES.find(([each]) => each === tag)?.[1];
    assert.equal(digest, image?.index.digest, tag);
    assert.equal(confirmedAt, CONFIRMED_AT);
    for (const { digest: needed, bytes } of [...(image?.manifests ?? []), ...(image?.blobs ?? [])])
      assert.ok(stored.get(needed)?.equals(bytes), `${tag} lacks ${needed}`);
  }
  return [...tags.keys()];
}

describe('a bundle with a wrong byte', async () => {
  const bundle = await exported();
  const regions = regionsOf(bundle);
  const kinds = [...new Set(regions.map(({ kind }) => kind))];

  test('is whole before', async () => {
    const site = new Site();
    const { images, damaged } = await importBundle(whole(bundle), site);
    assert.deepEqual(
      images.map(({ image, outcome }) => [image, outcome]),
      IMAGES.map(([tag]) => [nameOf(tag), 'imported']),
    );
    assert.deepEqual(damaged, []);
    assert.deepEqual(assertRight(site), ['1.0', '2.0']);
    const all = 'blob end header index layout manifest padding pax seal';
    assert.equal(kinds.toSorted().join(' '), all);
  });

  /** Imports the bundle with one bit pattern at one place: what it said, and what was recorded. */
  async function imported(position: number, mask: number) {
    const bytes = Buffer.from(bundle);
    bytes[position] = (bytes[position] ?? 0) ^ mask;
    const site = new Site();
    let report: ImportReport | undefined;
    let refused: BundleError | undefined;
    try {
      report = await importBundle(whole(bytes), site);
    } catch (error) {
      assert.ok(error instanceof BundleError, String(error));
      refused = error;
      assert.deepEqual([site.recorded, [...site.tags]], [[], []], 'a refused bundle records nothing');
    }
    return { site, report, refused, tags: assertRight(site) };
  }

  const expectations: Readonly<Record<Kind, RegExp | undefined>> = {
    header: /^(?:at its start|behind \S+), it is no tar archive, or a damaged one: a header has /,
    pax: undefined,
    layout: undefined,
    index: /^its index\.json is damaged/,
    seal: /^its (?:entrepot-bundle|index)\.json |^entrepot-bundle\.json: /,
    manifest: undefined,
    blob: undefined,
    padding: undefined,
    end: /^behind \S+, it is no tar archive, or a damaged one: a header has /,
  };

  for (const kind of kinds) {
    test(`in ${kind}: is refused by name, or imported right`, async () => {
      const position = fc
        .constantFrom(...regions.filter((each) => each.kind === kind))
        .chain((region) =>
          fc.record({ region: fc.constant(region), at: fc.integer({ min: region.from, max: region.to - 1 }) }),
        );
      let refusals = 0;
      await fc.assert(
        fc.asyncProperty(position, fc.integer({ min: 1, max: 255 }), async ({ region, at }, mask) => {
          const { report, refused, tags } = await imported(at, mask);
          const { digest } = region;
          if (digest !== undefined) {
            // A manifest or a blob: the images that need it are refused by its name, and the others are there.
            assert.deepEqual(report?.damaged, [digest]);
            const [needing, free] = [true, false].map((needs) =>
              IMAGES.filter(
                ([, { manifests, blobs }]) => [...manifests, ...blobs].some((each) => each.digest === digest) === needs,
              ).map(([tag]) => tag),
            );
            assert.deepEqual(tags, free);
            for (const { image, outcome, reason = '' } of report?.images ?? []) {
              const isNeeding = needing?.some((tag) => nameOf(tag) === image) === true;
              assert.equal(outcome, isNeeding ? 'refused' : 'imported');
              if (isNeeding) assert.ok(reason.startsWith(`${digest} is damaged in the bundle`), reason);
            }
            refusals += 1;
            return;
          }
          if (refused !== undefined) {
            refusals += 1;
            const expected = expectations[kind];
            if (expected !== undefined) assert.match(refused.message, expected);
            assert.match(refused.message, /copy|export/, 'with a remedy');
            return;
          }
          for (const { image, outcome, reason = '' } of report?.images ?? []) {
            if (outcome === 'refused') {
              refusals += 1;
              assert.match(reason, /sha(?:256|512):[0-9a-f]{64}/, image);
            }
          }
        }),
        { numRuns: 200 },
      );
      if (kind === 'padding' || kind === 'layout') assert.equal(refusals, 0, 'no reader needs these bytes');
      else assert.ok(refusals > 0);
    });
  }
});
