import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/*
 * `ent_`, 43 characters of 256 random bits, and 6 of a checksum, as base 62. The fixed prefix lets secret scanners find one that was
 * published by mistake; the checksum tells them, and us, a mistyped one without a look-up.
 */

const PREFIX = 'ent_';
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62⁴³ > 2²⁵⁶ */
const SECRET_LENGTH = 43;
/** 62⁶ > 2³² */
const CHECKSUM_LENGTH = 6;
const SHAPE = /^ent_[0-9A-Za-z]{49}$/;

/** Makes a token that did not exist before. */
export function createTokenText(): string {
  const random = Array.from({ length: SECRET_LENGTH }, () => DIGITS[randomInt(DIGITS.length)]);
  const secret = PREFIX + random.join('');
  return secret + checksumOf(secret);
}

/** Whether a text has the shape of a token of ours; it may be mistyped all the same. */
export function isTokenShaped(text: string): boolean {
  return SHAPE.test(text);
}

/** The hash by which a token is stored; undefined for a text that is no token, or a mistyped one. */
export function hashOfToken(text: string): string | undefined {
  if (!isTokenShaped(text)) return undefined;
  const secret = text.slice(0, -CHECKSUM_LENGTH);
  return checksumOf(secret) === text.slice(-CHECKSUM_LENGTH) ? hash('sha256', text, 'hex') : undefined;
}

function checksumOf(secret: string): string {
  let text = '';
  for (let rest = crc32(secret); text.length < CHECKSUM_LENGTH; rest = Math.floor(rest / DIGITS.length)) {
    text = (DIGITS[rest % DIGITS.length] ?? '') + text;
  }
  return text;
}
