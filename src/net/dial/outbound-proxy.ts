import { isIP } from 'node:net';
import { HttpError } from '../http-types.ts';
import { portOf } from '../port.ts';
import { isInBlock, plainHost } from './address-policy.ts';

/**
 * Which outbound proxy a request goes through, if any. Everything here is pure.
 *
 * The rules of `no_proxy` are Go's (golang.org/x/net/http/httpproxy), as the engines and tools beside this server read the
 * same variables by them.
 */

/** The outbound proxy for a URL, or undefined to go straight. Throws HttpError `refused` where a setting is unusable. */
export type OutboundProxyChoice = (target: URL) => URL | undefined;

type Environment = Readonly<Record<string, string | undefined>>;

const SCHEMES = new Set(['http:', 'https:', 'socks5:', 'socks5h:']);
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'socks5:': 1080,
  'socks5h:': 1080,
};

/**
 * Reads the address of an outbound proxy: `http://`, `https://`, `socks5://` or `socks5h://`, with user and password where
 * it wants them; without a scheme it is `http://`. Undefined where it is none of these.
 */
export function parseOutboundProxy(text: string): URL | undefined {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null || !SCHEMES.has(url.protocol) || url.hostname === '') return undefined;
  return url;
}

/** Scheme, host and port of an outbound proxy: never its credentials. */
export function shownOutboundProxy(proxy: URL): string {
  return `${proxy.protocol}//${proxy.hostname}:${outboundProxyPort(proxy)}`;
}

export function outboundProxyPort({ protocol, port }: URL): number {
  return port === '' ? (DEFAULT_PORTS[protocol] ?? 80) : Number(port);
}

/**
 * The outbound proxy that the environment names for a URL: `http_proxy` or `https_proxy` by its scheme, else `all_proxy`,
 * unless `no_proxy` excepts it. Lower case goes before upper case; loopback is never asked for elsewhere.
 */
export function outboundProxyFor(url: URL, env: Environment): URL | undefined {
  const own = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const [name, value] = [own, 'all_proxy'].map((each) => variable(each, env)).find((each) => each !== undefined) ?? [];
  if (name === undefined || value === undefined) return undefined;
  if (isExcepted(url, variable('no_proxy', env)?.[1] ?? '')) return undefined;
  const proxy = parseOutboundProxy(value);
  if (proxy !== undefined) return proxy;
  // Not shown: what is wrong with it may be how its password is written.
  const message = `${url.hostname} cannot be asked: ${name} of the environment holds no address of an outbound proxy such as http://proxy.example.com:3128`;
  throw new HttpError('refused', message);
}

/** The variable in either case, with the spelling that was found; an empty one is none. */
function variable(name: string, env: Environment): readonly [name: string, value: string] | undefined {
  const upper = name.toUpperCase();
  for (const each of [name, upper]) {
    // A CGI program finds a client's `Proxy:` header there (httpoxy, CVE-2016-5385).
    if (each === 'HTTP_PROXY' && env['REQUEST_METHOD'] !== undefined) continue;
    const value = env[each]?.trim();
    if (value !== undefined && value !== '') return [each, value];
  }
  return undefined;
}

/** Whether `no_proxy` (entries separated by commas) holds a URL, or it leads to this machine. */
function isExcepted(url: URL, noProxy: string): boolean {
  const host = plainHost(url.hostname);
  const port = portOf(url);
  if (host === 'localhost' || isLoopback(host)) return true;
  return noProxy
    .split(',')
    .map((each) => each.trim().toLowerCase())
    .some((entry) => entry !== '' && entryHolds(entry, { host, port }));
}

/**
 * `*` holds everything, `10.0.0.0/8` the addresses of a block, `10.1.2.3` an address, `example.com` a name and those below
 * it, `.example.com` (or `*.example.com`) only those below it. A port behind an entry must be that of the URL.
 */
function entryHolds(entry: string, { host, port }: { readonly host: string; readonly port: number }): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isIP(host) !== 0 && isInBlock(entry, host);
  const [, name = entry, entryPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
  if (entryPort !== undefined && Number(entryPort) !== port) return false;
  const plain = plainHost(name);
  if (isIP(plain) !== 0) return isIP(host) !== 0 && isInBlock(`${plain}/${isIP(plain) === 4 ? 32 : 128}`, host);
  const domain = plain.startsWith('*.') ? plain.slice(1) : plain;
  if (domain.startsWith('.')) return domain !== '.' && host.endsWith(domain);
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

function isLoopback(host: string): boolean {
  return isIP(host) !== 0 && (isInBlock('127.0.0.0/8', host) || isInBlock('::1/128', host));
}
