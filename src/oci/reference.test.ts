import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatReference, isRepositoryName, isTag, MAX_NAME_LENGTH, parseReference } from './reference.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('isRepositoryName()', () => {
  const names: readonly [name: string, valid: boolean][] = [
    ['nginx', true],
    ['library/nginx', true],
    ['a/b/c/d/e', true],
    ['a.b_c__d-e---f', true],
    ['0', true],
    ['manifests/blobs/tags/list', true],
    ['a'.repeat(MAX_NAME_LENGTH), true],
    ['a'.repeat(MAX_NAME_LENGTH + 1), false],
    ['', false],
    ['Nginx', false],
    ['a//b', false],
    ['/a', false],
    ['a/', false],
    ['a/../b', false],
    ['..', false],
    ['.a', false],
    ['a.', false],
    ['a..b', false],
    ['a___b', false],
    ['a._b', false],
    ['-a', false],
    ['a-', false],
    ['a:5000/b', false],
    ['_catalog', false],
    ['ä', false],
    ['a\n', false],
    ['a%2fb', false],
  ];
  for (const [name, valid] of names) {
    test(`${JSON.stringify(name.slice(0, 30))} (${name.length}) is ${valid ? 'a name' : 'none'}`, () => {
      assert.equal(isRepositoryName(name), valid);
    });
  }
});

describe('isTag()', () => {
  const tags: readonly [tag: string, valid: boolean][] = [
    ['latest', true],
    ['V1.2.3-alpine_3.20', true],
    ['_', true],
    ['a'.repeat(128), true],
    ['a'.repeat(129), false],
    ['', false],
    ['.a', false],
    ['-a', false],
    ['a/b', false],
    ['a:b', false],
    ['a+b', false],
    ['a\n', false],
    ['é', false],
  ];
  for (const [tag, valid] of tags) {
    test(`${JSON.stringify(tag.slice(0, 30))} (${tag.length}) is ${valid ? 'a tag' : 'none'}`, () => {
      assert.equal(isTag(tag), valid);
    });
  }
});

describe('parseReference()', () => {
  test('reads a tag', () => assert.deepEqual(parseReference('v1'), { kind: 'tag', tag: 'v1' }));
  test('reads a digest', () => assert.deepEqual(parseReference(DIGEST), { kind: 'digest', digest: DIGEST }));
  test('takes nothing with a colon for a tag', () => assert.equal(parseReference('sha256:abc'), undefined));
  test('refuses what is neither', () => assert.equal(parseReference('-x'), undefined));

  for (const text of ['v1', DIGEST]) {
    test(`formatReference() gives ${text.slice(0, 12)} back`, () => {
      const reference = parseReference(text);
      assert.ok(reference);
      assert.equal(formatReference(reference), text);
    });
  }
});
