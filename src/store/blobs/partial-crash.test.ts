import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { contentOf, putBlob } from '../../../test/suites/blob-store.ts';
import { type Digest, digestOf } from '../../oci/index.ts';
import type { PartialStore } from './blob-store.ts';
import { openFilesystemBlobStore } from './filesystem.ts';

const BYTES = Buffer.alloc(300_000, 'came in part while it died');
const DIGEST = digestOf(BYTES);

const ROLES: Readonly<Record<string, (directory: string) => Promise<void>>> = { keep, remove, 'keep on': keepOn };

const role = ROLES[process.argv[2] ?? ''];
if (role === undefined) runTests();
else await role(process.argv[3] ?? '');

/** Takes one blob in two transfers through its whole life; a crash point kills the process on the way. */
async function keep(directory: string): Promise<void> {
  const { partials } = await open(directory);
  const first = await partials.begin(DIGEST);
  await first.write(BYTES.subarray(0, 100_000), 0);
  await first.note('100000', { flush: 'note' });
  await first.write(BYTES.subarray(100_000, 200_000), 100_000);
  await first.note('200000');
  first.leave();
  await first.close();
  const again = await partials.reopen(DIGEST);
  await again?.file.write(BYTES.subarray(200_000), 200_000);
  await again?.file.commit(DIGEST);
  await again?.file.close();
}

async function remove(directory: string): Promise<void> {
  const { partials } = await open(directory);
  const file = await partials.begin(DIGEST);
  await file.note('0');
  file.leave();
  await file.close();
  await partials.remove(DIGEST);
}

/** Keeps, continues and drops until it is killed. */
async function keepOn(directory: string): Promise<void> {
  const { partials } = await open(directory);
  process.send?.('begun');
  async function worker(of: number): Promise<void> {
    const bytes = Buffer.alloc(50_000, `of ${of}`);
    for (let round = 0; round < 1000; round += 1) {
      const digest = digestOf(bytes);
      const found = await partials.reopen(digest);
      const file = found?.file ?? (await partials.begin(digest));
      await file.write(bytes.subarray(0, 30_000), 0);
      await file.note('30000', { flush: round % 3 === 0 ? 'note' : 'nothing' });
      if (round % 4 === 1) await file.abort();
      else if (round % 4 === 2) {
        await file.write(bytes, 0);
        await file.commit(digest);
      } else file.leave();
      await file.close();
    }
  }
  await Promise.all([worker(0), worker(1), worker(2)]);
}

function runTests(): void {
  describe('a kill of a transfer that is kept', () => {
    const points = [
      { point: 'ingest.created', left: undefined },
      { point: 'ingest.written', left: undefined },
      { point: 'note.drafted', left: undefined },
      { point: 'adopt.noted', left: undefined },
      { point: 'adopt.moved', left: 100_000 },
      { point: 'ingest.written#2', left: 100_000 },
      { point: 'note.drafted#2', left: 100_000 },
      { point: 'ingest.written#3', left: 200_000 },
      { point: 'commit.synced', left: 200_000 },
      { point: 'commit.sharded', left: 200_000 },
      { point: 'commit.renamed', left: undefined },
      { point: 'commit.flushed', left: undefined },
    ];
    for (const { point, left } of points) {
      const what = left === undefined ? 'nothing of it' : `a note of ${left} bytes`;
      test(`at ${point} leaves ${what}, and the next process completes it`, async (t) => {
        const directory = await temporaryDirectory(t);
        await dies(start(t, 'keep', { directory, crashAt: point }));
        const { store, partials } = await open(directory);
        const listed = await partials.list();
        assert.equal(listed.length, left === undefined ? 0 : 1);
        await assertSound(directory, partials);
        const again = await partials.reopen(DIGEST);
        assert.equal(again?.note, left?.toString());
        if (again !== undefined) {
          const target = Buffer.alloc(left ?? 0);
          await again.file.read(target, 0);
          assert.ok(target.equals(BYTES.subarray(0, left)), 'what the note says is there');
        }
        const file = again?.file ?? (await partials.begin(DIGEST));
        await file.write(BYTES.subarray(left ?? 0), left ?? 0);
        await file.note('all');
        await file.commit(DIGEST);
        await file.close();
        assert.deepEqual(await contentOf(store, DIGEST), BYTES);
        assert.deepEqual(await readdir(join(directory, 'partial')), []);
      });
    }

    test('at named.removed leaves nothing of what is removed', async (t) => {
      const directory = await temporaryDirectory(t);
      await dies(start(t, 'remove', { directory, crashAt: 'named.removed' }));
      const { partials } = await open(directory);
      assert.deepEqual(await partials.list(), []);
      assert.deepEqual(await readdir(join(directory, 'partial')), []);
    });

    test('at any moment leaves whole pairs of a file and a note, and nothing else', async (t) => {
      const directory = await temporaryDirectory(t);
      for (let round = 0; round < 8; round += 1) {
        const child = start(t, 'keep on', { directory });
        await once(child, 'message');
        const exited = once(child, 'exit');
        // The kill may come at any moment: there is no event to wait for.
        setTimeout(() => child.kill('SIGKILL'), Math.random() * 80);
        await exited;
        const { store, partials } = await open(directory);
        for (const { digest } of await partials.list()) await assertNoted(partials, digest);
        await assertSound(directory, partials);
        for (let of = 0; of < 3; of += 1) {
          const bytes = Buffer.alloc(50_000, `of ${of}`);
          if ((await store.stat(digestOf(bytes))) !== undefined) {
            assert.deepEqual(await contentOf(store, digestOf(bytes)), bytes);
          }
        }
        await putBlob(store, BYTES);
      }
    });
  });
}

async function assertNoted(partials: PartialStore, digest: Digest): Promise<void> {
  const found = await partials.reopen(digest);
  assert.ok(
    found !== undefined && found.size >= Number(found.note),
    `${found?.size} bytes, and ${found?.note} are noted`,
  );
  await found.file.close();
}

async function assertSound(directory: string, partials: PartialStore): Promise<void> {
  assert.deepEqual(await readdir(join(directory, 'ingest')), []);
  const names = (await partials.list()).map(({ digest }) => digest.replace(':', '-'));
  const files = await readdir(join(directory, 'partial')).catch((): string[] => []);
  assert.deepEqual(files.sort(), names.flatMap((name) => [name, `${name}.note`]).sort());
}

async function open(directory: string) {
  const store = await openFilesystemBlobStore(directory);
  assert.ok(store.partials !== undefined);
  return { store, partials: store.partials };
}

async function dies(child: ChildProcess): Promise<void> {
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'], 'the point was not passed');
}

function start(t: TestContext, what: string, options: { directory: string; crashAt?: string }): ChildProcess {
  const argv = ['--disable-warning=ExperimentalWarning', import.meta.filename, what, options.directory];
  const env = { ...process.env, ENTREPOT_CRASH_AT: options.crashAt ?? '' };
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-partial-crash-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
