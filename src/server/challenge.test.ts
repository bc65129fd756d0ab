import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatChallenge, ownBase } from './challenge.ts';

const names = { publicUrl: 'https://mirror.example.com', domainSuffix: 'm.example.org' };

describe('ownBase()', () => {
  for (const [host, expected] of [
    ['localhost:5000', 'http://localhost:5000'],
    ['127.0.0.1:5000', 'http://127.0.0.1:5000'],
    ['[::1]:5000', 'http://[::1]:5000'],
    ['ghcr.io.m.example.org', 'http://ghcr.io.m.example.org'],
    ['m.example.org:8080', 'http://m.example.org:8080'],
    ['mirror.example.com', names.publicUrl],
    ['evil.example.com', names.publicUrl],
    ['127.evil.example.com', names.publicUrl],
    ['evilm.example.org', names.publicUrl],
    ['localhost.evil.example.com', names.publicUrl],
    ['localhost@evil.example.com', names.publicUrl],
    ['localhost:1/evil"', 'http://localhost:1'],
    ['', names.publicUrl],
  ] as const) {
    test(`of ${JSON.stringify(host)}`, () => assert.equal(ownBase({ host, scheme: 'http' }, names), expected));
  }

  test('is undefined where no name is ours', () => {
    assert.equal(
      ownBase({ host: 'a.example', scheme: 'http' }, { publicUrl: undefined, domainSuffix: undefined }),
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
