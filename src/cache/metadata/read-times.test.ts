import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../oci/index.ts';
import { MemoryMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { ReadTimes } from './read-times.ts';

const digest = digestOf(Buffer.from('read'));

test('close() waits for a write under way, and writes what was noted since', async () => {
  const metadata = new MemoryMetadataStore();
  const written: number[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  metadata.touchBlobs = async (reads) => {
    await gates[written.length]?.promise;
    written.push(reads.length);
  };
  const times = new ReadTimes(metadata, new Telemetry());
  times.note(digest);
  const first = times.flush();
  await Promise.resolve();
  times.note(digest);
  let isClosed = false;
  async function close(): Promise<void> {
    await times.close();
    isClosed = true;
  }
  const closed = close();
  await new Promise(setImmediate);
  assert.equal(isClosed, false);
  gates[0]?.resolve();
  await first;
  gates[1]?.resolve();
  await closed;
  assert.deepEqual(written, [1, 1]);
});

test('a database that fails is told of, and costs nothing else', async () => {
  const metadata = new MemoryMetadataStore();
  metadata.touchBlobs = () => Promise.reject(new Error('gone'));
  const telemetry = new Telemetry();
  const heard: string[] = [];
  telemetry.on('warning', ({ message }) => heard.push(message));
  const times = new ReadTimes(metadata, telemetry);
  times.note(digest);
  await times.flush();
  await times.close();
  assert.deepEqual(heard, ['Cannot note when blobs were read']);
});
