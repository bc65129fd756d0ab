import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatWarning } from './warning.ts';

test('a warning is one line that nothing in it can end', () => {
  assert.equal(formatWarning(110, 'it is "down"\r\nX-Evil: 1 \\ é'), `110 - "it is 'down'??X-Evil: 1 ' ?"`);
  assert.equal(formatWarning(299, 'größer 镜像 🚢'), '299 - "gr??er ?? ?"');
  assert.equal(formatWarning(299, 'x'.repeat(1000)).length, 'nnn - ""'.length + 512);
});
