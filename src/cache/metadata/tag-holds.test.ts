import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { numbered, tagRecord } from '../../../test/suites/metadata-store.ts';
import { LIBRARY } from '../../../test/support/cache-world.ts';
import { type HoldEntry, MemoryMetadataStore, type TagHold } from '../../store/index.ts';
import { type Events, Telemetry } from '../../telemetry/index.ts';
import { TagHolds } from './tag-holds.ts';

function holdOf(number: number, until?: number): TagHold {
  const { checkedAt: heldAt, ...pointed } = tagRecord(number);
  return { ...pointed, heldAt, until, reason: 'why' };
}

function make(metadata = new MemoryMetadataStore()) {
  const clock = { now: 1000 };
  const telemetry = new Telemetry();
  const events: Partial<Record<keyof Events, unknown[]>> = {};
  for (const kind of ['tag.held', 'tag.unheld', 'warning'] as const) {
    telemetry.on(kind, (event) => (events[kind] ??= []).push(event));
  }
  return { metadata, clock, events, holds: new TagHolds({ metadata, telemetry, now: () => clock.now }) };
}

const entry = (tag: string, hold: TagHold): HoldEntry => ({ repository: LIBRARY, tag, hold });

describe('TagHolds', () => {
  test('holds a tag until its end, and says so once, however many ask at once', async () => {
    const { holds, metadata, clock, events } = make();
    await holds.put(entry('1', holdOf(1, 2000)));
    await holds.put(entry('2', holdOf(2)));
    assert.deepEqual(events['tag.held']?.[0], {
      ...LIBRARY,
      tag: '1',
      digest: numbered(1),
      until: 2000,
      reason: 'why',
    });
    clock.now = 1999;
    assert.equal((await holds.get(LIBRARY, '1'))?.digest, numbered(1));
    clock.now = 2000;
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => holds.get(LIBRARY, '1'))), [
      undefined,
      undefined,
      undefined,
    ]);
    assert.deepEqual(events['tag.unheld'], [{ ...LIBRARY, tag: '1', digest: numbered(1), cause: 'expired' }]);
    assert.deepEqual(await holds.list(), [entry('2', holdOf(2))]);
    assert.deepEqual(await metadata.listHolds(), [entry('2', holdOf(2))]);
    assert.equal(await holds.end(LIBRARY, '1'), undefined);
  });

  test('finds the holds of before a restart, and tries again where they cannot be read', async () => {
    const metadata = new MemoryMetadataStore();
    await make(metadata).holds.put(entry('1', holdOf(1)));
    const { holds, events } = make(metadata);
    const read = metadata.listHolds.bind(metadata);
    metadata.listHolds = () => Promise.reject(new Error('the disk is gone'));
    assert.equal(await holds.get(LIBRARY, '1'), undefined);
    assert.equal(events.warning?.length, 1);
    metadata.listHolds = read;
    assert.equal((await holds.get(LIBRARY, '1'))?.digest, numbered(1));
  });

  test('holds nothing that the database refuses, and ends nothing that it keeps', async () => {
    const { holds, metadata, events } = make();
    const putHold = metadata.putHold.bind(metadata);
    metadata.putHold = () => Promise.reject(new Error('full'));
    await assert.rejects(holds.put(entry('1', holdOf(1))), /full/);
    assert.equal(await holds.get(LIBRARY, '1'), undefined);
    metadata.putHold = putHold;
    await holds.put(entry('1', holdOf(1)));
    metadata.deleteHold = () => Promise.reject(new Error('full'));
    await assert.rejects(holds.end(LIBRARY, '1'), /full/);
    assert.equal((await holds.get(LIBRARY, '1'))?.digest, numbered(1));
    assert.equal(events['tag.unheld'], undefined);
  });

  test('writes what it knows into a database that replaced a damaged one', async () => {
    const { holds, metadata } = make();
    await holds.put(entry('1', holdOf(1)));
    await holds.put(entry('2', holdOf(2)));
    // The backup is of before.
    await metadata.putHold(LIBRARY, '1', holdOf(9));
    await metadata.deleteHold(LIBRARY, '2');
    await metadata.putHold(LIBRARY, '3', holdOf(3));
    await holds.restore();
    assert.deepEqual(await metadata.listHolds(), [entry('1', holdOf(1)), entry('2', holdOf(2))]);
  });
});
