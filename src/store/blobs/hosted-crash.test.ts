import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOf, listed, putBlob } from '../../../test/suites/blob-store.ts';
import { type Digest, digestAlgorithm, digestOf } from '../../oci/index.ts';
import type { ResumableBlobStore } from './blob-store.ts';
import { openFilesystemBlobStore } from './filesystem.ts';
import { openHostedBlobStore } from './hosted.ts';

const BYTES = Buffer.alloc(300_000, 'pushed while it died');
const TAKEN = Buffer.from('mounted while it died');
const NAME = 'upload';

const ROLES: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  push: pushOne,
  abort: abortOne,
  take: takeOne,
  'push on': pushOn,
};

const role = ROLES[process.argv[2] ?? ''];
if (role === undefined) runTests();
else await role(process.argv[3] ?? '');

/** Takes one upload through its whole life; a crash point kills the process on the way. */
async function pushOne(directory: string): Promise<void> {
  const store = await openHostedBlobStore(join(directory, 'hosted'));
  const first = await store.beginNamed(NAME, 'note');
  await first.write(BYTES.subarray(0, 200_000), 0);
  await first.close();
  const again = await store.reopen(NAME);
  await again?.file.truncate(100_000);
  await again?.file.write(BYTES.subarray(100_000), 100_000);
  await again?.file.commit(digestOf(BYTES));
  await again?.file.close();
}

async function abortOne(directory: string): Promise<void> {
  const store = await openHostedBlobStore(join(directory, 'hosted'));
  const file = await store.beginNamed(NAME, 'note');
  await file.write(BYTES, 0);
  await file.abort();
  await file.close();
}

async function takeOne(directory: string): Promise<void> {
  const cache = await openFilesystemBlobStore(directory);
  const store = await openHostedBlobStore(join(directory, 'hosted'));
  await store.takeFrom(cache, digestOf(TAKEN));
}

/** Pushes, aborts and takes, until it is killed. */
async function pushOn(directory: string): Promise<void> {
  const cache = await openFilesystemBlobStore(directory);
  const store = await openHostedBlobStore(join(directory, 'hosted'));
  process.send?.('begun');
  async function pusher(number: number): Promise<void> {
    for (let round = 0; round < 1000; round += 1) {
      const bytes = randomBytes(1 + Math.floor(Math.random() * 100_000));
      const file = await store.beginNamed(`${process.pid}-${number}-${round}`, 'note');
      await file.write(bytes, 0);
      if (round % 4 === 0) await file.abort();
      else if (round % 4 !== 1) await file.commit(digestOf(bytes));
      await file.close();
      await putBlob(cache, bytes);
      if (round % 4 === 0) await store.takeFrom(cache, digestOf(bytes));
    }
  }
  await Promise.all([pusher(0), pusher(1), pusher(2)]);
}

function runTests(): void {
  describe('a kill of a push', () => {
    const points = [
      { point: 'note.drafted', visible: false, left: undefined },
      { point: 'named.noted', visible: false, left: undefined },
      { point: 'ingest.created', visible: false, left: 0 },
      { point: 'ingest.written', visible: false, left: 200_000 },
      { point: 'ingest.written#2', visible: false, left: 300_000 },
      { point: 'commit.synced', visible: false, left: 300_000 },
      { point: 'commit.sharded', visible: false, left: 300_000 },
      { point: 'commit.renamed', visible: true, left: undefined },
      { point: 'commit.flushed', visible: true, left: undefined },
    ];
    for (const { point, visible, left } of points) {
      const upload = left === undefined ? 'no upload' : `an upload of ${left} bytes`;
      test(`at ${point} leaves ${upload}, a blob that is ${visible ? 'whole' : 'not there'}, and nothing else`, async (t) => {
        const directory = await temporaryDirectory(t);
        await dies(start(t, 'push', { directory, crashAt: point }));
        const store = await assertSound(directory);
        assert.equal((await store.stat(digestOf(BYTES))) !== undefined, visible);
        assert.deepEqual(
          (await store.listNamed()).map(({ name, size, note }) => ({ name, size, note })),
          left === undefined ? [] : [{ name: NAME, size: left, note: 'note' }],
        );
        // The next process goes on with it.
        const again = await store.reopen(NAME);
        assert.equal(again?.size, left);
        const file = again?.file ?? (await store.beginNamed(NAME, 'note'));
        await file.write(BYTES.subarray(left), left ?? 0);
        await file.commit(digestOf(BYTES));
        await file.close();
        assert.deepEqual(await contentOf(store, digestOf(BYTES)), BYTES);
        assert.deepEqual(await readdir(join(directory, 'hosted', 'uploads')), []);
      });
    }

    test('at named.removed leaves nothing of an upload that is aborted', async (t) => {
      const directory = await temporaryDirectory(t);
      await dies(start(t, 'abort', { directory, crashAt: 'named.removed' }));
      await assertSound(directory);
      assert.deepEqual(await readdir(join(directory, 'hosted', 'uploads')), []);
    });

    for (const { point, visible } of [
      { point: 'link.made', visible: false },
      { point: 'link.renamed', visible: true },
    ]) {
      test(`at ${point} leaves a mounted blob that is ${visible ? 'whole' : 'not there'}, and nothing else`, async (t) => {
        const directory = await temporaryDirectory(t);
        const cache = await openFilesystemBlobStore(directory);
        await putBlob(cache, TAKEN);
        await dies(start(t, 'take', { directory, crashAt: point }));
        const store = await assertSound(directory);
        assert.equal((await store.stat(digestOf(TAKEN))) !== undefined, visible);
        assert.equal(await store.takeFrom(cache, digestOf(TAKEN)), TAKEN.length);
        assert.deepEqual(await contentOf(cache, digestOf(TAKEN)), TAKEN);
      });
    }

    test('at any moment leaves nothing wrong, and of uploads what can be gone on with', async (t) => {
      const directory = await temporaryDirectory(t);
      for (let round = 0; round < 8; round += 1) {
        const child = start(t, 'push on', { directory });
        await once(child, 'message');
        const exited = once(child, 'exit');
        // The kill may come at any moment: there is no event to wait for.
        setTimeout(() => child.kill('SIGKILL'), Math.random() * 80);
        await exited;
        await assertSound(directory);
      }
    });

    test('does not happen where no point is named', async (t) => {
      const directory = await temporaryDirectory(t);
      const child = start(t, 'push', { directory });
      assert.deepEqual(await once(child, 'exit'), [0, null]);
    });
  });
}

/** Opens the directory of a killed process: each digest has the right bytes, each upload can be opened, no other file is left. */
async function assertSound(directory: string): Promise<ResumableBlobStore> {
  const messages: string[] = [];
  const hosted = join(directory, 'hosted');
  const store = await openHostedBlobStore(hosted, { onUnknown: (message) => messages.push(message) });
  assert.deepEqual(messages, []);
  assert.deepEqual(await store.unknownFiles(), { count: 0, names: [] });
  assert.deepEqual(await readdir(join(hosted, 'ingest')), []);
  for (const [name] of await listed(store)) {
    const digest = name as Digest;
    assert.equal(digestOf(await contentOf(store, digest), digestAlgorithm(digest)), digest);
  }
  const uploads = await store.listNamed();
  const expected = uploads.flatMap(({ name }) => [name, `${name}.note`]).sort();
  assert.deepEqual((await readdir(join(hosted, 'uploads'))).sort(), expected);
  for (const { name, size } of uploads) {
    const again = await store.reopen(name);
    assert.equal(again?.size, size);
    assert.equal(again?.note, 'note');
    await again?.file.close();
  }
  return store;
}

async function dies(child: ChildProcess): Promise<void> {
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'], 'the point was not passed');
}

function start(t: TestContext, name: string, options: { directory: string; crashAt?: string }): ChildProcess {
  const argv = ['--disable-warning=ExperimentalWarning', import.meta.filename, name, options.directory];
  const env = { ...process.env, ENTREPOT_CRASH_AT: options.crashAt ?? '' };
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-hosted-crash-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
