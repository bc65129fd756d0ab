import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIBRARY } from '../../../test/support/cache-world.ts';
import { MAX_PINS, MemoryMetadataStore } from '../../store/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { TagPins } from './tag-pins.ts';

function make(metadata = new MemoryMetadataStore()) {
  const telemetry = new Telemetry();
  const events: string[] = [];
  telemetry.on('tag.pinned', ({ tag }) => events.push(`pinned ${tag}`));
  telemetry.on('tag.unpinned', ({ tag }) => events.push(`unpinned ${tag}`));
  return { metadata, events, pins: new TagPins({ metadata, telemetry, now: () => 7 }) };
}

describe('TagPins', () => {
  test('pins a tag once, and ends the pin once', async () => {
    const { pins, metadata, events } = make();
    assert.equal(await pins.put(LIBRARY, '1'), 'pinned');
    assert.equal(await pins.put(LIBRARY, '1'), 'pinned already');
    assert.deepEqual(await metadata.listPins(), [{ repository: LIBRARY, tag: '1', pin: { pinnedAt: 7 } }]);
    assert.deepEqual(await pins.list(), await metadata.listPins());
    assert.equal(await pins.end(LIBRARY, '1'), true);
    assert.equal(await pins.end(LIBRARY, '1'), false);
    assert.equal(await pins.put(LIBRARY, '1'), 'pinned');
    assert.deepEqual(events, ['pinned 1', 'unpinned 1', 'pinned 1']);
  });

  test('finds the pins of before a restart', async () => {
    const { metadata, pins } = make();
    await pins.put(LIBRARY, '1');
    assert.equal(await make(metadata).pins.put(LIBRARY, '1'), 'pinned already');
  });

  test('refuses more than the most', async () => {
    const { pins } = make();
    for (let n = 0; n < MAX_PINS; n += 1) await pins.put(LIBRARY, `${n}`);
    assert.equal(await pins.put(LIBRARY, 'one-more'), 'too many');
    await pins.end(LIBRARY, '0');
    assert.equal(await pins.put(LIBRARY, 'one-more'), 'pinned');
  });

  test('writes its pins into a database that replaced the one it knew', async () => {
    const { pins, metadata } = make();
    await pins.put(LIBRARY, 'kept');
    await metadata.deletePin(LIBRARY, 'kept');
    await metadata.putPin(LIBRARY, 'ended', { pinnedAt: 1 });
    await pins.restore();
    assert.deepEqual(
      (await metadata.listPins()).map(({ tag }) => tag),
      ['kept'],
    );
  });
});
