import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { describe, test } from 'node:test';
import { createAccountKey, externalBinding, openAccountKey, signedBody } from './jws.ts';

const pem = createAccountKey();
const key = openAccountKey(pem);
const url = 'https://acme.example/order';

function decode(text: string): unknown {
  return JSON.parse(Buffer.from(text, 'base64url').toString());
}

describe('a signed request', () => {
  test('has a signature that the public key verifies, in the form of RFC 7518', () => {
    const {
      protected: header,
      payload,
      signature,
    } = signedBody(key, { header: { nonce: 'n', url }, payload: { a: 1 } });
    assert.deepEqual(decode(header), { alg: 'ES256', nonce: 'n', url });
    assert.deepEqual(decode(payload), { a: 1 });
    const bytes = Buffer.from(signature, 'base64url');
    assert.equal(bytes.length, 64);
    const publicKey = createPublicKey(pem);
    const data = Buffer.from(`${header}.${payload}`);
    assert.ok(verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes));
  });

  test('has an empty payload where it only reads', () => {
    assert.equal(signedBody(key, { header: {}, payload: undefined }).payload, '');
  });
});

test('an external account signs the public key (RFC 8555 §7.3.4)', () => {
  const hmacKey = Buffer.from('secret').toString('base64url');
  const { protected: header, payload, signature } = externalBinding(key, { url, account: { keyId: 'k', hmacKey } });
  assert.deepEqual(decode(header), { alg: 'HS256', kid: 'k', url });
  assert.deepEqual(decode(payload), key.jwk);
  assert.equal(signature, createHmac('sha256', 'secret').update(`${header}.${payload}`).digest('base64url'));
});

test('a key of another kind is refused', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  assert.throws(() => openAccountKey(privateKey.export({ type: 'pkcs8', format: 'pem' })), /expected one on P-256/);
  assert.throws(() => openAccountKey('nothing'));
});
