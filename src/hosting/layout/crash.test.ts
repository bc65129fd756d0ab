import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOfRecords, HostedContent } from '../../../test/support/hosted-content.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import type { HostedStore } from '../../store/index.ts';
import { loadHostedStore, openHostedBlobStore } from '../../store/index.ts';
import { LayoutWriter, rebuildRecords } from './index.ts';

const { MemoryHostedStore } = await loadHostedStore();

const APP = { registry: 'apps', repository: 'a' };

if (process.argv[2] === 'write') await write(process.argv[3] ?? '');
else runTests();

/** Writes the layout of one state, and then of the next; a crash point kills the process on the way. */
async function write(directory: string): Promise<void> {
  const store = await openHostedBlobStore(directory);
  const records = new MemoryHostedStore();
  const writer = new LayoutWriter({
    directory,
    records,
    store,
    warn: (message) => assert.fail(message),
    delay: 0,
    rest: 0,
  });
  const content = new HostedContent(store, records);
  await pushFirst(content);
  await writer.start();
  await writer.settled();
  await pushSecond(content, records);
  writer.changed(APP);
  await writer.settled();
  await writer.close();
}

async function pushFirst(content: HostedContent): Promise<void> {
  await content.image(APP, 'first', { layers: ['both', 'one'], tags: ['v1', 'latest'] });
}

async function pushSecond(content: HostedContent, records: HostedStore): Promise<void> {
  const first = (await records.getTag(APP, 'v1'))?.digest;
  await content.image(APP, 'second', { layers: ['both', 'two'], tags: ['v2', 'latest'] });
  if (first !== undefined)
    await records.deleteManifest(APP, first, { at: content.now(), by: 'bob', immutable: () => false });
  await records.collect({ unusedSince: content.now(), limit: 99 });
}

/** What the records were at the first state, and at the second. */
async function statesOf(): Promise<readonly unknown[]> {
  const records = new MemoryHostedStore();
  const content = new HostedContent(new MemoryBlobStore(), records);
  await pushFirst(content);
  const first = await contentOfRecords(records);
  await pushSecond(content, records);
  return [first, await contentOfRecords(records)];
}

function runTests(): void {
  describe('a kill of a server that writes a layout', () => {
    const points = [
      { point: 'layout.linked', state: undefined },
      { point: 'layout.linked#2', state: 0 },
      { point: 'layout.drafted', state: undefined },
      { point: 'layout.drafted#2', state: undefined },
      { point: 'layout.drafted#3', state: 0 },
      { point: 'layout.indexed', state: 0 },
      { point: 'layout.indexed#2', state: 1 },
    ];
    for (const { point, state } of points) {
      const left = state === undefined ? 'no layout' : `the layout of ${['before', 'after'][state]}`;
      test(`at ${point} leaves ${left}, and the next start completes it`, async (t) => {
        const directory = await temporaryDirectory(t);
        const argv = ['--disable-warning=ExperimentalWarning', import.meta.filename, 'write', directory];
        const env = { ...process.env, ENTREPOT_CRASH_AT: point };
        const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'inherit'] });
        t.after(() => child.kill('SIGKILL'));
        assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'], 'the point was not passed');

        const store = await openHostedBlobStore(directory);
        const states = await statesOf();
        const found = await rebuild(directory, store);
        if (state === undefined) assert.deepEqual(await found.listRepositories({ limit: 9 }), []);
        else assert.deepEqual(await tagsAndManifests(found), tagsAndManifestsOf(states[state]));

        const records = new MemoryHostedStore();
        const content = new HostedContent(store, records);
        await pushFirst(content);
        await pushSecond(content, records);
        const warnings: string[] = [];
        const warn = (message: string): void => void warnings.push(message);
        const writer = new LayoutWriter({ directory, records, store, warn, delay: 0, rest: 0 });
        await writer.start();
        await writer.settled();
        await writer.close();
        assert.deepEqual(warnings, []);
        assert.deepEqual(await store.unknownFiles(), { count: 0, names: [] });
        assert.deepEqual(await contentOfRecords(await rebuild(directory, store)), states[1]);
      });
    }
  });
}

async function rebuild(
  directory: string,
  store: Awaited<ReturnType<typeof openHostedBlobStore>>,
): Promise<HostedStore> {
  const records = new MemoryHostedStore();
  const problems: string[] = [];
  await rebuildRecords({
    directory,
    records,
    store,
    onProgress: (progress) => progress.kind === 'problem' && problems.push(`${progress.file}: ${progress.reason}`),
  });
  assert.deepEqual(
    problems.filter((problem) => !problem.endsWith('it is no directory with an index.json')),
    [],
  );
  return records;
}

/** Links of the next state, or of the one before, may be there as well: blobs that nothing names, which the collection removes. */
async function tagsAndManifests(records: HostedStore): Promise<unknown> {
  return tagsAndManifestsOf(await contentOfRecords(records));
}

function tagsAndManifestsOf(content: unknown): unknown {
  const { contents } = content as {
    readonly contents: readonly { readonly tags: unknown; readonly manifests: unknown }[];
  };
  return contents.map(({ tags, manifests }) => ({ tags, manifests }));
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-layout-crash-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
