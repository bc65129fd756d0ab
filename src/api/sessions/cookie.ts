import type { RequestContext } from '../../server/index.ts';

type Asked = Pick<RequestContext, 'host' | 'scheme'>;

/** Characters of a `Cookie` header that are looked at. */
const MAX_HEADER = 16_384;
const ID = /^[A-Za-z0-9_-]{43}$/;

/**
 * The name of the cookie. A browser sends cookies to every port of a host: with the port in its name, two servers of one machine do not
 * end each other’s sessions. `__Secure-` keeps what is not encrypted from setting it.
 */
function cookieName({ host, scheme }: Asked): string {
  const port = URL.parse(`${scheme}://${host ?? ''}`)?.port;
  const number = port === undefined || port === '' ? (scheme === 'https' ? '443' : '80') : port;
  return `${scheme === 'https' ? '__Secure-' : ''}entrepot-${number}`;
}

/** The id of a session that a request shows. Undefined where there are two: another site of the domain may have set one of them. */
export function readSessionId(asked: Asked, header: string | undefined): string | undefined {
  if (header === undefined || header.length > MAX_HEADER) return undefined;
  const start = `${cookieName(asked)}=`;
  const shown = header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(start))
    .map((pair) => pair.slice(start.length));
  const [id, ...others] = shown;
  return id !== undefined && others.length === 0 && ID.test(id) ? id : undefined;
}

/** The `Set-Cookie` header that begins a session; without an id the one that ends it. The browser drops it when it is closed. */
export function writeSessionId(asked: Asked, id: string | undefined): string {
  const secure = asked.scheme === 'https' ? '; Secure' : '';
  const end = id === undefined ? '; Max-Age=0' : '';
  return `${cookieName(asked)}=${id ?? ''}; Path=/api; HttpOnly; SameSite=Strict${secure}${end}`;
}
