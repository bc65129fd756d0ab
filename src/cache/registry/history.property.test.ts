import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CacheWorld, cacheWorld, LIBRARY, type Scope } from '../../../test/support/cache-world.ts';
import { FakeFailure } from '../../../test/support/fake-origin.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { smallImage } from '../../../test/support/small-image.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import type { Digest } from '../../oci/index.ts';
import { MAX_TAG_MOVES, openSqliteMetadataStore } from '../../store/index.ts';

const IMAGES = ['a', 'b', 'c'].map((seed) => smallImage(seed, []));
const TAGS = ['t0', 't1'];
const NAME = `${LIBRARY.registry}/${LIBRARY.repository}`;
const SECOND = 1000;

const digit = (most: number) => fc.integer({ min: 0, max: most });
const STEP = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('move' as const), tag: digit(1), image: digit(2) }) },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('pull' as const), tag: digit(1), head: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('pull while down' as const), tag: digit(1), head: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('rollback' as const),
      tag: digit(1),
      image: digit(2),
      lasts: fc.option(fc.integer({ min: 1, max: 8 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('unhold' as const), tag: digit(1) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('purge' as const), tag: fc.option(digit(1)) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('refresh' as const), tag: digit(1) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('evict' as const) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('restart' as const) }) },
);
type Step = typeof STEP extends fc.Arbitrary<infer E> ? E : never;

/** What a tag should be. */
interface TagModel {
  /** Where its upstream points it. */
  upstream: Digest;
  /** Newest first. */
  moves: { digest: Digest; seenAt: number }[];
  hold: { digest: Digest; until: number | undefined } | undefined;
}

const digestOf = (image: number): Digest => IMAGES[image]?.manifest.digest as Digest;

/** A cache in a directory, begun again at each restart, and the model that it is compared with. */
class Trial {
  readonly store = new MemoryBlobStore();
  readonly models = TAGS.map((): TagModel => ({ upstream: digestOf(0), moves: [], hold: undefined }));
  readonly #file: string;
  #now = 1_700_000_000_000;
  #world: CacheWorld | undefined;
  #cleanUps: (() => Promise<void>)[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  async start(): Promise<void> {
    const scope: Scope = { after: (cleanUp) => void this.#cleanUps.push(cleanUp) };
    const metadata = await openSqliteMetadataStore(this.#file);
    const { store } = this;
    this.#world = await cacheWorld(scope, { store, metadata, now: () => this.#now, tags: { freshFor: 0 } });
    scope.after(() => metadata.close());
    for (const [image, { manifest }] of IMAGES.entries()) {
      this.world.origin.addManifest(LIBRARY, manifest, `by-digest-${image}`);
    }
    for (const [tag, model] of this.models.entries()) {
      this.#point(
        TAGS[tag] ?? '',
        IMAGES.findIndex(({ manifest }) => manifest.digest === model.upstream),
      );
    }
  }

  async stop(): Promise<void> {
    for (const cleanUp of this.#cleanUps) await cleanUp();
    this.#cleanUps = [];
  }

  get world(): CacheWorld {
    assert.ok(this.#world !== undefined);
    return this.#world;
  }

  async step(step: Step): Promise<void> {
    this.#now += SECOND;
    const { cache, origin } = this.world;
    for (const model of this.models) {
      if (model.hold?.until !== undefined && model.hold.until <= this.#now) model.hold = undefined;
    }
    if (step.does === 'restart') {
      await this.stop();
      await this.start();
      return;
    }
    if (step.does === 'evict') {
      await cache.collect({ maxSize: 0 });
      return;
    }
    if (step.does === 'purge') {
      const selected = step.tag ?? undefined;
      await cache.purge([{ repository: NAME, ...(selected === undefined ? {} : { tag: TAGS[selected] as string }) }]);
      for (const [tag, model] of this.models.entries()) {
        if ((selected === undefined || selected === tag) && model.hold === undefined) model.moves = [];
      }
      return;
    }
    const tag = TAGS[step.tag] as string;
    const model = this.models[step.tag] as TagModel;
    const pull = (head: boolean) => cache.manifest(LIBRARY, { kind: 'tag', tag }, { head });
    if (step.does === 'move') {
      this.#point(tag, step.image);
      model.upstream = digestOf(step.image);
    } else if (step.does === 'pull') {
      // A HEAD of a tag without a record records none: some registries name a digest that they do not have.
      const answer = await pull(step.head && model.moves.length > 0);
      assert.equal(answer.digest, model.hold?.digest ?? model.upstream);
      assert.equal(answer.warning === undefined, model.hold === undefined, String(answer.warning));
      if (model.hold === undefined) this.#moved(model);
    } else if (step.does === 'pull while down') {
      origin.before = () => {
        throw new FakeFailure('unavailable');
      };
      const answer = await pull(step.head).catch((error: unknown) => error as Error);
      origin.before = () => {};
      cache.clearFailures();
      if (model.hold !== undefined) assert.equal((answer as { digest?: Digest }).digest, model.hold.digest);
      else if (!(answer instanceof Error)) assert.equal(answer.digest, model.moves[0]?.digest);
    } else if (step.does === 'refresh') {
      await cache.refresh([{ repository: NAME, tag }]);
      this.#moved(model);
    } else if (step.does === 'unhold') {
      const ended = await cache.unhold(LIBRARY, tag);
      assert.equal(ended?.digest, model.hold?.digest);
      model.hold = undefined;
    } else {
      const digest = digestOf(step.image);
      const until = step.lasts === null ? undefined : this.#now + step.lasts * SECOND;
      const isKnown = model.moves.some((move) => move.digest === digest);
      const done = cache.rollback({ repository: LIBRARY, tag, digest, until }, { originFor: () => origin.source });
      if (isKnown) {
        await done;
        model.hold = { digest, until };
      } else await assert.rejects(done, /never saw/);
    }
  }

  async assertAgrees(): Promise<void> {
    const { tags } = await this.world.cache.history({ repository: NAME });
    const known = new Map(tags.map((each) => [each.tag, each]));
    for (const [index, { moves, hold }] of this.models.entries()) {
      const found = known.get(TAGS[index] ?? '');
      assert.deepEqual(
        (found?.moves ?? []).map(({ digest, seenAt }) => ({ digest, seenAt })),
        moves,
      );
      assert.deepEqual(found?.hold && { digest: found.hold.digest, until: found.hold.until }, hold);
      assert.deepEqual((found?.moves ?? []).filter(({ isCurrent }) => isCurrent).length, moves.length > 0 ? 1 : 0);
    }
  }

  #moved(model: TagModel): void {
    if (model.moves[0]?.digest === model.upstream) return;
    model.moves = [{ digest: model.upstream, seenAt: this.#now }, ...model.moves].slice(0, MAX_TAG_MOVES);
  }

  #point(tag: string, image: number): void {
    const manifest = IMAGES[image]?.manifest;
    if (manifest !== undefined) this.#world?.origin.addManifest(LIBRARY, manifest, tag);
  }
}

/** Up to sixty steps in each; `TEST_ROUNDS=…` does more. */
const RUNS = Number(process.env['TEST_ROUNDS'] ?? 30);

test('a tag remembers where it pointed and answers where it is held, whatever happens', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
      const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-history-'));
      const trial = new Trial(join(directory, 'names.db'));
      try {
        await trial.start();
        for (const step of steps) {
          await trial.step(step);
          await trial.assertAgrees();
        }
      } finally {
        await trial.stop();
        await rm(directory, { recursive: true, force: true });
      }
    }),
    { numRuns: RUNS },
  );
});
