import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { joinScopes } from './scopes.ts';

describe('the scope of a push', () => {
  for (const [named, expected] of [
    ['', 'repository:a/b:pull,push'],
    ['repository:a/b:pull', 'repository:a/b:pull,push'],
    ['repository:a/b:push,pull', 'repository:a/b:pull,push'],
    ['repository:a/b:*', 'repository:a/b:pull,push,*'],
    ['repository:prefix/a/b:pull', 'repository:a/b:pull,push repository:prefix/a/b:pull'],
    ['repository:a/b:pull repository:c:pull', 'repository:a/b:pull,push repository:c:pull'],
    // GHCR's placeholder, and what is no scope of a resource.
    ['repository:user/image:pull', 'repository:a/b:pull,push'],
    ['aws', 'repository:a/b:pull,push'],
  ] as const) {
    test(`joined with "${named}"`, () => assert.equal(joinScopes('repository:a/b:pull,push', named), expected));
  }
});
