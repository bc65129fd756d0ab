import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areaPath, linePath } from './curve.ts';

const box = { width: 100, height: 24, top: 10 };

test('a line goes from the left edge to the right, and its top is the upper edge', () => {
  assert.equal(linePath([0, 10, 5], box), 'M0 22L50 2L100 12');
  assert.equal(areaPath([0, 10], box), 'M0 22L100 2L100 24L0 24Z');
});

test('one value is a level line, none is nothing, too large a one stays inside', () => {
  assert.equal(linePath([5], box), 'M0 12L100 12');
  assert.equal(linePath([], box), '');
  assert.equal(areaPath([], box), '');
  assert.equal(linePath([20, 0], box), 'M0 2L100 22');
});
