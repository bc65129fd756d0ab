import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { noise } from '../../test/support/image.ts';
import { FileTarget, Output, StreamTarget } from './output.ts';

const MIB = 1024 * 1024;

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'output-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Hands bytes over in parts of these sizes, half of them as who reads a blob does. */
async function handOver(output: Output, bytes: Buffer, sizes: readonly number[]): Promise<void> {
  for (let at = 0, part = 0; at < bytes.length; part += 1) {
    const size = sizes[part % sizes.length] ?? 1;
    if (part % 2 === 0) {
      const count = bytes.copy(output.room(size), 0, at);
      await output.advance(count);
      at += count;
    } else {
      await output.append(bytes.subarray(at, at + size));
      at += Math.min(size, bytes.length - at);
    }
    assert.equal(output.size, at);
  }
  await output.end();
}

const bytes = noise('output', 5 * MIB + 1234);

describe('pieces', () => {
  test('have the bytes in their order, however they come, and two of them are held at most', async () => {
    const size = fc.oneof(fc.integer({ min: 1000, max: 9000 }), fc.integer({ min: 100_000, max: 3 * MIB }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(size, { minLength: 1, maxLength: 5 }),
        fc.nat({ max: bytes.length }),
        async (sizes, length) => {
          const written = Buffer.alloc(length);
          let running = 0;
          const write = async (piece: Buffer, position: number): Promise<void> => {
            running += 1;
            assert.equal(running, 1, 'one at a time');
            await new Promise((resolve) => setImmediate(resolve));
            piece.copy(written, position);
            running -= 1;
          };
          await handOver(new Output({ write }), bytes.subarray(0, length), sizes);
          assert.equal(running, 0);
          assert.ok(written.equals(bytes.subarray(0, length)));
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a failure is heard of at the next piece, and at the end', async () => {
    const failing = () => new Output({ write: () => Promise.reject(new Error('the disk is full')) });
    await assert.rejects(handOver(failing(), bytes, [100_000]), /the disk is full/);
    await assert.rejects(handOver(failing(), bytes.subarray(0, 10), [10]), /the disk is full/);
  });
});

describe('a file', () => {
  test('has the bytes, past the page cache or by it', async (t) => {
    const directory = await directoryOf(t);
    for (const length of [0, 512, MIB, MIB + 512, bytes.length]) {
      const path = join(directory, String(length));
      const target = await FileTarget.create(path);
      await handOver(new Output(target), bytes.subarray(0, length), [128 * 1024, 512]);
      await target.sync();
      await target.close();
      assert.ok((await readFile(path)).equals(bytes.subarray(0, length)), String(length));
    }
    await assert.rejects(FileTarget.create(join(directory, '512')), { code: 'EEXIST' });
  });

  test('is written by the page cache where memory or disk do not allow another way', async (t) => {
    const path = join(await directoryOf(t), 'file');
    const target = await FileTarget.create(path);
    const wasDirect = target.isDirect;
    // No page begins at an odd address.
    const odd = Buffer.concat([Buffer.alloc(1), bytes]).subarray(1);
    await target.write(odd.subarray(0, MIB), 0);
    await target.write(odd.subarray(MIB), MIB);
    if (wasDirect) t.diagnostic(`past the page cache: ${target.isDirect ? 'at any address' : 'at whole pages'}`);
    await target.close();
    assert.ok((await readFile(path)).equals(bytes));
  });
});

describe('a stream', () => {
  test('is given a piece when it has taken the one before', async () => {
    const chunks: Buffer[] = [];
    const slow = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _, done) {
        // A stream may look at a chunk until it says that it is done.
        setImmediate(() => {
          chunks.push(Buffer.from(chunk));
          done();
        });
      },
    });
    await handOver(new Output(new StreamTarget(slow)), bytes, [300_000]);
    assert.ok(Buffer.concat(chunks).equals(bytes));
  });

  test('that has ended is a failure', async () => {
    const stream = new PassThrough();
    stream.on('error', () => undefined);
    stream.destroy();
    await assert.rejects(new StreamTarget(stream).write(bytes), { code: 'ERR_STREAM_DESTROYED' });
  });
});
