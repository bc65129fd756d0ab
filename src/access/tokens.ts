import { createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { ANONYMOUS, type Holder } from './principal.ts';

/** Seconds that a token is valid. Docker keeps one for at least 60. */
export const TOKEN_LIFETIME = 300;
/** Characters; ours are far shorter. */
const MAX_LENGTH = 2048;

/** What a token says. It names a principal and no rights: the rules of now decide at each use. */
interface Claims {
  readonly sub: string;
  readonly kind: Holder['kind'];
  /** Changes with the password of a user, and with a token of ours: those from before are then refused. */
  readonly version: string;
  /** The host that the token was made for. */
  readonly aud: string;
  readonly iat: number;
  readonly exp: number;
}

export interface TokenHolder {
  readonly principal: Holder;
  readonly version: string;
}

/** The holder of a token that was verified. */
export interface VerifiedToken extends TokenHolder {
  /** The host that the token was made for. */
  readonly audience: string;
  /** Milliseconds since 1970; from then on it is refused. */
  readonly expiresAt: number;
}

interface TokensOptions {
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}

/**
 * Signs and verifies tokens (EdDSA, RFC 8037) with a key of this process: a restart makes clients ask for new ones, which they
 * do by themselves.
 *
 * The header is compared as a whole with the one that this process writes. So there is no algorithm to choose, no embedded key
 * and no key id to look up.
 */
export class Tokens {
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #header: string;
  readonly #secret = randomBytes(32);
  readonly #now: () => number;

  constructor({ now = Date.now }: TokensOptions = {}) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    this.#privateKey = privateKey;
    this.#publicKey = publicKey;
    this.#header = encode({ alg: 'EdDSA', typ: 'JWT', kid: randomBytes(8).toString('base64url') });
    this.#now = now;
  }

  /** @param audience the host that the client uses */
  issue({ principal, version }: TokenHolder, audience: string): string {
    const iat = Math.floor(this.#now() / 1000);
    const sub = principal.kind === 'anonymous' ? '' : principal.name;
    const claims: Claims = { sub, kind: principal.kind, version, aud: audience, iat, exp: iat + TOKEN_LIFETIME };
    const signed = `${this.#header}.${encode(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), this.#privateKey).toString('base64url')}`;
  }

  /** Undefined for a token that is not ours, not for this audience, or expired. */
  verify(token: string, audience: string | undefined): VerifiedToken | undefined {
    const verified = this.#check(token);
    return verified !== undefined && this.isValidFor(verified, audience) ? verified : undefined;
  }

  /** Whether a token that was verified before may be used at a host now. */
  isValidFor({ audience, expiresAt }: VerifiedToken, host: string | undefined): boolean {
    return audience === host && expiresAt > this.#now();
  }

  /** Stands for a password or hash in a token. It tells nothing of it, and cannot be guessed offline. */
  versionOf(secret: string): string {
    return createHmac('sha256', this.#secret).update(secret).digest('base64url').slice(0, 22);
  }

  #check(token: string): VerifiedToken | undefined {
    if (token.length > MAX_LENGTH) return undefined;
    const [header, payload, signature, ...more] = token.split('.');
    if (header !== this.#header || payload === undefined || signature === undefined || more.length > 0)
      return undefined;
    const bytes = Buffer.from(signature, 'base64url');
    // Node reads base64 leniently; there is one spelling of a token.
    if (bytes.toString('base64url') !== signature) return undefined;
    if (!verify(null, Buffer.from(`${header}.${payload}`), this.#publicKey, bytes)) return undefined;
    // Signed by this process, so it has the shape that `issue` gives it.
    const { kind, sub, version, aud, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims;
    const principal: Holder = kind === 'anonymous' ? ANONYMOUS : { kind, name: sub };
    return { principal, version, audience: aud, expiresAt: exp * 1000 };
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
