import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileGlob, globCovers, globsMeet } from './glob.ts';

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

describe('globCovers()', () => {
  const rows: readonly [wide: string, narrow: string, covers: boolean][] = [
    ['**', 'docker.io/library/*:latest', true],
    ['**', '**', true],
    ['docker.io/**', 'docker.io/library/*:latest', true],
    ['docker.io/*/*:*', 'docker.io/library/*:latest', true],
    ['a?c', 'a?c', true],
    ['a*', 'a?', true],
    ['*', '**', false],
    ['?', '*', false],
    ['a*', 'a/b', false],
    ['docker.io/library/*:latest', 'docker.io/**', false],
    ['docker.io/*:latest', 'docker.io/**:latest', false],
    ['ghcr.io/**', 'docker.io/**', false],
    ['ghcr.io', 'ghcrxio', false],
  ];
  for (const [wide, narrow, covers] of rows) {
    test(`${wide} ${covers ? 'covers' : 'does not cover'} ${narrow}`, () => {
      assert.equal(globCovers(wide, narrow), covers);
    });
  }
});

describe('globsMeet()', () => {
  const rows: readonly [one: string, other: string, meet: boolean][] = [
    ['acme/**', 'acme/app', true],
    ['acme/**', 'acme/**', true],
    ['acme/**', '**', true],
    ['acme/**', '**/app', true],
    ['acme/*', 'acme/a/b', false],
    ['acme/*', 'acme/**/b', false],
    ['acme/*', 'acme/**b', true],
    ['acme/**', 'ours/**', false],
    ['acme/app-*', 'acme/*-web', true],
    ['acme/app-*', 'acme/web-*', false],
    ['a?c', 'ab?', true],
    ['a?', 'a', false],
    ['*', 'a/b', false],
    ['*', '**', true],
    ['', '**', true],
    ['', 'a', false],
    ['*a*', '*b*', true],
  ];
  for (const [one, other, meet] of rows) {
    test(`${one} and ${other} ${meet ? 'meet' : 'do not meet'}`, () => {
      assert.equal(globsMeet(one, other), meet);
      assert.equal(globsMeet(other, one), meet);
    });
  }

  test('as trying every short text says', () => {
    const letters = ['', 'a', 'b', '/'];
    const texts = letters.flatMap((x) =>
      letters.flatMap((y) => letters.flatMap((z) => letters.map((w) => x + y + z + w))),
    );
    const parts = ['', 'a', '/', '?', '*', '**'];
    const globs = [...new Set(parts.flatMap((x) => parts.flatMap((y) => parts.map((z) => x + y + z))))];
    for (const one of globs) {
      const matching = texts.filter(compileGlob(one));
      for (const other of globs) {
        const meet = matching.some(compileGlob(other));
        assert.equal(globsMeet(one, other), meet, `${one} and ${other}`);
      }
    }
  });
});
