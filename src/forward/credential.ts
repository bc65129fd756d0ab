import { createHash, timingSafeEqual } from 'node:crypto';

/** The current user and password. */
export interface ForwardCredential {
  readonly user: string;
  readonly password: string;
}

/**
 * Whether a `Proxy-Authorization` header holds the credential (RFC 7617). Takes the same time whatever is wrong with it, because
 * it compares digests, which have one length.
 */
export function holdsCredential(header: string | undefined, { user, password }: ForwardCredential): boolean {
  const [, encoded = ''] = /^basic +([a-z0-9+/_-]+={0,2}) *$/i.exec((header ?? '').slice(0, 8192)) ?? [];
  const given = Buffer.from(encoded, 'base64');
  const expected = Buffer.from(`${user}:${password}`, 'utf8');
  return timingSafeEqual(digest(given), digest(expected)) && encoded !== '';
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
