import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { OpenFile } from './open-file.ts';

if (process.argv[2] === 'write') await writeBeyondLimit(process.argv[3] ?? '');
else runTests();

/** Writes 64 KiB in a process limited to files of 50 KiB. */
async function writeBeyondLimit(path: string): Promise<void> {
  const file = new OpenFile(openSync(path, 'w+'));
  await assert.rejects(file.write(Buffer.alloc(65_536, 'x'), 0), { code: 'EFBIG' });
  await file.close();
}

function runTests(): void {
  describe('OpenFile', () => {
    test('goes on where the disk took a part, and reports what then stops it', async (t) => {
      const path = await temporaryPath(t);
      const command = `trap '' XFSZ; ulimit -f 100; exec "$0" "$@"`;
      const argv = ['-c', command, process.execPath, import.meta.filename, 'write', path];
      const child = spawn('sh', argv, { stdio: ['ignore', 'ignore', 'inherit'] });
      t.after(() => child.kill('SIGKILL'));
      assert.deepEqual(await once(child, 'exit'), [0, null]);
      // The unit of ulimit is 512 or 1024 bytes, depending on the shell; either way the first write is short.
      assert.ok([51_200, 65_536].includes((await stat(path)).size));
    });

    test('passes on that the disk is full', { skip: process.platform !== 'linux' }, async () => {
      const file = new OpenFile(openSync('/dev/full', 'r+'));
      await assert.rejects(file.write(Buffer.alloc(10), 0), { code: 'ENOSPC' });
      await file.close();
    });

    test('takes an empty chunk', async (t) => {
      const file = new OpenFile(openSync(await temporaryPath(t), 'w+'));
      await file.write(Buffer.alloc(0), 0);
      assert.equal(await file.read(Buffer.alloc(0), 0), 0);
      await file.close();
    });

    test('closes only after the operations under way, and refuses those that come later', async (t) => {
      const path = await temporaryPath(t);
      const file = new OpenFile(openSync(path, 'w+'));
      const bytes = Buffer.alloc(2_000_000, 'y');
      const finished: string[] = [];
      const write = file.write(bytes, 0).then(() => finished.push('write'));
      const closed = file.close().then(() => finished.push('close'));
      await assert.rejects(file.read(Buffer.alloc(1), 0), /closed/);
      await assert.rejects(file.write(Buffer.alloc(1), 0), /closed/);
      await assert.rejects(file.flush(), /closed/);
      await Promise.all([write, closed]);
      assert.deepEqual(finished, ['write', 'close']);
      assert.deepEqual(readFileSync(path), bytes);
      await file.close();
    });

    test('closes after a call that was refused for its arguments', async (t) => {
      const file = new OpenFile(openSync(await temporaryPath(t), 'w+'));
      await assert.rejects(file.read(Buffer.alloc(1), 0.5));
      await file.close();
    });

    test('rejects where the system refuses, and still closes', async (t) => {
      const path = await temporaryPath(t);
      closeSync(openSync(path, 'w'));
      const file = new OpenFile(openSync(path, 'r'));
      await assert.rejects(file.write(Buffer.alloc(1), 0), { code: 'EBADF' });
      await file.close();
    });
  });
}

async function temporaryPath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-file-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'file');
}
