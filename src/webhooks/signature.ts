import { createHmac } from 'node:crypto';

/** What a secret of Standard Webhooks begins with; base64 follows. */
const PREFIX = 'whsec_';

/**
 * The key of a secret: the bytes that `whsec_…` encodes, or the text itself as UTF-8. Undefined where what follows `whsec_` is
 * no base64.
 *
 * Source: Standard Webhooks 1.0.0, Signature scheme.
 */
export function keyOf(secret: string): Buffer | undefined {
  if (!secret.startsWith(PREFIX)) return Buffer.from(secret);
  const text = secret.slice(PREFIX.length);
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  return isBase64 ? Buffer.from(text, 'base64') : undefined;
}

/**
 * The `webhook-signature` header: for each key `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64, spaces between.
 *
 * @param timestamp whole seconds since the epoch: of the attempt, so that a recorded one cannot be sent again later
 */
export function signatureOf(
  { id, timestamp, body }: { readonly id: string; readonly timestamp: number; readonly body: string },
  keys: readonly Buffer[],
): string {
  return keys
    .map((key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`)
    .join(' ');
}
