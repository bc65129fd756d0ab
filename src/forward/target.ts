import { isIP } from 'node:net';
import { type ForwardTarget, TextRefusal } from '../server/index.ts';

/** A host in a request: no user, no percent sign, nothing that another parser could read differently. */
const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253}\.?)(?::(\d{1,5}))?$/i;

/** The target of CONNECT: `host:port` and nothing else (RFC 9112 §3.2.3). @throws {TextRefusal} 400 */
export function parseConnectTarget(text: string): ForwardTarget {
  const target = parseAuthority(text, undefined);
  if (target === undefined) throw new TextRefusal(400, 'CONNECT takes HOST:PORT, with a port from 1 to 65535');
  return target;
}

/** The target of a request in absolute form. */
interface AbsoluteTarget extends ForwardTarget {
  readonly scheme: 'http' | 'https';
  /** Path and query as they came, `/` at least. */
  readonly path: string;
}

/** The target of `GET http://host/path`. @throws {TextRefusal} 400 */
export function parseAbsoluteTarget(text: string): AbsoluteTarget {
  const [, scheme = '', authority = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(text) ?? [];
  const lower = scheme.toLowerCase();
  if (lower !== 'http' && lower !== 'https') {
    throw new TextRefusal(400, 'a proxy request may only name an http:// address; for https:// use CONNECT');
  }
  if (authority.includes('@')) throw new TextRefusal(400, 'the address must not hold a user or password');
  const target = parseAuthority(authority, lower === 'http' ? 80 : 443);
  if (target === undefined) {
    throw new TextRefusal(400, 'the address names no host; expected a name or an IP address, with an optional port');
  }
  // A fragment is never sent (RFC 9110 §4.2.5); a client that sends one may read it differently than the server.
  if (rest.includes('#')) throw new TextRefusal(400, 'the address must not hold a fragment');
  return { ...target, scheme: lower, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/**
 * The host and port of an authority, such as a Host header; undefined where it is malformed.
 *
 * @param defaultPort where it names no port; undefined: it must name one
 */
function parseAuthority(text: string, defaultPort: number | undefined): ForwardTarget | undefined {
  const [, name, digits] = AUTHORITY.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (name === undefined || port === undefined || port < 1 || port > 65_535) return undefined;
  // Makes every spelling of an address (`127.1`, `0x7f000001`, `[::0:1]`) canonical, so that no spelling passes a check.
  const hostname = URL.parse(`http://${name}/`)?.hostname ?? '';
  const host = (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname).replace(/\.$/, '');
  const isName = isIP(host) !== 0 || host.split('.').every((label) => label !== '' && label.length <= 63);
  return host === '' || !isName ? undefined : { host, port };
}

/** Formats a target for a request: IPv6 in brackets, with the port unless it is the default one. */
export function formatAuthority({ host, port }: ForwardTarget, defaultPort?: number): string {
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return port === defaultPort ? name : `${name}:${port}`;
}
