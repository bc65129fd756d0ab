import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { cpuSeconds } from './process-cpu.ts';

const BURN = 'const stop = performance.now() + 300; while (performance.now() < stop); ';

describe('cpuSeconds()', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  test('counts what the children of a process used, also when they have ended', async (t) => {
    const child = spawn('sh', ['-c', '"$1" -e "$2"; echo burnt; read -r end', 'sh', process.execPath, BURN], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => child.kill());
    await once(child.stdout, 'data');
    const used = await cpuSeconds(child.pid as number);
    // A busy machine gives less than was wanted, never more than the wall had.
    assert.ok(used > 0.02, `used ${used} s`);
  });

  test('of no process is nothing', async () => assert.equal(await cpuSeconds(2 ** 31 - 1), 0));
});
