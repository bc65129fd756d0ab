import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { createTokenText, hashOfToken, isTokenShaped } from './token-text.ts';

describe('a token', () => {
  test('has the prefix and shape that scanners look for, and is made once', () => {
    const made = new Set(Array.from({ length: 1000 }, () => createTokenText()));
    assert.equal(made.size, 1000);
    for (const text of made) assert.match(text, /^ent_[0-9A-Za-z]{49}$/);
  });

  test('is stored as its SHA-256', () => {
    const text = createTokenText();
    assert.equal(hashOfToken(text), createHash('sha256').update(text).digest('hex'));
  });

  test('that is mistyped by one character is known as such, at every place', () => {
    const text = createTokenText();
    for (let at = 4; at < text.length; at += 1) {
      const other = text[at] === 'A' ? 'B' : 'A';
      const mistyped = text.slice(0, at) + other + text.slice(at + 1);
      assert.equal(isTokenShaped(mistyped), true);
      assert.equal(hashOfToken(mistyped), undefined, mistyped);
    }
  });

  test('has one spelling', () => {
    const text = createTokenText();
    for (const other of [
      '',
      'ent_',
      text.slice(0, -1),
      `${text}0`,
      ` ${text}`,
      `${text}\n`,
      text.toUpperCase(),
      text.replace('ent_', 'ent-'),
      `ent_${'0'.repeat(1_000_000)}`,
    ]) {
      assert.equal(isTokenShaped(other), false, other.slice(0, 60));
      assert.equal(hashOfToken(other), undefined, other.slice(0, 60));
    }
  });
});
