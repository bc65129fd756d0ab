import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { listed } from '../../../test/suites/blob-store.ts';
import { digestOf } from '../../oci/index.ts';
import { openFilesystemBlobStore } from './filesystem.ts';
import { openHostedBlobStore } from './hosted.ts';

const BYTES = Buffer.from('on the disk');

if (process.argv[2] === 'store') await storeOne(process.argv[3] ?? '');
else if (process.argv[2] === 'push') await pushOne(process.argv[3] ?? '');
else runTests();

/** Stores one blob; prints the error it failed with, and whether a reader could continue. */
async function storeOne(directory: string): Promise<void> {
  const store = await openFilesystemBlobStore(directory);
  const ingestion = await store.begin();
  await ingestion.write(BYTES, 0);
  const failure = await ingestion.commit(digestOf(BYTES)).then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code,
  );
  const target = Buffer.alloc(BYTES.length);
  await ingestion.read(target, 0);
  await ingestion.close();
  process.stdout.write(JSON.stringify({ failure, read: target.toString() }));
}

/** Pushes one blob by an upload; prints the error that its commit failed with, and the uploads that are left. */
async function pushOne(directory: string): Promise<void> {
  const store = await openHostedBlobStore(directory);
  const file = await store.beginNamed('upload', 'note');
  await file.write(BYTES, 0);
  const failure = await file.commit(digestOf(BYTES)).then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code,
  );
  await file.close();
  process.stdout.write(JSON.stringify({ failure, left: (await store.listNamed()).length }));
}

// The effect of a power cut shows only in the order of system calls, and a disk error must be injected.
function runTests(): void {
  const works = spawnSync('strace', ['-f', '--seccomp-bpf', '-o', '/dev/null', 'true']).status === 0;
  const options = works ? {} : { skip: 'strace is not here, or may not trace' };

  describe('a commit', options, () => {
    test('flushes the data before the name, and the name before it says so', async (t) => {
      const directory = await temporaryDirectory(t);
      const traceFile = join(directory, 'trace');
      const cache = join(directory, 'cache');
      const result = storeUnder(['-y', '-e', 'trace=fdatasync,fsync,/^rename'], { cache, traceFile });
      assert.deepEqual(result, { failure: 'none', read: BYTES.toString() });
      const shard = join(cache, 'blobs', 'sha256', digestOf(BYTES).slice(7, 9));
      const calls = (await readFile(traceFile, 'utf8')).split('\n');
      const steps = [
        calls.findIndex((call) => call.includes('fdatasync(') && call.includes(`${cache}/ingest/`)),
        // Opening the store flushes too; only the flush after the shard directory's creation counts.
        calls.findLastIndex((call) => call.includes('fsync(') && call.includes(`<${cache}/blobs/sha256>`)),
        calls.findIndex((call) => call.includes('rename') && call.includes(`"${shard}/`)),
        calls.findIndex((call) => call.includes('fsync(') && call.includes(`<${shard}>`)),
      ];
      assert.ok(!steps.includes(-1), calls.join('\n'));
      assert.deepEqual(
        steps.toSorted((a, b) => a - b),
        steps,
        calls.join('\n'),
      );
    });

    test('shows nothing where the data could not be flushed', async (t) => {
      const directory = await temporaryDirectory(t);
      const traceFile = join(directory, 'trace');
      const cache = join(directory, 'cache');
      const result = storeUnder(['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO'], { cache, traceFile });
      assert.deepEqual(result, { failure: 'EIO', read: BYTES.toString() });
      assert.deepEqual(await readdir(join(cache, 'ingest')), []);
      assert.deepEqual(await listed(await openFilesystemBlobStore(cache)), []);
    });

    test('fails where the directory has no room for the name', async (t) => {
      const directory = await temporaryDirectory(t);
      const traceFile = join(directory, 'trace');
      const cache = join(directory, 'cache');
      const result = storeUnder(['-e', 'trace=/^rename', '-e', 'inject=/^rename:error=ENOSPC'], { cache, traceFile });
      assert.deepEqual(result, { failure: 'ENOSPC', read: BYTES.toString() });
      assert.deepEqual(await readdir(join(cache, 'ingest')), []);
      assert.deepEqual(await listed(await openFilesystemBlobStore(cache)), []);
    });
  });

  describe('an upload', options, () => {
    test('flushes its note before its file is there, and its data before the name of the blob', async (t) => {
      const directory = await temporaryDirectory(t);
      const traceFile = join(directory, 'trace');
      const cache = join(directory, 'cache');
      const trace = ['-y', '-e', 'trace=fdatasync,fsync,/^rename,/^open,/^unlink'];
      assert.deepEqual(storeUnder(trace, { cache, traceFile }, 'push'), { failure: 'none', left: 0 });
      const calls = (await readFile(traceFile, 'utf8')).split('\n');
      const shard = join(cache, 'blobs', 'sha256', digestOf(BYTES).slice(7, 9));
      const at = (...parts: readonly string[]) => calls.findIndex((call) => parts.every((part) => call.includes(part)));
      const steps = [
        at('fsync(', `<${cache}/uploads/upload.note.`),
        at('rename', `${cache}/uploads/upload.note"`),
        calls.findLastIndex((call) => call.includes('fsync(') && call.includes(`<${cache}/uploads>`)),
        at('open', `${cache}/uploads/upload"`),
        at('fdatasync(', `<${cache}/uploads/upload>`),
        at('rename', `"${shard}/`),
        at('fsync(', `<${shard}>`),
        at('unlink', `${cache}/uploads/upload.note"`),
      ];
      assert.ok(!steps.includes(-1), calls.join('\n'));
      assert.deepEqual(
        steps.toSorted((a, b) => a - b),
        steps,
        calls.join('\n'),
      );
    });

    test('is removed where its data could not be flushed', async (t) => {
      const directory = await temporaryDirectory(t);
      const traceFile = join(directory, 'trace');
      const cache = join(directory, 'cache');
      const trace = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO'];
      assert.deepEqual(storeUnder(trace, { cache, traceFile }, 'push'), { failure: 'EIO', left: 0 });
      assert.deepEqual(await readdir(join(cache, 'uploads')), []);
      assert.deepEqual(await listed(await openHostedBlobStore(cache)), []);
    });
  });
}

function storeUnder(
  options: readonly string[],
  paths: { cache: string; traceFile: string },
  role: 'store' | 'push' = 'store',
): unknown {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', import.meta.filename, role, paths.cache];
  const result = spawnSync('strace', ['-f', '--seccomp-bpf', '-o', paths.traceFile, ...options, ...node], {
    encoding: 'utf8',
  });
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout);
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-durability-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
