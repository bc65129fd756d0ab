import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Cursors } from './cursor.ts';

const NAME = ['docker.io', 'secret/project'];

describe('Cursors', () => {
  test('give a place back to the object that sealed it, for the same list', () => {
    const cursors = new Cursors();
    assert.deepEqual(cursors.open('a', cursors.seal('a', NAME)), NAME);
    assert.deepEqual(cursors.open('a', cursors.seal('a', [])), []);
  });

  test('say nothing of the place, and have one length for names of any usual length', () => {
    const cursors = new Cursors();
    const sealed = cursors.seal('a', NAME);
    assert.ok(!Buffer.from(sealed, 'base64url').includes('secret'));
    assert.notEqual(cursors.seal('a', NAME), sealed);
    assert.equal(cursors.seal('a', ['docker.io', 'x'.repeat(200)]).length, sealed.length);
    assert.ok(cursors.seal('a', ['x'.repeat(255), 'y'.repeat(255)]).length <= 2000);
  });

  test('refuse what was changed, cut, made up, of another list or of another start', () => {
    const cursors = new Cursors();
    const sealed = cursors.seal('a', NAME);
    const changed = `${sealed.slice(0, 30)}${sealed[30] === 'A' ? 'B' : 'A'}${sealed.slice(31)}`;
    for (const cursor of ['', 'x', changed, sealed.slice(0, -4), '§', 'A'.repeat(400)]) {
      assert.throws(() => cursors.open('a', cursor), { code: 'PAGINATION_NUMBER_INVALID', status: 400 }, cursor);
    }
    assert.throws(() => cursors.open('b', sealed), { code: 'PAGINATION_NUMBER_INVALID' });
    assert.throws(() => new Cursors().open('a', sealed), { code: 'PAGINATION_NUMBER_INVALID' });
  });
});
