import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileGlob } from './glob.ts';

describe('compileGlob()', () => {
  const rows: readonly [pattern: string, text: string, matches: boolean][] = [
    ['docker.io/library/*:latest', 'docker.io/library/nginx:latest', true],
    ['docker.io/library/*:latest', 'docker.io/library/nginx:1.27', false],
    ['docker.io/*:latest', 'docker.io/library/nginx:latest', false],
    ['docker.io/**', 'docker.io/library/nginx:latest', true],
    ['**:latest', 'ghcr.io/a/b:latest', true],
    ['ghcr.io/a/?:x', 'ghcr.io/a/b:x', true],
    ['ghcr.io/a/?:x', 'ghcr.io/a/bc:x', false],
    ['ghcr.io', 'ghcrxio', false],
    ['a(b)[c]{d}+^$|\\', 'a(b)[c]{d}+^$|\\', true],
    ['*', 'a/b', false],
  ];
  for (const [pattern, text, matches] of rows) {
    test(`${pattern} ${matches ? 'matches' : 'does not match'} ${text}`, () => {
      assert.equal(compileGlob(pattern)(text), matches);
    });
  }
});
