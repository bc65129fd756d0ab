/** A name server gave no usable answer. The message names the server, and holds no secret. */
export class DnsServerError extends Error {
  override readonly name = 'DnsServerError';
}

/** A failed lookup, with the codes of `dns.lookup`: `ENOTFOUND` no such name, `EAI_AGAIN` no server could answer. */
export function lookupError(code: 'ENOTFOUND' | 'EAI_AGAIN', host: string, cause?: unknown): NodeJS.ErrnoException {
  const what = code === 'ENOTFOUND' ? 'no name server knows it' : 'no name server could answer';
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return Object.assign(new Error(`${code} ${host}, ${what}${reason}`, { cause }), { code, hostname: host });
}
