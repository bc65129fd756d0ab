import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANONYMOUS, type Principal } from './principal.ts';
import { TOKEN_LIFETIME, Tokens } from './tokens.ts';

const alice: Principal = { kind: 'user', name: 'alice' };
const HOST = 'mirror.example.com';

describe('Tokens', () => {
  for (const principal of [alice, { kind: 'token', name: 'alice' }, ANONYMOUS] satisfies Principal[]) {
    test(`names ${principal.kind} again`, () => {
      const tokens = new Tokens();
      const token = tokens.issue({ principal, version: 'v' }, HOST);
      assert.partialDeepStrictEqual(tokens.verify(token, HOST), { principal, version: 'v' });
    });
  }

  test('refuses a token when it has expired, although it was verified before', () => {
    let now = 1_000_000;
    const tokens = new Tokens({ now: () => now });
    const token = tokens.issue({ principal: alice, version: 'v' }, HOST);
    now += TOKEN_LIFETIME * 1000 - 1;
    const verified = tokens.verify(token, HOST);
    assert.ok(verified !== undefined && tokens.isValidFor(verified, HOST));
    now += 1;
    assert.equal(tokens.verify(token, HOST), undefined);
    assert.equal(tokens.isValidFor(verified, HOST), false);
  });

  test('refuses a token for another host, although it was verified before', () => {
    const tokens = new Tokens();
    const token = tokens.issue({ principal: alice, version: 'v' }, HOST);
    const verified = tokens.verify(token, HOST);
    assert.ok(verified);
    for (const host of ['other.example.com', undefined]) {
      assert.equal(tokens.verify(token, host), undefined);
      assert.equal(tokens.isValidFor(verified, host), false);
    }
  });

  for (const [title, change] of [
    ['another user', { sub: 'bob' }],
    ['a later end', { exp: 2 ** 40 }],
    ['another host', { aud: 'other.example.com' }],
    ['another kind', { kind: 'anonymous' }],
    ['a token of the name', { kind: 'token' }],
  ] as const) {
    test(`refuses a token that was changed to ${title}`, () => {
      const tokens = new Tokens();
      const [header, payload = '', signature] = tokens.issue({ principal: alice, version: 'v' }, HOST).split('.');
      const claims = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), ...change };
      const changed = Buffer.from(JSON.stringify(claims)).toString('base64url');
      const audience = 'aud' in change ? change.aud : HOST;
      assert.equal(tokens.verify(`${header}.${changed}.${signature}`, audience), undefined);
    });
  }

  test('refuses the token of another process', () => {
    const token = new Tokens().issue({ principal: alice, version: 'v' }, HOST);
    assert.equal(new Tokens().verify(token, HOST), undefined);
  });
});
