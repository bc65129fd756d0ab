import { trimHeaderText } from '../../lib/index.ts';

/** Headers of one connection, never passed on (RFC 9110 §7.6.1), and those that only old clients still send. */
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

/** Whether a header (lower case) concerns one connection only. */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name);
}

/** Headers that `Connection` cannot remove: without them the message would mean something else. */
const ESSENTIAL: ReadonlySet<string> = new Set(['authorization', 'content-length', 'content-type', 'host', 'range']);

/**
 * The headers to pass on: name and value alternate, as Node gives them, in their order and spelling. Left out are those of the
 * connection, those that `Connection` lists, and `also` (lower case).
 */
export function endToEndHeaders(rawHeaders: readonly string[], also: readonly string[] = []): string[] {
  const dropped = new Set(also);
  eachHeader(rawHeaders, (name, value) => {
    if (name !== 'connection' && name !== 'proxy-connection') return;
    for (const token of value.split(',')) {
      const listed = trimHeaderText(token).toLowerCase();
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
