import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatChallenge, ownBase } from './challenge.ts';

const MAIN = 'https://mirror.example.com';
const INTERNAL = 'http://mirror.internal:5000';
const names = {
  publicUrls: [MAIN, INTERNAL, 'https://both.example', 'http://both.example'],
  domainSuffix: 'm.example.org',
};

describe('ownBase()', () => {
  for (const [host, expected] of [
    ['localhost:5000', 'http://localhost:5000'],
    ['127.0.0.1:5000', 'http://127.0.0.1:5000'],
    ['[::1]:5000', 'http://[::1]:5000'],
    ['ghcr.io.m.example.org', 'http://ghcr.io.m.example.org'],
    ['m.example.org:8080', 'http://m.example.org:8080'],
    ['mirror.example.com', MAIN],
    ['evil.example.com', MAIN],
    ['127.evil.example.com', MAIN],
    ['evilm.example.org', MAIN],
    ['localhost.evil.example.com', MAIN],
    ['localhost@evil.example.com', MAIN],
    ['localhost:1/evil"', MAIN],
    ['', MAIN],
    ['mirror.example.com:443', MAIN],
    ['mirror.example.com:80', MAIN],
    ['MIRROR.internal:5000', INTERNAL],
    ['mirror.internal', MAIN],
    ['mirror.internal:5001', MAIN],
    ['mirror.internal:5000@evil.example.com', MAIN],
    ['evil.example.com#mirror.internal:5000', MAIN],
    ['mirror.internal:5000\\evil.example.com', MAIN],
    ['mirror.example.com.evil.example.com', MAIN],
    ['x$(id).localhost', MAIN],
    ['both.example', 'http://both.example'],
    ['2130706433', 'http://127.0.0.1'],
    ['0.0.0.0:5000', MAIN],
    ['10.0.0.5:5000', MAIN],
  ] as const) {
    test(`of ${JSON.stringify(host)}`, () => assert.equal(ownBase({ host, scheme: 'http' }, names), expected));
  }

  test('is undefined where no name is ours', () => {
    assert.equal(
      ownBase({ host: 'a.example', scheme: 'http' }, { publicUrls: [], domainSuffix: undefined }),
      undefined,
    );
  });
});

test('a challenge keeps the namespace that containerd asks for', () => {
  const challenge = formatChallenge('https://m.example', { scope: 'repository:a:pull', ns: 'ghcr.io"', failed: false });
  assert.equal(
    challenge,
    'Bearer realm="https://m.example/token?ns=ghcr.io%22",service="m.example",scope="repository:a:pull"',
  );
});
