import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { partialStoreSuite, type StoreOfPartials } from '../../../test/suites/partial-store.ts';
import { MemoryBlobStore } from '../../../test/support/memory-blob-store.ts';
import { digestOf } from '../../oci/index.ts';
import { openFilesystemBlobStore } from './filesystem.ts';

partialStoreSuite('filesystem', async (t) => openIn(await temporaryDirectory(t)));
partialStoreSuite('memory', () => Promise.resolve(new MemoryBlobStore()));

const BYTES = Buffer.alloc(50_000, 'partial');
const DIGEST = digestOf(BYTES);
const NAME = DIGEST.replace(':', '-');

describe('partial content in files', () => {
  test('makes its directory with the first file that is kept, and again where it is gone', async (t) => {
    const directory = await temporaryDirectory(t);
    const { partials } = await openIn(directory);
    assert.ok(!(await readdir(directory)).includes('partial'));
    await keep(partials);
    await rm(join(directory, 'partial'), { recursive: true });
    assert.deepEqual(await partials.list(), []);
    await assert.rejects(keep(partials));
    await keep(partials);
    assert.equal((await partials.list()).length, 1);
    assert.equal((await stat(join(directory, 'partial', NAME))).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(join(directory, 'ingest')), []);
  });

  test('is found by the next process', async (t) => {
    const directory = await temporaryDirectory(t);
    await keep((await openIn(directory)).partials);
    const { partials, unknownFiles } = await openIn(directory).then((store) => ({
      partials: store.partials,
      unknownFiles: () => store.unknownFiles(),
    }));
    assert.equal((await unknownFiles()).count, 0);
    const again = await partials.reopen(DIGEST);
    assert.deepEqual([again?.note, again?.isIntact], ['note', true]);
    await again?.file.close();
  });

  test('is intact in another boot only where it was flushed', async (t) => {
    const directory = await temporaryDirectory(t);
    for (const flush of ['note', 'all'] as const) {
      const { partials } = await openIn(directory);
      await keep(partials, flush);
      const path = join(directory, 'partial', `${NAME}.note`);
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace(/"[0-9a-f-]{36} /, '"00000000-0000-0000-0000-000000000000 '));
      const again = await partials.reopen(DIGEST);
      assert.deepEqual([again?.note, again?.isIntact], ['note', flush === 'all']);
      await again?.file.abort();
      await again?.file.close();
    }
  });

  test('gives no file whose note is empty, garbled, too long, or none', async (t) => {
    const directory = await temporaryDirectory(t);
    const { partials } = await openIn(directory);
    const note = join(directory, 'partial', `${NAME}.note`);
    for (const text of [
      '',
      '{',
      '{"entrepot-partial": 1}',
      '{"entrepot-upload": "x"}',
      `{"a": "${'x'.repeat(1e6)}"}`,
    ]) {
      await keep(partials);
      await writeFile(note, text);
      assert.equal(await partials.reopen(DIGEST), undefined);
      assert.equal(await partials.remove(DIGEST), true, 'it can be removed');
    }
    await keep(partials);
    await writeFile(note, JSON.stringify({ 'entrepot-partial': 'without a first line' }));
    const again = await partials.reopen(DIGEST);
    assert.equal(again?.isIntact, false);
    await again?.file.close();
  });

  test('follows no link, and opens nothing but a file', async (t) => {
    const directory = await temporaryDirectory(t);
    const { partials } = await openIn(directory);
    await keep(partials);
    const path = join(directory, 'partial', NAME);
    await rm(path);
    const other = join(directory, 'other');
    await writeFile(other, 'of another program');
    await symlink(other, path);
    assert.equal(await partials.reopen(DIGEST), undefined);
    assert.equal(await partials.remove(DIGEST), false);
    await rm(path);
    await mkdir(path);
    assert.equal(await partials.reopen(DIGEST), undefined);
    assert.deepEqual(await partials.list(), []);
    assert.equal(await readFile(other, 'utf8'), 'of another program');
  });

  test('removes what a killed process left, and no file that it does not know', async (t) => {
    const directory = await temporaryDirectory(t);
    const { partials } = await openIn(directory);
    await keep(partials);
    const at = (name: string): string => join(directory, 'partial', name);
    const lone = digestOf(Buffer.from('lone')).replace(':', '-');
    const noted = digestOf(Buffer.from('noted')).replace(':', '-');
    await writeFile(at(lone), 'a file without a note');
    await writeFile(at(`${noted}.note`), '{}');
    await writeFile(at(`${NAME}.note.0123456789abcdef.new`), '{');
    const unknown = ['mine', 'sha256-1', `${lone}.tar`, `${lone}.note.new`];
    for (const name of unknown) await writeFile(at(name), 'mine');
    assert.deepEqual(
      (await partials.list()).map(({ digest }) => digest),
      [DIGEST],
    );
    assert.deepEqual((await readdir(join(directory, 'partial'))).sort(), [NAME, `${NAME}.note`, ...unknown].sort());
    assert.equal((await (await openIn(directory)).unknownFiles()).count, unknown.length);
  });

  test('opens a file that a kill in the commit left read-only', async (t) => {
    const directory = await temporaryDirectory(t);
    const { partials } = await openIn(directory);
    await keep(partials);
    await chmod(join(directory, 'partial', NAME), 0o400);
    const again = await partials.reopen(DIGEST);
    await again?.file.write(BYTES, 0);
    await again?.file.close();
    assert.equal(again?.note, 'note');
  });
});

async function keep(partials: StoreOfPartials['partials'], flush: 'note' | 'all' = 'note'): Promise<void> {
  const file = await partials.begin(DIGEST);
  try {
    await file.write(BYTES.subarray(0, 20_000), 0);
    await file.note('note', { flush });
    file.leave();
  } finally {
    await file.close();
  }
}

async function openIn(directory: string): Promise<StoreOfPartials> {
  return (await openFilesystemBlobStore(directory)) as StoreOfPartials;
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-partial-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
