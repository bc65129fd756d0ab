import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitAmong } from './split.ts';

const policies = {
  alone: { connections: 1, minSegment: 10, mostOfUpstream: 8 },
  few: { connections: 2, minSegment: 100, mostOfUpstream: 8 },
  many: { connections: 8, minSegment: 500, mostOfUpstream: 8 },
};
const policyOf = (upstream: string) => policies[upstream as keyof typeof policies];

test('a blob is split as far as one of its upstreams allows, and not by those that allow one connection', () => {
  assert.deepEqual(splitAmong(['alone', 'few', 'many'], policyOf), { connections: 8, minSegment: 100 });
  assert.deepEqual(splitAmong(['alone', 'few'], policyOf), { connections: 2, minSegment: 100 });
  assert.deepEqual(splitAmong(['alone'], policyOf), { connections: 1, minSegment: 10 });
});
