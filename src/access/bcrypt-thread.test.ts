import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import bcrypt from 'bcryptjs';
import { startThread } from '../lib/index.ts';
import { BcryptThread } from './bcrypt-thread.ts';

const PASSWORD = 'correct horse';
const HASH = bcrypt.hashSync(PASSWORD, 4);

const realThread = (): Worker => startThread('bcrypt-worker', import.meta);
/** A thread that does this with what it is asked. */
const threadThat = (does: string) => (): Worker =>
  new Worker(`require('node:worker_threads').parentPort.on('message', ({ password }) => { ${does} })`, {
    eval: true,
    stderr: true,
  });

/** Starts these threads one after the other, the last one again and again. */
function stage(threads: readonly (() => Worker)[], { deadline }: { readonly deadline?: number } = {}) {
  let started = 0;
  const start = (): Worker => {
    const thread = threads[Math.min(started, threads.length - 1)] as () => Worker;
    started += 1;
    return thread();
  };
  return { thread: new BcryptThread({ start, ...(deadline !== undefined && { deadline }) }), started: () => started };
}

describe('BcryptThread', () => {
  test('compares in one thread, which the first password starts', async () => {
    const { thread, started } = stage([realThread]);
    assert.equal(started(), 0);
    const asked = [PASSWORD, 'wrong', '', PASSWORD].map((password) => thread.compare(password, HASH));
    assert.deepEqual(await Promise.all(asked), [true, false, false, true]);
    assert.equal(started(), 1);
  });

  for (const [title, does] of [
    ['throws', 'throw new Error(password)'],
    ['ends', 'process.exit(3)'],
  ] as const) {
    test(`asks a new thread where one ${title}`, async () => {
      const { thread, started } = stage([threadThat(does), realThread]);
      const asked = [PASSWORD, 'wrong'].map((password) => thread.compare(password, HASH));
      assert.deepEqual(await Promise.all(asked), [true, false]);
      assert.equal(await thread.compare(PASSWORD, HASH), true);
      assert.equal(started(), 2);
    });

    test(`rejects where every thread ${title}, and quotes nothing`, async () => {
      const { thread } = stage([threadThat(does)]);
      await assert.rejects(thread.compare(PASSWORD, HASH), (error: Error) => {
        assert.match(error.message, /Cannot check a password/);
        assert.doesNotMatch(JSON.stringify([error.message, error.stack]), /correct horse/);
        return true;
      });
    });
  }

  test('replaces a thread that hangs', async () => {
    const { thread, started } = stage([threadThat('for (;;);'), realThread], { deadline: 2000 });
    assert.equal(await thread.compare(PASSWORD, HASH), true);
    assert.equal(started(), 2);
  });

  test('keeps a process alive for an answer, and no longer', async () => {
    const program = `
      import { BcryptThread } from ${JSON.stringify(import.meta.resolve('./bcrypt-thread.ts'))};
      process.stdout.write(String(await new BcryptThread().compare(${JSON.stringify(PASSWORD)}, ${JSON.stringify(HASH)})));`;
    const dir = await mkdtemp(join(tmpdir(), 'entrepot-bcrypt-'));
    try {
      const file = join(dir, 'program.mjs');
      await writeFile(file, program);
      const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
      assert.equal(stdout, 'true');
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
