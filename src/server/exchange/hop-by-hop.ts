/** What concerns one connection and is never passed on (RFC 9110 §7.6.1), with what only old clients still send. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What a Connection header cannot take away: without these the message would be another one. */
const ESSENTIAL: ReadonlySet<string> = new Set(['authorization', 'content-length', 'content-type', 'host', 'range']);

/**
 * Headers as they may be passed on: name and value alternate, as Node gives them, in their order and spelling. Without those
 * of the connection, without what `Connection` lists, and without `also` (lower case).
 */
export function endToEndHeaders(rawHeaders: readonly string[], also: readonly string[] = []): string[] {
  const dropped = new Set(also);
  eachHeader(rawHeaders, (name, value) => {
    if (name !== 'connection' && name !== 'proxy-connection') return;
    for (const token of value.split(',')) {
      const listed = token.trim().toLowerCase();
      if (!ESSENTIAL.has(listed)) dropped.add(listed);
    }
  });
  const kept: string[] = [];
  eachHeader(rawHeaders, (name, value, spelling) => {
    if (!HOP_BY_HOP.has(name) && !dropped.has(name)) kept.push(spelling, value);
  });
  return kept;
}

function eachHeader(rawHeaders: readonly string[], use: (name: string, value: string, spelling: string) => void): void {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const spelling = rawHeaders[i] ?? '';
    use(spelling.toLowerCase(), rawHeaders[i + 1] ?? '', spelling);
  }
}
