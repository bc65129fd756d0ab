import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { createLog, type Log, type LogOptions } from './log.ts';

function collect(options: LogOptions = {}): { log: Log; lines: string[]; last: () => Record<string, unknown> } {
  const lines: string[] = [];
  const log = createLog({ ...options, stream: { write: (line) => lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') };
}

/** Runs a program that has `createLog`, as its own process: only there are standard output and the exit real. */
function runProgram(body: string, stderr: 'inherit' | 'ignore' = 'inherit') {
  const program = `import { createLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)};\n${body}`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', stderr, 'ipc'],
  });
}

describe('createLog', () => {
  test('writes one JSON object per line with ts, level and msg', () => {
    const { log, lines, last } = collect();
    log.info('listening', { address: '127.0.0.1:5000', port: 5000, nothing: undefined });
    assert.equal(lines.length, 1);
    assert.ok(lines[0]?.endsWith('}\n'));
    const { ts, ...rest } = last();
    assert.deepEqual(rest, { level: 'info', msg: 'listening', address: '127.0.0.1:5000', port: 5000 });
    assert.match(String(ts), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(Date.parse(String(ts)) - Date.now()) < 10_000);
  });

  test('has no control character of C1 and none that reorders text, in JSON either', () => {
    const { log, lines, last } = collect();
    const userAgent = 'docker\u001b[31m\u009b2J\u202e\u200f/镜像';
    log.info('request', { userAgent });
    assert.match(lines[0] ?? '', /"docker\\u001b\[31m\\u009b2J\\u202e\\u200f\/镜像"/);
    assert.equal(last()['userAgent'], userAgent);
  });

  test('writes what is at its level or above, and can change it', () => {
    const { log, lines } = collect({ level: 'warn' });
    log.debug('a');
    log.info('a');
    log.warn('a');
    log.error('a');
    assert.equal(lines.length, 2);
    assert.deepEqual([log.isEnabled('info'), log.isEnabled('warn')], [false, true]);
    log.setLevel('debug');
    assert.ok(log.isEnabled('debug'));
    log.debug('a');
    assert.equal(lines.length, 3);
  });

  test('shows no credential, in message or fields', () => {
    const { log, lines } = collect();
    log.warn('Cannot reach https://user:c4nary@ghcr.io/?sig=c4nary with Bearer c4nary-1', {
      headers: { Authorization: 'Basic c4nary' },
      error: new Error('password=c4nary', { cause: new Error('https://c4nary@a') }),
    });
    assert.doesNotMatch(lines.join(''), /c4nary/);
    assert.match(lines.join(''), /https:\/\/ghcr\.io\//);
  });

  test('shows the causes of an error at any level, its stack when debugging', () => {
    const { log, last } = collect();
    const error = new Error('a', { cause: new Error('b') });
    log.error('failed', { error });
    assert.deepEqual(last()['error'], { type: 'Error', message: 'a', cause: { type: 'Error', message: 'b' } });
    log.setLevel('debug');
    log.error('failed', { error });
    assert.match(JSON.stringify(last()['error']), /log\.test\.ts/);
  });

  test('a message is no format, and a field named err or toJSON no trap', () => {
    const { log, last } = collect();
    log.info('100 %s %d %o', { err: { message: 'a', extra: 1 }, toJSON: () => 'b', __proto__: null });
    assert.equal(last()['msg'], '100 %s %d %o');
    assert.deepEqual(last()['err'], { message: 'a', extra: 1 });
  });

  test('the console format is one line for people', () => {
    const { log, lines } = collect({ format: 'console', colour: false });
    log.info('listening', { address: '127.0.0.1:5000' });
    assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3} INFO {2}listening +address=127\.0\.0\.1:5000\n$/);
  });

  test('flush resolves when lines are written, and with a collector at once', async () => {
    await collect().log.flush();
    const child = runProgram(`
      const log = createLog();
      for (let i = 0; i < 1000; i++) log.info('line', { i });
      await log.flush();
      process.kill(process.pid, 'SIGKILL');`);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await once(child, 'close');
    assert.equal(output.split('\n').length, 1001);
  });

  test('what is pending is written at exit', async () => {
    const child = runProgram(`createLog().error('last words'); process.exit(3);`);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 3);
    assert.match(output, /last words/);
  });

  test('lines that wait for others are written at exit, in their order, also after an exception', async () => {
    for (const [end, expected] of [
      ['process.exit(3);', 3],
      ["throw new Error('uncaught');", 1],
    ] as const) {
      const child = runProgram(
        `const log = createLog();
         for (let i = 0; i < 100; i++) log[i === 50 ? 'warn' : 'info']('line', { i });
         process.on('uncaughtExceptionMonitor', () => log.error('the end'));
         ${end}`,
        'ignore',
      );
      let output = '';
      child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number];
      assert.equal(code, expected);
      const lines = output
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { i?: number; msg: string });
      // The first one was handed to another thread, which may not have written it yet when the process exits.
      const [first, ...others] = lines.toSorted((one, other) => Number(other.i === 0) - Number(one.i === 0));
      assert.equal(first?.i, 0);
      assert.deepEqual(
        others.filter(({ msg }) => msg === 'line').map(({ i }) => i),
        Array.from({ length: 99 }, (_, i) => i + 1),
      );
      assert.equal(others.at(-1)?.msg, expected === 1 ? 'the end' : 'line');
    }
  });

  test('the last lines are written though none follows', async () => {
    const child = runProgram(`
      const log = createLog();
      for (let i = 0; i < 3; i++) log.info('line', { i });
      setInterval(() => {}, 1000);`);
    let output = '';
    for await (const chunk of child.stdout ?? []) {
      output += String(chunk);
      if (output.split('\n').length === 4) break;
    }
    child.kill('SIGKILL');
    assert.equal(output.split('\n').length, 4);
  });

  test('lines of many turns are few writes', { skip: process.platform !== 'linux' && 'needs /proc' }, async () => {
    const child = runProgram(`
      import { readFileSync } from 'node:fs';
      const writes = () => Number(/^syscw: (\\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
      const log = createLog();
      const before = writes();
      for (let i = 0; i < 10_000; i++) { log.info('line', { i }); await new Promise(setImmediate); }
      await log.flush();
      process.send(writes() - before);`);
    child.stdout?.resume();
    const [writes] = (await once(child, 'message')) as [number];
    child.disconnect();
    // One for each turn would be 10,000, with those that wake the thread many more.
    assert.ok(writes < 2500, `${writes} writes`);
  });

  test('a reader that pauses stops neither the program nor its memory, and is told what it missed', async () => {
    const child = runProgram(`
      const log = createLog();
      const text = 'x'.repeat(4000);
      for (let i = 0; i < 4000; i++) log.info(text);
      process.send('all is logged');
      process.once('message', async () => {
        await log.flush();
        log.info('after');
        await log.flush();
        process.disconnect();
      });`);
    // Nothing is read before the program has logged all it has: 16 MB, with room for 64 KiB in the pipe.
    await once(child, 'message');
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString('latin1');
    });
    child.send('go on');
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 0);
    assert.ok(output.length < 6_000_000, `${output.length} bytes were kept`);
    const notice = output.split('\n').find((line) => line.includes('log lines dropped'));
    assert.ok(Number(JSON.parse(notice ?? '{}').lines) > 1000);
    assert.match(output, /"after"/);
  });

  test('a reader that goes away ends nothing', async () => {
    const child = runProgram(`
      const log = createLog();
      let count = 0;
      const timer = setInterval(() => { log.info('line'); if (++count === 50) { clearInterval(timer); process.exitCode = 7; } }, 2);`);
    child.stdout?.once('data', () => child.stdout?.destroy());
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 7);
  });
});
