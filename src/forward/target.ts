import { isIP } from 'node:net';
import type { ForwardTarget } from '../server/index.ts';

/** Why a target is no target: 400, with this as the text. */
export class ForwardTargetError extends Error {
  override readonly name = 'ForwardTargetError';
}

/** A host as it may stand in a request: no user, no percent sign, nothing a second parser could read differently. */
const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253}\.?)(?::(\d{1,5}))?$/i;

/** The target of CONNECT: `host:port` and nothing else (RFC 9112 §3.2.3). @throws {ForwardTargetError} */
export function parseConnectTarget(text: string): ForwardTarget {
  const target = parseAuthority(text, undefined);
  if (target === undefined) throw new ForwardTargetError('CONNECT takes HOST:PORT, with a port from 1 to 65535');
  return target;
}

/** A request in absolute form: whom it is for, and what is to be asked there. */
export interface AbsoluteTarget extends ForwardTarget {
  readonly scheme: 'http' | 'https';
  /** Path and query as they came, `/` at least. */
  readonly path: string;
}

/** The target of `GET http://host/path`. @throws {ForwardTargetError} */
export function parseAbsoluteTarget(text: string): AbsoluteTarget {
  const [, scheme = '', authority = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(text) ?? [];
  const lower = scheme.toLowerCase();
  if (lower !== 'http' && lower !== 'https') {
    throw new ForwardTargetError('only http:// can be asked for in this way; for https:// there is CONNECT');
  }
  if (authority.includes('@')) throw new ForwardTargetError('an address to be asked for has no user or password in it');
  const target = parseAuthority(authority, lower === 'http' ? 80 : 443);
  if (target === undefined) {
    throw new ForwardTargetError('the address names no host; expected a name or an IP address, and a port if need be');
  }
  // A fragment is never sent (RFC 9110 §4.2.5); who sends one may mean something else by it than the server does.
  if (rest.includes('#')) throw new ForwardTargetError('an address to be asked for has no fragment in it');
  return { ...target, scheme: lower, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/**
 * The host and port of an authority (a Host header for one); undefined where it is none.
 *
 * @param defaultPort where it names none; undefined: it must
 */
export function parseAuthority(text: string, defaultPort: number | undefined): ForwardTarget | undefined {
  const [, name, digits] = AUTHORITY.exec(text) ?? [];
  const port = digits === undefined ? defaultPort : Number(digits);
  if (name === undefined || port === undefined || port < 1 || port > 65_535) return undefined;
  // Brings every spelling of an address (`127.1`, `0x7f000001`, `[::0:1]`) to one, so that it is judged as what it is.
  const hostname = URL.parse(`http://${name}/`)?.hostname ?? '';
  const host = (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname).replace(/\.$/, '');
  const isName = isIP(host) !== 0 || host.split('.').every((label) => label !== '' && label.length <= 63);
  return host === '' || !isName ? undefined : { host, port };
}

/** As it stands in a request: IPv6 in brackets, and the port unless it is the one that goes without saying. */
export function formatAuthority({ host, port }: ForwardTarget, defaultPort?: number): string {
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return port === defaultPort ? name : `${name}:${port}`;
}
