import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { APP, digestOf, OTHER } from '../../../test/support/hosted-records.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import type { HostedStore, NewManifest } from './hosted-store.ts';
import { MemoryHostedStore } from './memory.ts';
import { openHostedStore } from './open.ts';
import { HOSTED_USE_NOTED_AFTER } from './uses.ts';

// Random operations on few names, so that they meet. The store in memory is the model: it counts and looks by walking all records.

const RUNS = Number(process.env['TEST_RUNS'] ?? 60);

const REPOSITORIES: readonly Repository[] = [APP, OTHER];
const DIGESTS: readonly Digest[] = Array.from({ length: 5 }, (_, i) => digestOf(`${i}`));
const TAGS = ['a', 'b', 'c'];
const sizeOf = (digest: Digest): number => 10 ** DIGESTS.indexOf(digest);

const repository = fc.constantFrom(...REPOSITORIES);
const digest = fc.constantFrom(...DIGESTS);
const tag = fc.constantFrom(...TAGS);
const at = fc.integer({ min: 0, max: 5 }).map((hours) => hours * HOSTED_USE_NOTED_AFTER);
// Most changes are made: what is refused meets nothing.
const quota = fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.integer({ min: 0, max: 10 ** 7 }));
const expected = fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.constant(null), digest);
const immutable = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true));
const change = fc.record({ tag, expected, immutable });

/** What a manifest names comes before it among the digests, as no manifest can name one that names it. */
const manifest = fc
  .record({
    digest,
    mediaType: fc.constantFrom('image', 'index'),
    subject: fc.option(digest, { nil: undefined }),
    artifactType: fc.option(fc.constantFrom('sbom', 'signature'), { nil: undefined }),
    annotations: fc.option(fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 }), { nil: undefined }),
    references: fc.uniqueArray(fc.record({ digest, kind: fc.constantFrom('blob' as const, 'manifest' as const) }), {
      selector: (each) => each.digest,
      maxLength: 3,
    }),
  })
  .map(({ subject, references, ...rest }): NewManifest => {
    const isEarlier = (each: Digest): boolean => sizeOf(each) < sizeOf(rest.digest);
    return {
      ...rest,
      size: sizeOf(rest.digest),
      subject: subject !== undefined && isEarlier(subject) ? subject : undefined,
      references: references.filter((each) => isEarlier(each.digest)),
    };
  });

type Operation = (store: HostedStore) => Promise<unknown>;

const by = 'alice';
const sparse = fc.oneof(
  { weight: 3, arbitrary: fc.constant(['blob', 'manifest'] as const) },
  fc.subarray(['blob', 'manifest'] as const),
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  arbitrary({ repository, digest, at, quota }, (store, o) =>
    store.putBlob(o.repository, { digest: o.digest, size: sizeOf(o.digest) }, o),
  ),
  arbitrary({ repository, digest, at }, (store, o) => store.useBlob(o.repository, o.digest, o.at)),
  arbitrary({ repository, from: repository, digest, at, quota, isAny: fc.boolean() }, (store, o) => {
    const from = o.isAny ? (candidate: Repository) => candidate.repository === o.from.repository : o.from;
    return store.mountBlob(o.repository, o.digest, { ...o, from });
  }),
  arbitrary({ repository, digest }, (store, o) => store.deleteBlob(o.repository, o.digest)),
  ...[1, 2, 3].map(() =>
    arbitrary({ repository, manifest, at, quota, sparse, tags: fc.array(change, { maxLength: 3 }) }, (store, o) =>
      store.putManifest(o.repository, o.manifest, { ...o, by }),
    ),
  ),
  arbitrary({ repository, digest, at }, (store, o) => store.useManifest(o.repository, o.digest, o.at)),
  arbitrary({ repository, digest, at, kept: fc.option(tag) }, (store, o) =>
    store.deleteManifest(o.repository, o.digest, { at: o.at, by, immutable: (each) => each === o.kept }),
  ),
  arbitrary({ repository, digest, change, at }, (store, o) =>
    store.moveTag(o.repository, { ...o.change, digest: o.digest }, { at: o.at, by }),
  ),
  arbitrary({ repository, tag, at, digest: fc.option(digest, { nil: undefined }) }, (store, o) =>
    store.deleteTag(o.repository, o.tag, { at: o.at, by, expected: o.digest }),
  ),
  arbitrary({ unusedSince: at, untagged: fc.option(at, { nil: undefined }), only: repository }, async (store, o) => {
    const untaggedSince = (each: Repository) => (each.repository === o.only.repository ? o.untagged : undefined);
    return collected(store, o.unusedSince, untaggedSince);
  }),
);

test('a file and a store in memory agree on all operations, also after the file was closed', {
  timeout: 120_000,
}, async (t) => {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-hosted-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 1, maxLength: 120, size: 'max' }),
      fc.nat(120),
      async (operations, closeAt) => {
        runs += 1;
        const file = join(directory, `${runs}.db`);
        const model = new MemoryHostedStore();
        let store = await openHostedStore(file);
        try {
          for (const [i, operate] of operations.entries()) {
            if (i === closeAt) {
              await store.close();
              store = await openHostedStore(file);
            }
            assert.deepEqual(await operate(store), await operate(model));
            assert.deepEqual(await sums(store), await sums(model));
          }
          assert.deepEqual(await contents(store), await contents(model));
          await store.close();
          store = await openHostedStore(file);
          assert.deepEqual(await contents(store), await contents(model));
          // What keeps each record, and when it was last used.
          for (let hours = 0; hours <= 6; hours += 1) {
            const since = hours * HOSTED_USE_NOTED_AFTER + 1;
            const [found, modelled] = [await collected(store, since), await collected(model, since)];
            assert.deepEqual(found, modelled);
          }
        } finally {
          await store.close();
        }
      },
    ),
    { numRuns: RUNS },
  );
});

/** An operation with arbitrary options, which a failure prints. */
function arbitrary<T extends object>(
  options: { [K in keyof T]: fc.Arbitrary<T[K]> },
  operate: (store: HostedStore, options: T) => Promise<unknown>,
): fc.Arbitrary<Operation> {
  return fc.record(options).map((each) =>
    Object.assign((store: HostedStore) => operate(store, each as T), {
      [fc.toStringMethod]: () => `${String(operate)} ${fc.stringify(each)}`,
    }),
  );
}

/** What a collection takes, in order. */
async function collected(
  store: HostedStore,
  unusedSince: number,
  untaggedSince: (repository: Repository) => number | undefined = () => unusedSince,
): Promise<unknown> {
  const { removed, unreferenced } = await store.collect({ unusedSince, untaggedSince, limit: 99 });
  return [removed.map((each) => JSON.stringify(each)).toSorted(), unreferenced.toSorted()];
}

async function sums(store: HostedStore): Promise<unknown> {
  return [await store.totals(), ...(await Promise.all(REPOSITORIES.map((each) => store.usage(each))))];
}

/** All that a store says. */
async function contents(store: HostedStore): Promise<unknown> {
  const limit = 99;
  const all: unknown[] = [await store.listRepositories({ limit }), await store.listDigests({ limit })];
  for (const each of REPOSITORIES) {
    all.push(await store.hasRepository(each), await store.listTags(each, { limit }));
    all.push(await store.listBlobs(each, { limit }), await store.listManifests(each, { limit }));
    for (const name of await store.listTagNames(each, { limit })) all.push(name, await store.listTagMoves(each, name));
    for (const of of DIGESTS) {
      all.push(await store.getBlob(each, of), await store.getManifest(each, of));
      for (const artifactType of [undefined, 'sbom'])
        all.push(await store.listReferrers(each, of, { limit, artifactType }));
    }
  }
  for (const of of DIGESTS) {
    const holders = (await store.repositoriesOf(of, limit)).map((each) => each.repository);
    all.push(await store.isReferenced(of), holders.toSorted());
  }
  return all;
}
