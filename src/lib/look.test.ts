import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { faultOfLook } from './look.ts';

describe('faultOfLook()', () => {
  for (const name of ['alice', 'zo\u00eb', '用户', 'Ольга', 'ci-2', 'e\u0327\u0301'.normalize('NFC')]) {
    test(`takes ${name}`, () => assert.equal(faultOfLook(name), undefined));
  }

  for (const [name, code] of [
    ['al\u200bice', 'U+200B'],
    ['\ufeffalice', 'U+FEFF'],
    ['alice\u202e', 'U+202E'],
    ['al\u00adice', 'U+00AD'],
    ['alice\u3164', 'U+3164'],
    ['alice\ufe0f', 'U+FE0F'],
    ['alice\u2800', 'U+2800'],
    ['alice\u0378', 'U+0378'],
    ['alice\ud800', 'U+D800'],
    ['alice\u{e0041}', 'U+E0041'],
    ['alice\u0007', 'U+0007'],
  ] as const) {
    test(`refuses ${code}`, () => {
      assert.equal(faultOfLook(name), `it has an invisible character (${code}); leave it out`);
    });
  }

  test('refuses what NFC writes otherwise, and shows that', () => {
    for (const name of ['zoe\u0308', '\u212bsa']) {
      assert.match(faultOfLook(name) ?? '', new RegExp(`write ${name.normalize('NFC')}, which is$`));
    }
  });
});
