import type { z } from 'zod';
import type { Path } from '../tree.ts';
import { holdsSecret, isMarked } from './outline.ts';

/** What stands where a secret would. */
export const REDACTED = '***';

/** Headers whose values are never credentials. The value of any other might be one. */
const HARMLESS_HEADERS = new Set(['user-agent', 'accept', 'accept-language', 'via']);

/** A scalar of the configuration as it may be shown: secrets, and the passwords and queries of URLs, are left out. */
export function redactValue(root: z.ZodType, path: Path, value: unknown): unknown {
  if (value === null || typeof value === 'boolean') return value;
  if (isMarked(root, path, 'secret') && !isHarmlessHeader(path)) return REDACTED;
  if (typeof value !== 'string') return value;
  // Where a map with a secret belongs, what was written in one piece has it somewhere: `credentials: user:password`.
  if (holdsSecret(root, path)) return REDACTED;
  return isMarked(root, path, 'user') ? value.replace(/:.*/s, `:${REDACTED}`) : redactUrl(value);
}

/** A configuration as it may be shown. */
export function redactAll(root: z.ZodType, value: unknown, path: Path = []): unknown {
  if (Array.isArray(value)) return value.map((item, index) => redactAll(root, item, [...path, index]));
  if (typeof value !== 'object' || value === null) return redactValue(root, path, value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redactAll(root, inner, [...path, key])]));
}

function isHarmlessHeader(path: Path): boolean {
  return path.at(-2) === 'headers' && HARMLESS_HEADERS.has(String(path.at(-1)).toLowerCase());
}

function redactUrl(text: string): string {
  // An address of which somebody forgot the scheme has a password all the same.
  if (!text.includes('://')) return text.replace(/^[^\s/@:]+:.*@/s, `${REDACTED}@`);
  // Up to the last @: a password may hold what should have been encoded, and then it is no URL.
  return text.replace(/(:\/\/).*@/s, `$1${REDACTED}@`).replace(/\?[^#]*/, `?${REDACTED}`);
}
