import type * as z from 'zod';
import type { Path } from '../tree.ts';
import { holdsSecret, isMarked } from './outline.ts';

/** Replaces a secret. */
export const REDACTED = '***';

/** Headers whose values are never credentials; any other value may be one. */
const HARMLESS_HEADERS = new Set(['user-agent', 'accept', 'accept-language', 'via']);

/** Masks a scalar: secrets, and the passwords and queries of URLs. */
export function redactValue(root: z.ZodType, path: Path, value: unknown): unknown {
  if (value === null || typeof value === 'boolean') return value;
  if (isMarked(root, path, 'secret') && !isHarmlessHeader(path)) return REDACTED;
  if (typeof value !== 'string') return value;
  // A text in place of a map with a secret probably contains the secret: `credentials: user:password`.
  if (holdsSecret(root, path)) return REDACTED;
  return isMarked(root, path, 'user') ? value.replace(/:.*/s, `:${REDACTED}`) : redactUrl(value);
}

/** A configuration with all secrets masked. */
export function redactAll(root: z.ZodType, value: unknown, path: Path = []): unknown {
  if (Array.isArray(value)) return value.map((item, index) => redactAll(root, item, [...path, index]));
  if (typeof value !== 'object' || value === null) return redactValue(root, path, value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redactAll(root, inner, [...path, key])]));
}

function isHarmlessHeader(path: Path): boolean {
  return path.at(-2) === 'headers' && HARMLESS_HEADERS.has(String(path.at(-1)).toLowerCase());
}

function redactUrl(text: string): string {
  // A URL without its scheme may contain a password too.
  if (!text.includes('://')) return text.replace(/^[^\s/@:]+:.*@/s, `${REDACTED}@`);
  // Up to the last @: a password with unencoded characters makes the URL invalid.
  return text.replace(/(:\/\/).*@/s, `$1${REDACTED}@`).replace(/\?[^#]*/, `?${REDACTED}`);
}
