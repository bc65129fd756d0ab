import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseTokenReply, tokenRequest } from './token-request.ts';

const question = {
  realm: new URL('https://auth.docker.io/token'),
  service: 'registry.docker.io',
  scope: 'repository:library/a:pull',
};

describe('tokenRequest', () => {
  test('is an anonymous GET without a credential', () => {
    const { method, url, headers } = tokenRequest(question, undefined);
    assert.deepEqual([method, headers['authorization']], ['GET', undefined]);
    assert.equal(
      url.href,
      'https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Fa%3Apull',
    );
  });

  test('is a GET with Basic with one, and does not touch the realm', () => {
    const { url, headers } = tokenRequest(question, { username: 'u', password: 'p:ä' });
    assert.equal(headers['authorization'], `Basic ${Buffer.from('u:p:ä').toString('base64')}`);
    assert.doesNotMatch(url.href, /p%3A/);
    assert.equal(question.realm.search, '');
  });

  test('leaves the query of the realm as it was written', () => {
    const realm = new URL('https://r.example/auth?b=%7e+%20&service=old&a=(1)');
    const { url } = tokenRequest({ realm, service: 's', scope: 'repository:a:pull' }, undefined);
    assert.equal(url.search, '?b=%7e+%20&a=(1)&service=s&scope=repository%3Aa%3Apull');
  });

  test("repeats scope, keeps the realm's own query, and leaves out what is not there", () => {
    const realm = new URL('https://r.example/auth?tenant=1');
    const { url } = tokenRequest(
      { realm, service: undefined, scope: 'repository:a:pull  repository:b:pull' },
      undefined,
    );
    assert.equal(url.search, '?tenant=1&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull');
    assert.equal(tokenRequest({ realm, service: undefined, scope: '' }, undefined).url.search, '?tenant=1');
  });

  test('is an OAuth2 POST with an identity token, which is in no URL and no header', () => {
    const { method, url, headers, body } = tokenRequest(question, { username: '<token>', password: 'refresh&me' });
    assert.deepEqual([method, url.href, headers['authorization']], ['POST', question.realm.href, undefined]);
    assert.deepEqual(Object.fromEntries(new URLSearchParams(body)), {
      grant_type: 'refresh_token',
      client_id: 'entrepot',
      service: 'registry.docker.io',
      scope: 'repository:library/a:pull',
      refresh_token: 'refresh&me',
    });
  });
});

describe('parseTokenReply', () => {
  const rows: readonly (readonly [string, unknown, unknown])[] = [
    ['token', { token: 't', expires_in: 300 }, { token: 't', life: 300_000 }],
    ['access_token', { access_token: 't', expires_in: 300 }, { token: 't', life: 300_000 }],
    ['both: token first', { access_token: 'b', token: 'a', expires_in: 1 }, { token: 'a', life: 1000 }],
    ['an empty token beside an access_token', { token: '', access_token: 'b' }, { token: 'b', life: 60_000 }],
    ['no expires_in (Quay)', { token: 't' }, { token: 't', life: 60_000 }],
    ['expires_in of no use', { token: 't', expires_in: 'x' }, { token: 't', life: 60_000 }],
    ['expires_in of zero', { token: 't', expires_in: 0 }, { token: 't', life: 60_000 }],
    ['twelve hours (ECR)', { token: 't', expires_in: 43_200 }, { token: 't', life: 3_600_000 }],
    ['a token no header can carry', { token: 'a\r\nb' }, undefined],
    ['a token with a space', { token: 'a b' }, undefined],
    ['a token too long', { token: 'x'.repeat(40_000) }, undefined],
    ['no token', { expires_in: 300 }, undefined],
    ['null', null, undefined],
  ];
  for (const [why, reply, expected] of rows) {
    test(why, () => assert.deepEqual(parseTokenReply(Buffer.from(JSON.stringify(reply))), expected));
  }

  test('no JSON', () => assert.equal(parseTokenReply(Buffer.from('<html>')), undefined));
});
