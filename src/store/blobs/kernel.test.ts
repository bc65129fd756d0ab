import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Kernel, loadKernel, WINDOW } from './kernel.ts';

const kernel = await loadKernel();
// The pinned Node has node:ffi. On an older Node these tests are skipped, and bodies are read.
const skip = kernel === undefined ? 'needs 64-bit Linux and Node 26 (npm ci brings it)' : false;

describe('the kernel’s calls', { skip }, () => {
  const calls = kernel as Kernel;

  test('read what is in memory, and nothing beyond the end', async (t) => {
    const bytes = randomBytes(10_000);
    const file = await openWith(t, bytes);
    const target = Buffer.alloc(4096);
    assert.equal(calls.read(file, target, 0), 4096);
    assert.ok(target.equals(bytes.subarray(0, 4096)));
    assert.equal(calls.read(file, target, 8192), 10_000 - 8192);
    assert.ok(target.subarray(0, 1808).equals(bytes.subarray(8192)));
    assert.equal(calls.read(file, target, 10_000), 0);
    assert.equal(calls.read(file, Buffer.alloc(0), 0), 0);
  });

  test('read into a part of a buffer, and leave the rest alone', async (t) => {
    const file = await openWith(t, Buffer.from('abcdef'));
    const target = Buffer.alloc(8, '.');
    assert.equal(calls.read(file, target.subarray(2, 5), 1), 3);
    assert.equal(target.toString(), '..bcd...');
  });

  test('read far into a file, where 32 bits do not reach', async (t) => {
    const path = await pathWith(t, Buffer.alloc(0));
    const file = openSync(path, 'r+');
    t.after(() => closeSync(file));
    writeSync(file, 'far', 4_999_999_990);
    const target = Buffer.alloc(3);
    assert.equal(calls.read(file, target, 4_999_999_990), 3);
    assert.equal(target.toString(), 'far');
  });

  test('send what the socket takes, byte for byte, and say how much', async (t) => {
    const bytes = randomBytes(3 * WINDOW + 777);
    const file = await openWith(t, bytes);
    const { near, far } = await pairOfSockets(t);
    const received: Buffer[] = [];
    far.on('data', (chunk: Buffer) => received.push(chunk));
    let position = 0;
    let most = 0;
    while (position < bytes.length) {
      const count = calls.send(descriptorOf(near), file, position, bytes.length - position);
      most = Math.max(most, count);
      position += count;
      // The socket is full: the callback of an ordinary write tells when it has room again.
      if (count === 0) {
        await new Promise((resolve) => near.write(bytes.subarray(position, position + 1), resolve));
        position += 1;
      } else await new Promise((resolve) => setImmediate(resolve));
    }
    near.end();
    await once(far, 'end');
    assert.ok(Buffer.concat(received).equals(bytes));
    assert.ok(most > 1 && most <= WINDOW, `${most} bytes at once`);
  });

  test('do nothing where it cannot be done', async (t) => {
    const file = await openWith(t, Buffer.from('abc'));
    const { near, far } = await pairOfSockets(t);
    assert.equal(calls.send(-1, file, 0, 3), 0, 'no socket');
    assert.equal(calls.send(descriptorOf(near), -1, 0, 3), 0, 'no file');
    assert.equal(calls.send(descriptorOf(near), file, 3, 1), 0, 'the file ends there');
    assert.equal(calls.read(-1, Buffer.alloc(1), 0), 0);
    far.destroy();
    await once(near, 'close');
    assert.equal(calls.send(descriptorOf(near), file, 0, 3), 0, 'the other end is closed');
  });

  test('send no more than there is where the file was cut', async (t) => {
    const path = await pathWith(t, Buffer.alloc(100_000, 'x'));
    const file = openSync(path, 'r');
    t.after(() => closeSync(file));
    const { near } = await pairOfSockets(t);
    truncateSync(path, 70_000);
    assert.ok(calls.send(descriptorOf(near), file, 0, 100_000) <= 70_000);
    assert.equal(calls.send(descriptorOf(near), file, 80_000, 20_000), 0);
  });
});

test('without node:ffi there are none, and nothing fails', () => {
  const program = `import(${JSON.stringify(`file://${join(import.meta.dirname, 'kernel.ts')}`)})
    .then(async ({ loadKernel }) => console.log(await loadKernel()))`;
  const flags = ['--no-experimental-ffi', '--disable-warning=ExperimentalWarning', '-e', program];
  const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
  // A Node without the flag has no node:ffi either.
  if (!stderr.includes('bad option')) assert.deepEqual([stdout.trim(), stderr], ['undefined', '']);
});

async function pathWith(t: TestContext, bytes: Buffer): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-kernel-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'file');
  writeFileSync(path, bytes);
  return path;
}

async function openWith(t: TestContext, bytes: Buffer): Promise<number> {
  const file = openSync(await pathWith(t, bytes), 'r');
  t.after(() => closeSync(file));
  return file;
}

async function pairOfSockets(t: TestContext): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const server: Server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [near] = (await once(server, 'connection')) as [Socket];
  for (const socket of [near, far]) socket.on('error', () => {});
  t.after(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
}
