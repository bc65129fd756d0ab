import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf } from '../oci/index.ts';
import { DeletionPause } from './deletion-pause.ts';

const DIGEST = digestOf(Buffer.from('waits'));

describe('a pause of deletions', () => {
  test('holds files until it ends, and then has them looked at again', async () => {
    const pause = new DeletionPause();
    const deleted: string[] = [];
    pause.onEnd(async (waiting) => void deleted.push(...waiting));
    assert.equal(pause.holds(DIGEST), false);
    const id = pause.begin() ?? '';
    assert.equal(pause.begin(), undefined);
    assert.equal(pause.holds(DIGEST), true);
    assert.equal(await pause.end('other'), false);
    assert.deepEqual(deleted, []);
    assert.equal(await pause.end(id), true);
    assert.deepEqual(deleted, [DIGEST]);
    assert.equal(pause.isOn, false);
    assert.equal(pause.renew(id), false);
  });

  test('ends by itself where it is not renewed, and goes on where it is', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const pause = new DeletionPause({ lease: 100 });
    const id = pause.begin() ?? '';
    t.mock.timers.tick(99);
    assert.equal(pause.renew(id), true);
    t.mock.timers.tick(99);
    assert.equal(pause.isOn, true);
    t.mock.timers.tick(1);
    assert.equal(pause.isOn, false);
    assert.notEqual(pause.begin(), undefined);
    pause.close();
  });

  test('lasts no longer than its limit, renewed or not', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const pause = new DeletionPause({ lease: 100, limit: 150 });
    const id = pause.begin() ?? '';
    now = 90;
    t.mock.timers.tick(90);
    assert.equal(pause.renew(id), true);
    now = 149;
    t.mock.timers.tick(59);
    assert.equal(pause.isOn, true);
    t.mock.timers.tick(1);
    assert.equal(pause.isOn, false);
  });
});
