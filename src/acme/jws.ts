import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';

/* Signed requests (RFC 7515 with RFC 8555 §6.2): everything here is pure. */

/** A P-256 public key as RFC 7517 writes it. */
interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
}

/** The key of an account: signs its requests. */
export interface AccountKey {
  readonly jwk: PublicJwk;
  /** SHA-256 of the public key (RFC 7638), the second half of a challenge's answer. */
  readonly thumbprint: string;
  /** ES256 (RFC 7518 §3.4). */
  readonly sign: (data: string) => Buffer;
}

/** The key of an account at another service, to which an ACME account is bound (RFC 8555 §7.3.4). */
export interface ExternalAccount {
  readonly keyId: string;
  /** In base64url, as certificate authorities hand it out. */
  readonly hmacKey: string;
}

export interface Jws {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}

/** A new account key, PEM (PKCS#8). */
export function createAccountKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
}

/** @throws {Error} where the text is no P-256 key in PEM */
export function openAccountKey(pem: string): AccountKey {
  const key = createPrivateKey(pem);
  const { crv, x, y } = createPublicKey(key).export({ format: 'jwk' });
  if (crv !== 'P-256' || x === undefined || y === undefined)
    throw new Error('found another key, expected one on P-256');
  // The members in alphabetical order: the thumbprint is made of this text (RFC 7638 §3).
  const canonical = JSON.stringify({ crv, kty: 'EC', x, y });
  return {
    jwk: { kty: 'EC', crv, x, y },
    thumbprint: createHash('sha256').update(canonical).digest('base64url'),
    sign: (data) => sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }),
  };
}

/** A request body. @param header without `alg`; an undefined payload is a POST-as-GET (RFC 8555 §6.3) */
export function signedBody(key: AccountKey, { header, payload }: { header: object; payload: object | undefined }): Jws {
  const protectedHeader = encode({ alg: 'ES256', ...header });
  const body = payload === undefined ? '' : encode(payload);
  const signature = key.sign(`${protectedHeader}.${body}`).toString('base64url');
  return { protected: protectedHeader, payload: body, signature };
}

/** Proves to the ACME server that the owner of another account agrees to the new one. */
export function externalBinding(key: AccountKey, { url, account }: { url: string; account: ExternalAccount }): Jws {
  const protectedHeader = encode({ alg: 'HS256', kid: account.keyId, url });
  const payload = encode(key.jwk);
  const signature = createHmac('sha256', Buffer.from(account.hmacKey, 'base64url'))
    .update(`${protectedHeader}.${payload}`)
    .digest('base64url');
  return { protected: protectedHeader, payload, signature };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
