import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Digester, digestAlgorithm, digestHex, digestOf, parseDigest } from './digest.ts';

const HEX = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

describe('parseDigest()', () => {
  for (const text of [`sha256:${HEX}`, `sha512:${HEX}${HEX}`]) {
    test(`takes ${text.slice(0, 20)}…`, () => assert.equal(parseDigest(text), text));
  }
  const refused = [
    '',
    'sha256:',
    HEX,
    `sha256:${HEX.toUpperCase()}`,
    `SHA256:${HEX}`,
    `sha256:${HEX.slice(1)}`,
    `sha256:${HEX}0`,
    `sha512:${HEX}`,
    `sha256:${HEX}\n`,
    `md5:${HEX}`,
    `sha256-${HEX}`,
    `sha256:../${HEX.slice(3)}`,
    ` sha256:${HEX}`,
  ];
  for (const text of refused) {
    test(`refuses ${JSON.stringify(text.slice(0, 24))}`, () => assert.equal(parseDigest(text), undefined));
  }
});

describe('digestOf()', () => {
  // The example of FIPS 180-4.
  test('has the published value for "abc"', () => assert.equal(digestOf(Buffer.from('abc')), `sha256:${HEX}`));

  test('computes sha512 where it is asked for', () => {
    const digest = digestOf(Buffer.from('abc'), 'sha512');
    assert.ok(digest.startsWith('sha512:ddaf35a193617aba'));
    assert.equal(parseDigest(digest), digest);
    assert.equal(digestAlgorithm(digest), 'sha512');
    assert.equal(digestHex(digest).length, 128);
  });
});

describe('Digester', () => {
  test('gives the digest of all parts together', () => {
    const digester = new Digester('sha256');
    digester.update(Buffer.from('a'));
    digester.update(Buffer.from('bc'));
    const digest = digester.digest();
    assert.equal(digest, digestOf(Buffer.from('abc')));
    assert.equal(digestAlgorithm(digest), 'sha256');
    assert.equal(digestHex(digest), HEX);
  });
});
