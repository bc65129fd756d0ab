import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Config } from '../config/index.ts';
import { loadPullReading } from '../pulls/index.ts';
import { loadPullStore, pullFile } from '../store/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { Recording } from './recording.ts';

const HOUR = 3_600_000;

/** A cache directory in whose record one repository has sent 5 bytes. */
async function stage(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-recording-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const { openPullStore } = await loadPullStore();
  const store = await openPullStore(pullFile(dir), { onDamage: assert.fail });
  const sums = { pulls: 1, requests: 1, hits: 0, failed: 0, bytes: 5, fetched: 5 };
  await store.count([{ period: HOUR, registry: 'docker.io', repository: 'library/app', ...sums }], []);
  await store.close();
  const cleanups: (() => unknown)[] = [];
  const config = { cache: { dir }, admin: { recordPulls: true } } as Config;
  const recording = new Recording(config, { telemetry: new Telemetry(), cleanups });
  const { readFigures } = await loadPullReading();
  return {
    recording,
    read: () => readFigures(recording.recorder, { from: 0, to: 2 * HOUR, step: HOUR, isSeen: () => true }),
    close: async () => {
      for (const close of cleanups) await close();
    },
  };
}

describe('the record of pulls', () => {
  test('answers what is read before its store is open once it is: what there was does not look lost', async (t) => {
    const { recording, read, close } = await stage(t);
    const early = read();
    await recording.open();
    const { repositories } = await early;
    await close();
    assert.deepEqual(
      repositories.map(({ repository, bytes }) => [repository, bytes]),
      [['library/app', 5]],
    );
  });

  test('ends the wait of readers where the server stops before its store is opened', async (t) => {
    const { read, close } = await stage(t);
    const early = read();
    await close();
    assert.deepEqual((await early).repositories, []);
  });

  test('reads while it is turned off and on again', async (t) => {
    const { recording, read, close } = await stage(t);
    await recording.open();
    recording.reconfigure({ admin: { recordPulls: false } } as Config);
    const [off] = await Promise.all([read(), read()]);
    assert.deepEqual(off.repositories, []);
    recording.reconfigure({ admin: { recordPulls: true } } as Config);
    assert.deepEqual((await read()).repositories, []);
    await close();
  });
});
