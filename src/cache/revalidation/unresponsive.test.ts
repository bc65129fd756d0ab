import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LONGEST_DELAY } from './back-off.ts';
import { UnresponsiveRegistries } from './unresponsive.ts';

test('a registry is silent until it speaks, or nobody has looked for long', () => {
  let now = 1_000_000;
  const silence = new UnresponsiveRegistries(() => now);
  assert.ok(!silence.has('hub'));
  silence.markUnresponsive('hub');
  assert.deepEqual([silence.has('hub'), silence.has('quay')], [true, false]);
  silence.markResponsive('hub');
  assert.ok(!silence.has('hub'));

  silence.markUnresponsive('hub');
  now += LONGEST_DELAY;
  assert.ok(silence.has('hub'), 'a tag that was left alone for as long as any is not waited for');
  silence.markUnresponsive('hub');
  now += LONGEST_DELAY + 59_999;
  assert.ok(silence.has('hub'));
  now += 1;
  assert.ok(!silence.has('hub'));
});

test('a clock that is set back ends a silence', () => {
  let now = 1_000_000;
  const silence = new UnresponsiveRegistries(() => now);
  silence.markUnresponsive('hub');
  now -= 1;
  assert.ok(!silence.has('hub'));
  now += 1;
  silence.clear();
  assert.ok(!silence.has('hub'));
});
