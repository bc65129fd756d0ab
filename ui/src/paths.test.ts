import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OPERATIONS } from '../../src/admin/index.ts';
import { PATHS } from './paths.ts';

const operations = new Map<string, { readonly name: string; readonly socketOnly?: boolean }>(
  Object.entries(OPERATIONS),
);

test('each operation that the page names has its path, and is one that the API offers', () => {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  const sources = globSync('**/*.{ts,tsx}', { cwd }).filter((file) => !/\.test\.ts$|^words\//.test(file));
  const called = sources.flatMap((file) =>
    Array.from(
      readFileSync(cwd + file, 'utf8').matchAll(/\b(?:read|change|useRead|usePages|Answer<)\W{1,2}'(\w+)'/g),
      ([, key]) => key ?? '',
    ),
  );
  assert.ok(called.length > 30, String(called));
  for (const key of new Set([...called, ...Object.keys(PATHS)])) {
    const operation = operations.get(key);
    assert.equal(operation?.name, PATHS[key] ?? key, key);
    assert.notEqual(operation.socketOnly, true, key);
  }
});
