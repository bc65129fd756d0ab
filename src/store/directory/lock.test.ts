import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { lockDirectory } from './lock.ts';

if (process.argv[2] === 'own') await own(process.argv[3] ?? '');
else runTests();

/** The other process in these tests: it locks a directory, drops the lock object, and waits to be killed. */
async function own(directory: string): Promise<void> {
  await lockDirectory(directory);
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  process.send?.('locked');
  setInterval(() => {}, 60_000);
}

function runTests(): void {
  describe('lockDirectory', () => {
    test('creates the directory for this user alone, and notes the owner', async (t) => {
      const directory = join(await temporaryDirectory(t), 'deep', 'cache');
      const lock = await lockDirectory(directory);
      t.after(() => lock.release());
      assert.equal((await stat(directory)).mode & 0o777, 0o700);
      const note: unknown = JSON.parse(await readFile(join(directory, 'owner.json'), 'utf8'));
      assert.deepEqual(note, lock.owner);
      assert.equal(lock.owner.pid, process.pid);
    });

    test('refuses a second owner within one process, until the first releases', async (t) => {
      const directory = await temporaryDirectory(t);
      const first = await lockDirectory(directory);
      await assert.rejects(lockDirectory(directory), { name: 'DirectoryInUseError', directory, owner: first.owner });
      // Refused again: the first refusal must not have released the lock.
      await assert.rejects(lockDirectory(directory), { name: 'DirectoryInUseError' });
      await first.release();
      await first.release();
      assert.deepEqual((await readdir(directory)).sort(), ['entrepot-cache.json', 'lock']);
      const second = await lockDirectory(directory);
      await first.release();
      await assert.rejects(lockDirectory(directory), { name: 'DirectoryInUseError' });
      await second.release();
    });

    test('refuses it while another process owns it, and is free once that one is killed', async (t) => {
      const directory = await temporaryDirectory(t);
      const owner = await startOwner(t, directory);
      await assert.rejects(lockDirectory(directory), (error: Error) => {
        assert.equal(error.name, 'DirectoryInUseError');
        assert.ok(error.message.includes(directory));
        assert.ok(error.message.includes(`process ${owner.pid}`), error.message);
        return true;
      });
      const exited = once(owner, 'exit');
      owner.kill('SIGKILL');
      await exited;
      const lock = await lockDirectory(directory);
      assert.equal(lock.owner.pid, process.pid);
      await lock.release();
    });

    test('lets a process that holds the lock be found out by another', async (t) => {
      const directory = await temporaryDirectory(t);
      const lock = await lockDirectory(directory);
      t.after(() => lock.release());
      const other = spawnOwner(t, directory);
      const [code] = await once(other, 'exit');
      assert.notEqual(code, 0, 'the other process got the lock too');
    });

    test('does not name a process that is dead', async (t) => {
      const directory = await temporaryDirectory(t);
      const lock = await lockDirectory(directory);
      t.after(() => lock.release());
      const note = join(directory, 'owner.json');
      await writeFile(note, JSON.stringify({ ...lock.owner, pid: 2 ** 30 }));
      await assert.rejects(lockDirectory(directory), { name: 'DirectoryInUseError', owner: undefined });
      await writeFile(note, '{"pid": "x"');
      await assert.rejects(lockDirectory(directory), { name: 'DirectoryInUseError', owner: undefined });
      await rm(note);
      await assert.rejects(lockDirectory(directory), /another process is using it/);
    });

    test('explains a directory, and a lock file, that cannot be used', async (t) => {
      const directory = await temporaryDirectory(t);
      await (await lockDirectory(directory)).release();
      await writeFile(join(directory, 'file'), '');
      await assert.rejects(lockDirectory(join(directory, 'file')), {
        name: 'DirectoryError',
        message: /is a file/,
      });
      await writeFile(join(directory, 'lock'), 'another program wrote this file, and it is no database'.repeat(50));
      await assert.rejects(lockDirectory(directory), { name: 'DirectoryError', message: /Remove that file/ });
      await rm(join(directory, 'lock'));
      await mkdir(join(directory, 'lock'));
      await assert.rejects(lockDirectory(directory), { name: 'DirectoryError', message: /cannot be locked/ });
    });
  });
}

async function startOwner(t: TestContext, directory: string): Promise<ChildProcess> {
  const child = spawnOwner(t, directory);
  const [message] = await once(child, 'message');
  assert.equal(message, 'locked');
  return child;
}

function spawnOwner(t: TestContext, directory: string): ChildProcess {
  const argv = ['--disable-warning=ExperimentalWarning', import.meta.filename, 'own', directory];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-lock-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
