import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openRecordFile, scheduleFile } from './record-file.ts';
import type { RunRecord } from './schedule.ts';

const record: RunRecord = {
  startedAt: 1000,
  endedAt: 2000,
  outcome: 'failed',
  by: 'schedule',
  done: 1,
  failed: 1,
  fetched: 5,
  errors: [{ image: 'docker.io/library/nginx:1', error: 'it is not there' }],
  failing: true,
};
const copied: RunRecord = { ...record, outcome: 'done', fetched: 0, sent: 9, errors: [], failing: false };
const running: RunRecord = { startedAt: 1, by: 'alice', done: 0, failed: 0, fetched: 0, errors: [], failing: false };

async function stage(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-schedules-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = scheduleFile(directory);
  const damages: unknown[] = [];
  return { directory, path, damages, reopen: () => openRecordFile(path, (error) => damages.push(error)) };
}

describe('the file of the last runs', () => {
  test('keeps them over a restart, for its owner alone, and leaves no draft behind', async (t) => {
    const { directory, path, damages, reopen } = await stage(t);
    const first = await reopen();
    assert.equal(first.records.size, 0);
    const records = new Map([
      ['base', record],
      ['hot', copied],
      ['__proto__', running],
    ]);
    await first.save(records);
    assert.deepEqual([...(await reopen()).records], [...records]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual([await readdir(directory), damages], [['schedules.json'], []]);
  });

  const broken: readonly (readonly [string, string])[] = [
    ['cut', '{"format":1,"sched'],
    ['of another format', '{"format":2,"schedules":{}}'],
    ['a list', '[]'],
    ['too long', `{"format":1,"schedules":{},"x":"${'x'.repeat(4 * 1024 * 1024)}"}`],
  ];
  for (const [what, text] of broken) {
    test(`begins again where it is ${what}`, async (t) => {
      const { path, damages, reopen } = await stage(t);
      await writeFile(path, text);
      assert.equal((await reopen()).records.size, 0);
      assert.equal(damages.length, 1);
    });
  }

  test('leaves out records that are none', async (t) => {
    const { path, damages, reopen } = await stage(t);
    const schedules = { base: record, a: null, b: { ...record, outcome: 'x' }, c: { ...record, startedAt: 'x' } };
    await writeFile(path, JSON.stringify({ format: 1, schedules }));
    assert.deepEqual([...(await reopen()).records.keys()], ['base']);
    assert.deepEqual(damages, []);
  });

  test('says where the disk refuses', { skip: process.getuid?.() === 0 }, async (t) => {
    const { directory, reopen } = await stage(t);
    const file = await reopen();
    await chmod(directory, 0o500);
    await assert.rejects(file.save(new Map()));
    await chmod(directory, 0o700);
  });
});
