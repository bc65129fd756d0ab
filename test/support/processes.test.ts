import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { check, needs, run, Workspace } from './processes.ts';

const SLEEPER = ['sh', '-c', 'echo started; exec sleep 300'];

describe('Workspace', () => {
  test('start() waits until ready, close() ends the process and removes the directory', async () => {
    const workspace = await Workspace.open();
    const process = await workspace.start(SLEEPER, { ready: (started) => started.lines().includes('started') });
    assert.ok(isAlive(process.pid));
    await workspace.close();
    await gone(process.pid);
    assert.ok(!existsSync(workspace.dir));
  });

  test('start() tells what a process said that ended before it was ready', async () => {
    await using workspace = await Workspace.open();
    const started = workspace.start(['sh', '-c', 'echo no room >&2; exit 3'], { ready: () => false });
    await assert.rejects(started, /sh ended with 3:\nno room/);
  });

  test('start() tells of a program that is not there', async () => {
    await using workspace = await Workspace.open();
    await assert.rejects(workspace.start(['no-such-program'], { ready: () => false }), /ended with 127:\n.*ENOENT/);
  });

  test('close() kills what does not go by itself, with its children', async () => {
    const workspace = await Workspace.open();
    const stubborn = ['sh', '-c', `trap '' TERM; sleep 300 & echo $!; wait; wait`];
    const process = await workspace.start(stubborn, { ready: (started) => started.lines().length > 0 });
    await process.stop({ graceMs: 50 });
    await gone(Number(process.lines()[0]));
    await workspace.close();
  });

  test('an interrupted test leaves no process and no directory behind', async () => {
    const module = fileURLToPath(new URL('processes.ts', import.meta.url));
    const script = `
      import { Workspace } from ${JSON.stringify(module)};
      const workspace = await Workspace.open();
      const child = await workspace.start(${JSON.stringify(SLEEPER)}, { ready: (p) => p.lines().length > 0 });
      console.log(JSON.stringify([child.pid, workspace.dir]));`;
    const interrupted = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script]);
    const [line] = (await once(interrupted.stdout, 'data')) as [Buffer];
    const [pid, dir] = JSON.parse(line.toString()) as [number, string];
    assert.ok(isAlive(pid));
    interrupted.kill('SIGTERM');
    const [code] = (await once(interrupted, 'exit')) as [number];
    assert.equal(code, 143);
    await gone(pid);
    assert.ok(!existsSync(dir));
  });
});

describe('run()', () => {
  test('gives code, output and error', async () => {
    assert.deepEqual(await run(['sh', '-c', 'cat; echo bad >&2; exit 5'], { input: 'in' }), {
      code: 5,
      stdout: 'in',
      stderr: 'bad\n',
    });
  });

  test('kills what takes too long', async () => {
    const { code, stderr } = await run(['sleep', '300'], { timeout: 50 });
    assert.notEqual(code, 0);
    assert.match(stderr, /ran for more than 50 ms/);
  });

  test('check() rejects with what was said', async () => {
    await assert.rejects(check(['sh', '-c', 'echo broken >&2; exit 1']), /ended with 1:\nbroken/);
  });
});

describe('needs()', () => {
  test('says how to get what is missing, and fails where everything must be there', () => {
    const { CI, PATH } = process.env;
    try {
      // Nothing but the fallback folders, where no user's program lives.
      process.env['PATH'] = '';
      delete process.env['CI'];
      assert.deepEqual(needs('skopeo', 'ctr'), {
        skip: 'needs skopeo, ctr: apt-get install skopeo containerd',
      });
      process.env['CI'] = 'true';
      assert.throws(() => needs('skopeo'), /In CI every test runs.*apt-get install skopeo/);
    } finally {
      process.env['PATH'] = PATH;
      if (CI === undefined) delete process.env['CI'];
      else process.env['CI'] = CI;
    }
  });
});

/** Resolves once the process is gone; it may take a moment after SIGKILL. */
async function gone(pid: number): Promise<void> {
  const deadline = Date.now() + 5000;
  while (isAlive(pid)) {
    assert.ok(Date.now() < deadline, `process ${pid} is still there`);
    await sleep(10);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie that no process waits for has ended too (proc(5): the field after the name).
    return !existsSync('/proc/self/stat') || !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
