/** Why a name server gave no answer. The message names it, never anything secret. */
export class DnsServerError extends Error {
  override readonly name = 'DnsServerError';
}

/** A failed lookup, with the codes `dns.lookup` uses: `ENOTFOUND` no such name, `EAI_AGAIN` nobody could say. */
export function lookupError(code: 'ENOTFOUND' | 'EAI_AGAIN', host: string, cause?: unknown): NodeJS.ErrnoException {
  const what = code === 'ENOTFOUND' ? 'no name server knows it' : 'no name server could be asked';
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return Object.assign(new Error(`${code} ${host}, ${what}${reason}`, { cause }), { code, hostname: host });
}
