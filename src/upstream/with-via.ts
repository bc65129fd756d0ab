import type { Via } from '../lib/index.ts';

/** Adds this server's chain to the operator's headers, behind a `via` of the operator's own. */
export function withVia(headers: Readonly<Record<string, string>>, via: Via | undefined): Record<string, string> {
  if (via === undefined) return { ...headers };
  const own = headers['via'];
  return { ...headers, via: own === undefined ? via.header : `${own}, ${via.header}` };
}
