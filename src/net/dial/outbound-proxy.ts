import { isIP } from 'node:net';
import { HttpError } from '../http-types.ts';
import { portOf } from '../port.ts';
import { isInBlock, plainHost } from './address-policy.ts';

/**
 * Which outbound proxy a request goes through, if any. Everything here is pure.
 *
 * The rules of `no_proxy` are Go's (golang.org/x/net/http/httpproxy): container engines on the same machine read the same
 * variables by them.
 */

type Environment = Readonly<Record<string, string | undefined>>;

const SCHEMES = new Set(['http:', 'https:', 'socks5:', 'socks5h:']);

/**
 * Parses the address of an outbound proxy: `http://`, `https://`, `socks5://` or `socks5h://`, with user and password if
 * needed; the default scheme is `http://`. Undefined for any other address.
 */
export function parseOutboundProxy(text: string): URL | undefined {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null || !SCHEMES.has(url.protocol) || url.hostname === '') return undefined;
  return url;
}

/** Scheme, host and port of an outbound proxy, without its credentials. */
export function shownOutboundProxy(proxy: URL): string {
  return `${proxy.protocol}//${proxy.hostname}:${outboundProxyPort(proxy)}`;
}

export function outboundProxyPort(proxy: URL): number {
  return proxy.port === '' && proxy.protocol.startsWith('socks5') ? 1080 : portOf(proxy);
}

/**
 * The outbound proxy from the environment for a URL: `http_proxy` or `https_proxy` by its scheme, else `all_proxy`, unless
 * `no_proxy` excepts it. Lower case takes precedence over upper case. Loopback never goes through a proxy.
 *
 * Throws HttpError `refused` where the variable holds no usable address.
 */
export function outboundProxyFor(url: URL, env: Environment): URL | undefined {
  const own = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const [name, value] = [own, 'all_proxy'].map((each) => variable(each, env)).find((each) => each !== undefined) ?? [];
  if (name === undefined || value === undefined) return undefined;
  if (isExcepted(url, variable('no_proxy', env)?.[1] ?? '')) return undefined;
  const proxy = parseOutboundProxy(value);
  if (proxy !== undefined) return proxy;
  // The value is not shown: it may hold a malformed password.
  const message = `${url.hostname} cannot be reached: the environment variable ${name} holds no address of an outbound proxy such as http://proxy.example.com:3128`;
  throw new HttpError('refused', message);
}

/** The variable in lower or upper case, with the spelling found; an empty one counts as unset. */
function variable(name: string, env: Environment): readonly [name: string, value: string] | undefined {
  const upper = name.toUpperCase();
  for (const each of [name, upper]) {
    // In a CGI program it holds a client's `Proxy:` header (httpoxy, CVE-2016-5385).
    if (each === 'HTTP_PROXY' && env['REQUEST_METHOD'] !== undefined) continue;
    const value = env[each]?.trim();
    if (value !== undefined && value !== '') return [each, value];
  }
  return undefined;
}

/** Whether `no_proxy` (entries separated by commas) matches a URL, or the URL leads to this machine. */
function isExcepted(url: URL, noProxy: string): boolean {
  const host = plainHost(url.hostname);
  const port = portOf(url);
  if (host === 'localhost' || isLoopback(host)) return true;
  return noProxy
    .split(',')
    .map((each) => each.trim().toLowerCase())
    .some((entry) => entry !== '' && entryMatches(entry, { host, port }));
}

/**
 * `*` matches every host, `10.0.0.0/8` the addresses of a block, `10.1.2.3` an address, `example.com` a domain and its
 * subdomains, `.example.com` (or `*.example.com`) only the subdomains. A port in an entry must equal the URL's.
 */
function entryMatches(entry: string, { host, port }: { readonly host: string; readonly port: number }): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isIP(host) !== 0 && isInBlock(entry, host);
  const [, name = entry, entryPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
  if (entryPort !== undefined && Number(entryPort) !== port) return false;
  const plain = plainHost(name);
  if (isIP(plain) !== 0) return isIP(host) !== 0 && isInBlock(plain, host);
  const domain = plain.startsWith('*.') ? plain.slice(1) : plain;
  if (domain.startsWith('.')) return domain !== '.' && host.endsWith(domain);
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

function isLoopback(host: string): boolean {
  return isIP(host) !== 0 && (isInBlock('127.0.0.0/8', host) || isInBlock('::1', host));
}
