import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS } from '../../src/admin/index.ts';
import { PATHS } from './paths.ts';

test('each path is that of the operation, which the API offers', () => {
  const operations = new Map<string, { readonly name: string; readonly socketOnly?: boolean }>(
    Object.entries(OPERATIONS),
  );
  for (const [key, path] of Object.entries(PATHS)) {
    const operation = operations.get(key);
    assert.equal(operation?.name, path, key);
    assert.notEqual(operation.socketOnly, true, key);
  }
});
