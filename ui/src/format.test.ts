import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatsIn, imageName, shortDigest } from './format.ts';

const en = formatsIn('en');
const zh = formatsIn('zh');

describe('bytes', () => {
  for (const [value, expected] of [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [1500, '1.5 kB'],
    [12_345, '12 kB'],
    [999_499, '999 kB'],
    [999_500, '1 MB'],
    [3_200_000_000, '3.2 GB'],
    [5e15, '5 PB'],
    [5e18, '5,000 PB'],
    [-1, '0 B'],
  ] as const) {
    test(`${value}: ${expected}`, () => assert.equal(en.bytes(value), expected));
  }
});

describe('duration', () => {
  for (const [value, expected] of [
    [0, '0ms'],
    [0.4, '0.4ms'],
    [320, '320ms'],
    [999.6, '1s'],
    [1400, '1.4s'],
    [59_960, '1m'],
    [65_000, '1m 5s'],
    [3_600_000, '1h'],
    [8_040_000, '2h 14m'],
    [86_400_000 * 2 + 3_600_000, '2d 1h'],
    [3_599_900, '1h'],
    [86_390_000, '1d'],
  ] as const) {
    test(`${value}: ${expected}`, () => assert.equal(en.duration(value), expected));
  }
  test('in Chinese', () => assert.equal(zh.duration(65_000), '1分钟 5秒'));
});

describe('percent', () => {
  for (const [part, whole, expected] of [
    [0, 0, '0%'],
    [1, 2, '50%'],
    [9999, 10_000, '99.9%'],
    [1, 10_000, '0.1%'],
    [10, 10, '100%'],
  ] as const) {
    test(`${part} of ${whole}: ${expected}`, () => assert.equal(en.percent(part, whole), expected));
  }
});

describe('relative', () => {
  for (const [seconds, expected] of [
    [0, 'now'],
    [-5, '5 seconds ago'],
    [-90, '1 minute ago'],
    [-7200, '2 hours ago'],
    [-86_400, 'yesterday'],
    [300, 'in 5 minutes'],
  ] as const) {
    test(`${seconds}: ${expected}`, () => assert.equal(en.relative(1e12 + seconds * 1000, 1e12), expected));
  }
});

test('numbers of a million and more are rounded', () => {
  assert.deepEqual([en.number(1234), en.number(1_234_567), en.number(1.25)], ['1,234', '1.2M', '1.3']);
});

test('a digest is shown by its first twelve digits', () => {
  assert.equal(shortDigest('sha256:0123456789abcdef'), 'sha256:0123456789ab');
  assert.equal(shortDigest('latest'), 'latest');
});

test('an image is named with its tag, or its digest', () => {
  const image = { registry: 'docker.io', repository: 'library/nginx' };
  assert.equal(imageName({ ...image, reference: 'latest' }), 'docker.io/library/nginx:latest');
  assert.equal(imageName({ ...image, reference: 'sha256:ab' }), 'docker.io/library/nginx@sha256:ab');
  assert.equal(imageName(image), 'docker.io/library/nginx');
});
