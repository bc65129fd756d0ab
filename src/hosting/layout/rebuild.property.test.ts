import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOfRecords, HostedContent } from '../../../test/support/hosted-content.ts';
import { memoryDirectory } from '../../../test/support/temporary.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import { type HostedStore, loadHostedStore, openHostedBlobStore } from '../../store/index.ts';
import { LayoutWriter, rebuildRecords, watchRecords } from './index.ts';

const { MemoryHostedStore } = await loadHostedStore();

const REPOSITORIES: readonly Repository[] = [
  { registry: 'apps', repository: 'a' },
  { registry: 'apps', repository: 'a/blobs' },
  { registry: 'localhost:5000', repository: 'team/x' },
];
const TAGS = ['latest', 'v1', 'v2', 'A', 'a'];
const ROUNDS = 12;
const STEPS = 60;

describe('records that are rebuilt from the layouts', () => {
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    test(`are those that were lost, after random pushes, moves and deletions (${seed})`, async (t) => {
      const random = randomOf(seed);
      const directory = await temporaryDirectory(t);
      const store = await openHostedBlobStore(directory);
      const records = new MemoryHostedStore();
      const warnings: string[] = [];
      const newWriter = () =>
        new LayoutWriter({ directory, records, store, warn: (message) => warnings.push(message), delay: 0, rest: 0 });
      let writer = newWriter();
      await writer.start();
      const watched = watchRecords(records, (repository) => writer.changed(repository));
      const content = new HostedContent(store, watched);
      for (let step = 0; step < STEPS; step += 1) {
        await STEP_KINDS[random(STEP_KINDS.length)]?.({ records: watched, content, random, step });
        if (random(20) === 0) await writer.settled();
        if (random(30) === 0) {
          // A restart, without what had not been written: the comparison finds it.
          const old = writer;
          writer = newWriter();
          await old.close();
          await writer.start();
        }
      }
      await writer.settled();
      await writer.close();
      assert.deepEqual(warnings, []);
      assert.deepEqual(await store.unknownFiles(), { count: 0, names: [] });

      const rebuilt = new MemoryHostedStore();
      const problems: unknown[] = [];
      const report = await rebuildRecords({
        directory,
        records: rebuilt,
        store,
        onProgress: (progress) => progress.kind === 'problem' && problems.push(progress),
      });
      const expected = await contentOfRecords(records);
      assert.deepEqual(await contentOfRecords(rebuilt), expected);
      assert.equal(report.repositories, (await records.totals()).repositories);
      // Only what no client sent (`sparse`) is missing.
      for (const problem of problems) assert.match((problem as { reason: string }).reason, /that it names is missing$/);
      assert.deepEqual(await collectedFrom(rebuilt), await collectedFrom(records));
      assert.deepEqual(await contentOfRecords(rebuilt), await contentOfRecords(records));
    });
  }
});

interface Step {
  readonly records: HostedStore;
  readonly content: HostedContent;
  readonly random: (below: number) => number;
  readonly step: number;
}

/** What can happen to a repository. Many steps find nothing to do. */
const STEP_KINDS: readonly ((step: Step) => Promise<unknown>)[] = [
  pushImage,
  pushImage,
  pushReferrer,
  pushIndex,
  ({ content, random, step }) => content.blob(pick(REPOSITORIES, random), `loose ${step}`),
  async ({ records, random, content }) => {
    const [from, to] = [pick(REPOSITORIES, random), pick(REPOSITORIES, random)];
    const blob = pick(await records.listBlobs(from, { limit: 99 }), random);
    if (blob !== undefined) await records.mountBlob(to, blob.digest, { from, at: content.now() });
  },
  async ({ records, random, content }) => {
    const repository = pick(REPOSITORIES, random);
    await records.deleteTag(repository, pick(TAGS, random), { at: content.now(), by: 'bob' });
  },
  async ({ records, random, content }) => {
    const repository = pick(REPOSITORIES, random);
    const digest = await anyManifest(records, repository, random);
    if (digest === undefined) return;
    await records.moveTag(repository, { tag: pick(TAGS, random), digest }, { at: content.now(), by: 'bob' });
  },
  async ({ records, random, content }) => {
    const repository = pick(REPOSITORIES, random);
    const digest = await anyManifest(records, repository, random);
    if (digest === undefined) return;
    await records.deleteManifest(repository, digest, { at: content.now(), by: 'bob', immutable: () => false });
  },
  async ({ records, random }) => {
    const repository = pick(REPOSITORIES, random);
    const blob = pick(await records.listBlobs(repository, { limit: 99 }), random);
    if (blob !== undefined) await records.deleteBlob(repository, blob.digest);
  },
  // A manifest whose bytes are uploaded as a blob as well.
  async ({ records, random, content }) => {
    const repository = pick(REPOSITORIES, random);
    const manifest = pick(await records.listManifests(repository, { limit: 99 }), random);
    if (manifest !== undefined) await records.putBlob(repository, manifest, { at: content.now() });
  },
  ({ records, content, random }) =>
    records.collect({ unusedSince: content.now() - 10_000 * random(10), untaggedSince: () => 1, limit: 3 }),
];

async function pushImage({ content, random, step }: Step): Promise<void> {
  const layers = [`layer ${random(5)}`, `layer ${step}`].slice(random(2));
  const tags = TAGS.filter(() => random(3) === 0);
  await content.image(pick(REPOSITORIES, random), `image ${random(8)} ${random(3)}`, { layers, tags });
}

async function pushReferrer({ records, content, random, step }: Step): Promise<void> {
  const repository = pick(REPOSITORIES, random);
  // The subject may be of another repository, and then it is missing.
  const subject = await anyManifest(records, pick(REPOSITORIES, random), random);
  if (subject !== undefined) await content.image(repository, `signature ${step}`, { subject });
}

async function pushIndex({ records, content, random }: Step): Promise<void> {
  const repository = pick(REPOSITORIES, random);
  const children = [
    await anyManifest(records, repository, random),
    await anyManifest(records, pick(REPOSITORIES, random), random),
  ];
  await content.index(repository, [...new Set(children.flatMap((each) => each ?? []))], random(2) === 0 ? ['v2'] : []);
}

async function anyManifest(
  records: HostedStore,
  repository: Repository,
  random: (below: number) => number,
): Promise<Digest | undefined> {
  return pick(await records.listManifests(repository, { limit: 99 }), random)?.digest;
}

/** Everything that nothing names, whenever it was used: the same where the records name the same. */
async function collectedFrom(records: HostedStore): Promise<readonly string[]> {
  const ever = Number.MAX_SAFE_INTEGER;
  const { removed } = await records.collect({ unusedSince: ever, untaggedSince: () => ever, limit: 100_000 });
  return removed.map(({ repository, digest }) => `${repository.registry}/${repository.repository} ${digest}`).sort();
}

function pick<T>(list: readonly [T, ...T[]] | readonly T[], random: (below: number) => number): T {
  return list[random(list.length)] as T;
}

/** mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 0x9e3779b9;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % Math.max(1, below);
  };
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-layout-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
