import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cacheWorld, ELSEWHERE, LIBRARY } from '../../../test/support/cache-world.ts';
import { type Content, content } from '../../../test/support/image.ts';
import { PIECE } from '../../lib/index.ts';
import { type Digest, digestOf, MEDIA_TYPES, type Repository } from '../../oci/index.ts';
import { MemoryMetadataStore } from '../../store/index.ts';

// The largest manifests that are accepted. What counts is not how long they take but how much is done in one turn of the event
// loop: every other request waits for that.

const ENTRIES = 10_000;
const STEPS = Math.floor(ENTRIES / PIECE);

function descriptorsOf(mediaType: string, seed: string): readonly object[] {
  return Array.from({ length: ENTRIES }, (_, at) => ({
    mediaType,
    digest: digestOf(Buffer.from(`${seed} ${at}`)),
    size: 1000,
    platform: { os: 'linux', architecture: 'amd64' },
  }));
}

function manifestOf(mediaType: string, fields: object): Content {
  return content(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields })));
}

const config = { mediaType: 'x/config', digest: digestOf(Buffer.from('config')), size: 6 };
const image = manifestOf(MEDIA_TYPES.ociManifest, { config, layers: descriptorsOf('x/layer', 'layer') });
const index = manifestOf(MEDIA_TYPES.ociIndex, { manifests: descriptorsOf(MEDIA_TYPES.ociManifest, 'child') });

/** Counts the turns of the event loop, and the reads of the database within one. */
class TurnCounter extends MemoryMetadataStore {
  turns = 0;
  mostReads = 0;
  #reads = 0;

  override getMember(repository: Repository, digest: Digest) {
    this.#reads += 1;
    this.mostReads = Math.max(this.mostReads, this.#reads);
    return super.getMember(repository, digest);
  }

  /** Counts from now on, until the work is done. */
  async during(work: () => Promise<unknown>): Promise<void> {
    const over = { yet: false };
    this.turns = 0;
    this.mostReads = 0;
    const done = work().finally(() => (over.yet = true));
    for (; !over.yet; this.turns += 1) {
      this.#reads = 0;
      await new Promise(setImmediate);
    }
    await done;
  }
}

describe('the largest manifests', () => {
  for (const [what, manifest] of [
    ['an image of 10,000 layers', image],
    ['an index of 10,000 children', index],
  ] as const) {
    test(`${what} is parsed and recorded in many turns of the event loop`, async (t) => {
      const metadata = new TurnCounter();
      const world = await cacheWorld(t, { metadata });
      world.origin.addManifest(LIBRARY, manifest, 'latest');
      await metadata.during(async () => {
        const { bytes } = await world.cache.manifest(LIBRARY, { kind: 'tag', tag: 'latest' }, {});
        assert.ok(bytes?.equals(manifest.bytes));
      });
      // Descriptors, records, and what is remembered of them.
      assert.ok(metadata.turns >= 3 * STEPS, `${metadata.turns} turns`);
      assert.ok(metadata.mostReads <= PIECE, `${metadata.mostReads} reads in one turn`);
    });
  }

  test('what a stored one names is looked up for another repository in many turns', async (t) => {
    const metadata = new TurnCounter();
    const world = await cacheWorld(t, { metadata });
    const { mediaType, digest, size } = image;
    const parent = manifestOf(MEDIA_TYPES.ociIndex, { manifests: [{ mediaType, digest, size }] });
    world.origin.addManifest(LIBRARY, image, 'latest');
    world.origin.addManifest(ELSEWHERE, parent, 'latest');
    await world.cache.manifest(LIBRARY, { kind: 'tag', tag: 'latest' }, {});
    await world.cache.manifest(ELSEWHERE, { kind: 'tag', tag: 'latest' }, {});
    await metadata.during(async () => {
      const { outcome } = await world.cache.manifest(ELSEWHERE, { kind: 'digest', digest }, {});
      assert.equal(outcome, 'HIT');
    });
    assert.ok(metadata.mostReads > 1 && metadata.mostReads <= PIECE + 1, `${metadata.mostReads} reads in one turn`);
    assert.ok(metadata.turns >= 4 * STEPS, `${metadata.turns} turns`);
  });
});
