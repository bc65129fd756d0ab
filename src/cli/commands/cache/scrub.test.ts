import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import * as z from 'zod';
import { putBlob } from '../../../../test/suites/blob-store.ts';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { controlSocketPath, createControl, OPERATIONS, type ScrubProgress } from '../../../admin/index.ts';
import { type Digest, digestOf } from '../../../oci/index.ts';
import { lockDirectory, openFilesystemBlobStore, openSqliteMetadataStore } from '../../../store/index.ts';
import { scrub } from './scrub.ts';
import { formatScrubLine, formatScrubResult } from './scrub-progress.ts';

const MIB = 1024 ** 2;
const now = Date.UTC(2026, 0, 1);
const half: ScrubProgress = {
  state: 'running',
  startedAt: now - 10_000,
  blobs: 3,
  bytes: 500 * MIB,
  totalBlobs: 6,
  totalBytes: 1000 * MIB,
  rotten: 0,
  missing: 0,
  adopted: 0,
  problems: [],
};

describe('formatScrubLine()', () => {
  const rows: readonly [what: string, progress: ScrubProgress, line: string][] = [
    ['half', half, '[##########----------]  50% of 1000.0 MiB  3 blobs  50.0 MiB/s  10 s left'],
    ['with faults', { ...half, rotten: 2, missing: 1 }, '50.0 MiB/s  10 s left  3 wrong'],
    [
      'that has just begun',
      { ...half, blobs: 0, bytes: 0 },
      '[--------------------]   0% of 1000.0 MiB  0 blobs  0 B/s',
    ],
    [
      'that found more than was known of',
      { ...half, blobs: 1, totalBytes: 0 },
      '[####################] 100% of 500.0 MiB  1 blob  50.0 MiB/s  0 s left',
    ],
  ];
  for (const [what, progress, line] of rows) {
    test(`shows one ${what}`, () =>
      assert.ok(formatScrubLine(progress, now).endsWith(line), formatScrubLine(progress, now)));
  }
});

describe('formatScrubResult()', () => {
  const done: ScrubProgress = { ...half, state: 'done', finishedAt: now, blobs: 6, bytes: 1000 * MIB };
  test('says that all is well', () => {
    assert.equal(formatScrubResult(done), 'Checked 6 blobs, 1000.0 MiB, in 10 s.\nAll are correct.\n');
  });
  test('lists what was wrong, and what became of it', () => {
    const digest = `sha256:${'0123456789abcdef'.repeat(4)}` as Digest;
    const problems = [{ digest, reason: 'content', detail: 'its 5 bytes have the digest sha256:…' } as const];
    assert.deepEqual(
      formatScrubResult({ ...done, rotten: 1, missing: 2, adopted: 4, problems })
        .trimEnd()
        .split('\n'),
      [
        'DIGEST               WRONG    FOUND',
        'sha256:0123456789ab  content  its 5 bytes have the digest sha256:…',
        'and 2 more',
        'Checked 6 blobs, 1000.0 MiB, in 10 s.',
        '1 corrupt: moved to quarantine, and fetched again on the next request.',
        '2 missing: forgotten, and fetched again on the next request.',
        '4 without a record, and correct: adopted.',
      ],
    );
  });
  test('names files of other programs, of which nothing is wrong', () => {
    const unknown = { count: 3, names: ['photo.jpg', 'blobs/a\nb'] };
    assert.equal(
      formatScrubResult({ ...done, unknown }),
      'Checked 6 blobs, 1000.0 MiB, in 10 s.\n' +
        '3 unknown files in the cache directory: "photo.jpg", "blobs/a\\nb", …. ' +
        'They are of other programs and are never deleted: move them elsewhere.\nAll are correct.\n',
    );
  });
  test('claims nothing of what it did not reach', () => {
    assert.match(formatScrubResult({ ...done, state: 'stopped' }), /^Stopped after 6 blobs/);
    assert.match(formatScrubResult({ ...done, state: 'failed', error: 'EIO' }), /^Gave up after .*: EIO\.$/m);
    assert.doesNotMatch(formatScrubResult({ ...done, state: 'stopped' }), /All are correct/);
  });
});

describe('entrepot scrub, where no server runs', () => {
  test('checks the directory itself: exit code 0 where all is right, 1 where something was wrong', async (t) => {
    const dir = await filled(t, 5);
    const first = await run(dir);
    assert.deepEqual([first.code, first.err], [0, '']);
    assert.match(first.out, /Checked 5 blobs/);
    assert.match(first.out, /All are correct/);

    const digest = digestOf(Buffer.from('blob 2'));
    const path = join(dir, 'blobs', 'sha256', digest.slice(7, 9), digest.slice(7));
    await chmod(path, 0o600);
    await writeFile(path, 'blub 2');
    const second = await run(dir);
    assert.equal(second.code, 1);
    assert.match(second.out, /1 corrupt: moved to quarantine/);
    assert.equal((await readdir(join(dir, 'quarantine'))).length, 1);
    assert.equal((await run(dir)).code, 0);
  });

  test('gives programs JSON and nothing else', async (t) => {
    const { out, code } = await run(await filled(t, 2), { json: true, isTerminal: true });
    const { state, blobs, problems } = JSON.parse(out) as ScrubProgress;
    assert.deepEqual([code, state, blobs, problems], [0, 'done', 2, []]);
  });

  test('reports files of other programs, and leaves them: exit code 0', async (t) => {
    const dir = await filled(t, 2);
    await mkdir(join(dir, 'blobs', 'mine'));
    await writeFile(join(dir, 'quarantine', 'notes.txt'), 'mine');
    const { code, out } = await run(dir, { json: true });
    assert.deepEqual(
      [code, (JSON.parse(out) as ScrubProgress).unknown],
      [0, { count: 2, names: ['blobs/mine', 'quarantine/notes.txt'] }],
    );
    assert.equal(await readFile(join(dir, 'quarantine', 'notes.txt'), 'utf8'), 'mine');
  });

  test('adopts everything where the names are gone, damaged or not', async (t) => {
    const dir = await filled(t, 5);
    await writeFile(join(dir, 'names.db'), 'garbage');
    const { code, out } = await run(dir);
    assert.equal(code, 0);
    assert.match(out, /5 without a record/);
  });

  test('stops where it is interrupted, and says how far it came', async (t) => {
    const { code, out } = await run(await filled(t, 300), { interrupt: AbortSignal.timeout(1) });
    assert.deepEqual([code, out.startsWith('Stopped after') || out], [1, true]);
  });

  test('is refused where another process has the directory', async (t) => {
    const dir = await filled(t, 1);
    const lock = await lockDirectory(dir);
    t.after(() => lock.release());
    const { code, err } = await run(dir);
    assert.equal(code, 1);
    assert.match(err, /is using it/);
  });

  test('has nothing to stop', async (t) => {
    const { code, err } = await run(await filled(t, 1), { stop: true });
    assert.equal(code, 1);
    assert.match(err, /No server runs/);
  });
});

describe('entrepot scrub, where a server runs', () => {
  test('follows it to its end', async (t) => {
    let looks = 0;
    const { dir, asked } = await withServer(t, () =>
      ++looks < 2 ? half : { ...half, state: 'done', finishedAt: now },
    );
    const { code, out } = await run(dir, { isTerminal: true });
    assert.equal(code, 0);
    assert.deepEqual(asked, [{ stop: false }]);
    assert.ok(out.startsWith('\r\u001b[K'), out);
    assert.match(out.slice(4), /^\[#+-+\] +50%/);
    assert.match(out, /All are correct/);
  });

  test('fails where it found something', async (t) => {
    const { dir } = await withServer(t, () => ({ ...half, state: 'done', finishedAt: now, missing: 1 }));
    assert.equal((await run(dir)).code, 1);
  });

  test('leaves it to it where the command is interrupted', async (t) => {
    const { dir, asked } = await withServer(t, () => half);
    const { code, err } = await run(dir, { interrupt: AbortSignal.timeout(400) });
    assert.equal(code, 130);
    assert.match(err, /The server continues the scrub/);
    assert.deepEqual(asked, [{ stop: false }]);
  });

  for (const [what, next, says] of [
    ['has restarted', () => null, /^The server has stopped or restarted, .* `entrepot scrub` starts another\.\n$/],
    ['answers what cannot be read', () => 'soon', /^The server answered in a form/],
  ] as const) {
    test(`says so where the server meanwhile ${what}`, async (t) => {
      let looks = 0;
      const { dir } = await withServer(t, () => (++looks < 2 ? half : next()));
      const { code, out, err } = await run(dir, { isTerminal: true });
      assert.equal(code, 1);
      assert.match(err, says);
      assert.ok(out.endsWith('\r\u001b[K'), 'the line is cleared');
    });
  }

  test('says so where the server meanwhile has stopped', async (t) => {
    const { dir, control } = await withServer(t, () => {
      setImmediate(() => void control.close());
      return half;
    });
    const { code, err } = await run(dir);
    assert.equal(code, 1);
    assert.match(err, /^The server has stopped or restarted/);
  });

  test('has nothing to show where none has run', async (t) => {
    const { dir } = await withServer(t, () => null);
    assert.deepEqual(await run(dir, { stop: true }), {
      code: 0,
      out: 'No scrub has run since the server started.\n',
      err: '',
    });
    assert.deepEqual(await run(dir, { stop: true, json: true }), { code: 0, out: 'null\n', err: '' });
  });

  test('ends it where it is told to', async (t) => {
    const { dir, asked } = await withServer(t, () => ({ ...half, state: 'stopped', finishedAt: now }));
    assert.equal((await run(dir, { stop: true })).code, 0);
    assert.deepEqual(asked, [{ stop: true }]);
  });
});

interface Run {
  readonly json?: boolean;
  readonly stop?: boolean;
  readonly isTerminal?: boolean;
  readonly interrupt?: AbortSignal;
}

async function run(dir: string, { json = false, stop = false, isTerminal = false, interrupt }: Run = {}) {
  const { output, said: texts } = captureOutput();
  const surroundings = { output, isTerminal, ...(interrupt === undefined ? {} : { interrupt }) };
  const code = await scrub({ flags: { cacheDir: dir }, json, stop }, surroundings);
  return { code, ...texts };
}

/** A server whose scrub fares as the test says, from the first look on. */
async function withServer(t: TestContext, progress: () => unknown) {
  const dir = await temporaryDirectory(t);
  const asked: unknown[] = [];
  const control = createControl({
    path: controlSocketPath(dir),
    operations: [
      { ...OPERATIONS.scrubLook, answer: z.unknown(), handle: progress },
      {
        ...OPERATIONS.scrub,
        answer: z.unknown(),
        handle(input) {
          asked.push(input);
          return progress();
        },
      },
    ],
    context: {},
  });
  await control.start();
  t.after(() => control.close());
  return { dir, asked, control };
}

async function filled(t: TestContext, count: number): Promise<string> {
  const dir = await temporaryDirectory(t);
  const store = await openFilesystemBlobStore(dir);
  const metadata = await openSqliteMetadataStore(join(dir, 'names.db'));
  for (let number = 0; number < count; number += 1) {
    const bytes = Buffer.from(`blob ${number}`);
    await putBlob(store, bytes);
    await metadata.putBlob({ digest: digestOf(bytes), size: bytes.length, kind: 'mirrored', storedAt: 1 });
  }
  await metadata.close();
  return dir;
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-scrub-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
