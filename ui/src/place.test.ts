import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { placeOf, splitPath, textOf } from './place.ts';

describe('an address', () => {
  for (const [path, query, text] of [
    ['', {}, '/ui/'],
    ['images/docker.io/library/nginx:latest', {}, '/ui/images/docker.io/library/nginx:latest'],
    ['images/a/b@sha256:01', {}, '/ui/images/a/b@sha256:01'],
    ['images/a b/ü?#%', {}, '/ui/images/a%20b/%C3%BC%3F%23%25'],
    ['pulls', { image: 'docker.io/library', client: 'a b' }, '/ui/pulls?image=docker.io/library&client=a+b'],
  ] as const) {
    test(`${text} reads like the reference of an image, and back`, () => {
      assert.equal(textOf({ path, query }), text);
      const url = new URL(text, 'http://localhost');
      const back = placeOf(url.pathname, url.search);
      assert.equal(back.path, path);
      assert.deepEqual({ ...back.query }, query);
    });
  }

  test('an empty or absent value is left out', () => {
    assert.equal(textOf({ path: 'pulls', query: { image: '', client: undefined } }), '/ui/pulls');
  });

  test('what cannot be decoded stays as it is, and the first of two values counts', () => {
    assert.deepEqual(placeOf('/ui/images/%ff/', '').path, 'images/%ff');
    assert.equal(placeOf('/ui/', '?a=1&a=2').query['a'], '1');
    assert.equal(placeOf('/ui/', '?__proto__=1').query['toString'], undefined);
  });

  test('another address is the first view', () => assert.equal(placeOf('/help', '').path, ''));
});

test('the first part of a path is the view', () => {
  assert.deepEqual(splitPath('images/a/b'), ['images', 'a/b']);
  assert.deepEqual(splitPath('pulls'), ['pulls', '']);
});
