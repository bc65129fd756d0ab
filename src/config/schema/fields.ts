import { isIP } from 'node:net';
import * as z from 'zod';
import { compileGlob } from '../../lib/index.ts';
import { parseDuration } from './duration.ts';
import { isHostName, type ListenAddress, parseListenAddress } from './listen-address.ts';
import { type OptionMeta, optionMeta } from './meta.ts';
import { options } from './options.ts';
import { parseSize, parseUnitSize } from './size.ts';

/** The longest delay of a timer in Node: 2³¹−1 ms, almost 25 days. Longer ones fire at once. */
const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;

/**
 * A value written as text (or number), read by a function that returns undefined for an invalid value.
 *
 * Messages are made of `expected` in the metadata, so the issue itself has no message.
 */
function read<I extends z.ZodType, O>(input: I, parse: (value: z.output<I>) => O | undefined, mark: OptionMeta) {
  const schema = input.transform((value, context): O => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.issues.push({ code: 'custom', input: value, message: '' });
    return z.NEVER;
  });
  optionMeta.add(schema, mark);
  return schema;
}

const textOrNumber = z.union([z.string(), z.number()]);

/** A text that is read by a function, as in {@link read}. */
export function fromText<O>(parse: (text: string) => O | undefined, mark: OptionMeta) {
  return read(z.string(), parse, mark);
}

/** A text that matches an expression. */
export function matching(expression: RegExp, mark: OptionMeta) {
  return z.string().regex(expression).register(optionMeta, mark);
}

/** Milliseconds; 0 means at once. */
export const duration = read(textOrNumber, parseDuration, {
  type: 'duration',
  expected: 'a length of time with its unit, such as 500ms, 30s, 10m or 1h30m',
});

/** Milliseconds after which a wait is abandoned; never 0, since every wait has a deadline. */
export const deadline = read(textOrNumber, (value) => timer(value, 1), {
  type: 'duration',
  expected: 'a length of time above 0 and below 24d with its unit, such as 500ms, 30s or 10m',
});

/** Milliseconds after which an operation is cut; 0 is no limit. */
export const hardLimit = read(textOrNumber, (value) => timer(value, 0), {
  type: 'duration',
  expected: 'a length of time below 24d with its unit, such as 30s or 10m, or 0',
});

function timer(value: string | number, least: number): number | undefined {
  const milliseconds = parseDuration(value);
  if (milliseconds === undefined || milliseconds < least || milliseconds > MAX_TIMER_MILLISECONDS) return undefined;
  return milliseconds;
}

/** Bytes. @param bare a small number without a unit is valid */
export function size({ least = 0, most = Number.MAX_SAFE_INTEGER, bare = false } = {}) {
  const parse = (value: string | number) => {
    const bytes = bare ? parseSize(value) : parseUnitSize(value);
    return bytes !== undefined && bytes >= least && bytes <= most ? bytes : undefined;
  };
  const atLeast = least > 0 ? ` from ${least}` : '';
  const bounds = most < Number.MAX_SAFE_INTEGER ? ` from ${least} to ${most}` : atLeast;
  return read(textOrNumber, parse, {
    type: 'size',
    expected: `an amount of bytes${bounds}: ${bare ? 'a number, or one with its unit, such as 16KiB' : 'a number with its unit, such as 50GB or 512MiB'}`,
  });
}

/** Bytes, or a share of the whole from 0 to 1. */
export const freeSpace = read(
  textOrNumber,
  (value): number | { readonly share: number } | undefined => {
    const percent = typeof value === 'string' ? /^(\d{1,2}(?:\.\d{1,3})?) ?%$/.exec(value.trim()) : null;
    return percent === null ? parseUnitSize(value) : { share: Number(percent[1]) / 100 };
  },
  {
    type: 'size or share',
    expected: 'an amount of bytes such as 5GB, or a share of the disk below 100% such as 5%',
  },
);

export function count({ least, most }: { readonly least: number; readonly most: number }) {
  return z
    .int()
    .min(least)
    .max(most)
    .register(optionMeta, { type: 'number', expected: `a whole number from ${least} to ${most}` });
}

export const flag = z.boolean().register(optionMeta, { type: 'boolean', expected: 'true or false' });

export function choice<const T extends readonly [string, ...string[]]>(...values: T) {
  const words = values.map((value) => `\`${value}\``).join(' or ');
  return z.enum(values).register(optionMeta, { type: words, expected: values.join(' or ') });
}

export const listenAddress = read(textOrNumber, (value): ListenAddress | undefined => parseListenAddress(value), {
  type: 'address',
  expected: 'an address such as 127.0.0.1:5000, [::1]:5000, :5000 (every address) or unix:/run/entrepot.sock',
});

/** A path; absolute once the configuration is loaded. */
export function filePath(what: string) {
  return (
    z
      .string()
      .min(1)
      // Elsewhere a path of Windows would be a strange name in the working directory, and so would ~, which a shell expands.
      .refine((path) => !path.includes('\0') && !/^(?:[A-Za-z]:[\\/]|~(?:\/|$))/.test(path))
      .register(optionMeta, { type: 'path', expected: `the path of ${what}`, path: true })
  );
}

/** `http(s)://host[:port][/prefix]`, kept without a trailing slash. */
export const registryUrl = fromText(parseHttpUrl, {
  type: 'URL',
  expected: 'an http:// or https:// address without a query or a password in it, e.g. https://ghcr.io',
});

/** As {@link registryUrl}; a host alone means https. */
export const siteUrl = fromText(
  (text) => parseHttpUrl(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`),
  {
    type: 'URL or host',
    expected: 'an http:// or https:// address, or a host, without a query or a password in it, e.g. https://github.com',
  },
);

/** One or more whole segments of a path, kept without a trailing slash. */
export const mirrorPrefix = fromText(
  (text): string | undefined => {
    const prefix = text.replace(/\/$/, '');
    const isPath = prefix.length <= 256 && /^(?:\/[A-Za-z0-9_~][A-Za-z0-9._~-]*)+$/.test(prefix);
    return isPath ? prefix : undefined;
  },
  {
    type: 'path',
    expected: 'a path of letters, digits and ._~- that begins with a slash, such as /github; not / itself',
  },
);

/** A path behind a mirror's prefix; `*` within one segment, `**` across. */
export const mirrorPattern = matching(/^\/[\x21-\x7e]*$/, {
  type: 'pattern',
  expected: 'a pattern of paths that begins with a slash, such as /*/*/releases/download/**',
});

/** `http(s)://host[:port]`: clients can only find `/v2/` at the root of a host. */
const originUrl = fromText(
  (text) => {
    const url = parseHttpUrl(text);
    return url !== undefined && new URL(url).pathname === '/' ? url : undefined;
  },
  {
    type: 'URL',
    expected: 'an http:// or https:// address without a path, e.g. https://mirror.example.com',
  },
);

/** One or several, always as a list. */
export const originUrls = z
  .union([originUrl.transform((only) => [only]), z.array(originUrl).max(100)])
  .register(optionMeta, {
    type: 'URL or list',
    expected: 'an http:// or https:// address without a path, e.g. https://mirror.example.com, or a list of such',
  });

/** The address of a collector, kept with the path that OTLP has for traces (OTLP/HTTP Request). */
export const traceEndpoint = fromText(
  (text) => {
    const url = parseHttpUrl(text);
    return url === undefined || url.endsWith('/v1/traces') ? url : `${url}/v1/traces`;
  },
  {
    type: 'URL',
    expected: 'an http:// or https:// address without a query or a password in it, e.g. http://127.0.0.1:4318',
  },
);

function parseHttpUrl(text: string): string | undefined {
  if (!/^https?:\/\/[^/]/i.test(text) || /[\s\\]/.test(text)) return undefined;
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || text.includes('?') || text.includes('#')) {
    return undefined;
  }
  return url.href.replace(/\/+$/, '');
}

/** Where events are sent. It may have a query, which is masked wherever it is shown. */
export const receiverUrl = fromText(
  (text) => {
    const url = /^https?:\/\/[^/]/i.test(text) && !/[\s\\]/.test(text) ? URL.parse(text) : null;
    const isPlain = url !== null && url.hostname !== '' && url.username === '' && url.password === '';
    return isPlain && !text.includes('#') && url.href.length <= 2000 ? url.href : undefined;
  },
  {
    type: 'URL of a receiver',
    expected: 'an http:// or https:// address without a user or password in it, e.g. https://ci.example.com/hooks',
  },
);

/** A name (`docker.io`, `apps`) or the URL of a registry. */
export const registryNameOrUrl = fromText((text) => (text.includes('://') ? parseHttpUrl(text) : registryName(text)), {
  type: 'name or URL',
  expected: 'the name of a registry such as docker.io or apps, or its URL such as https://registry-1.docker.io',
});

/** A file or a URL; a path is absolute once the configuration is loaded. */
export function fileOrUrl(what: string) {
  const parse = (text: string) => {
    if (text.includes('://')) return parseMapUrl(text);
    return text === '' || text.includes('\0') || /^~(?:\/|$)/.test(text) ? undefined : text;
  };
  return fromText(parse, {
    type: 'path or URL',
    expected: `the path or the http(s):// address of ${what}`,
    path: true,
  });
}

/** Unlike a registry's URL, that of a file may have a query. */
function parseMapUrl(text: string): string | undefined {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  return url !== null && url.username === '' && url.password === '' ? url.href : undefined;
}

export const domainName = fromText(
  (text) => {
    const name = text.replace(/^\./, '').replace(/\.$/, '').toLowerCase();
    return isHostName(name) ? name : undefined;
  },
  {
    type: 'host name',
    expected: 'a domain name without scheme or port, such as mirror.example.com',
  },
);

/** Lower-cases the name of a registry: a host with an optional port, or one word. */
export function registryName(text: string): string | undefined {
  const name = text.toLowerCase();
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(name);
  if (match === null || Number(match[2] ?? 0) > 65_535) return undefined;
  const host = match[1] ?? '';
  return host.startsWith('[') || isHostName(host) ? name : undefined;
}

/** A short name, valid in a host name and as a path component. */
export const aliasName = fromText((text) => (isHostName(text) ? text.toLowerCase() : undefined), {
  type: 'name',
  expected: 'a short name of letters, digits and dashes, such as apps',
});

/** A host, or `*.suffix`. */
export const hostPattern = fromText(
  (text) => {
    const host = text.toLowerCase();
    return registryName(host.replace(/^\*\./, '')) === undefined ? undefined : host;
  },
  {
    type: 'host',
    expected: 'a host name such as cdn.example.com, or *.example.com for all below it',
  },
);

/** As {@link hostPattern}; a host with `http://` before it is asked unencrypted, and `https://` says nothing new. */
export const tokenRealm = fromText(
  (text) => {
    const [, scheme = '', host = ''] = /^(http:\/\/|https:\/\/)?(.*?)\/?$/s.exec(text.toLowerCase()) ?? [];
    if (registryName(scheme === 'http://' ? host : host.replace(/^\*\./, '')) === undefined) return undefined;
    return scheme === 'http://' ? `${scheme}${host}` : host;
  },
  {
    type: 'host or URL',
    expected:
      'a host name such as auth.example.com, *.example.com for all below it, or http://auth.example.com for a host that is asked unencrypted',
  },
);

/** Characters that make an entry a regular expression. */
const PATTERN_CHARACTERS = /[\\^$*+?()[\]{}|]/;

/** A host (port and final dot are ignored), or a regular expression that matches anywhere in a host. */
export const hostOrExpression = fromText(
  (text) => {
    if (text.length > 1000) return undefined;
    // As an expression, brackets would match a single letter in any name.
    const bracketed = /^\[([^\]]*:[^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1];
    if (bracketed !== undefined) return isIP(bracketed) === 6 ? text.toLowerCase() : undefined;
    if (PATTERN_CHARACTERS.test(text)) return compiles(text) ? text : undefined;
    const name = text.replace(/\.?(?::\d{1,5})?$/, '');
    return isIP(text) !== 0 || isHostName(name) ? text.toLowerCase() : undefined;
  },
  {
    type: 'host or expression',
    expected: 'a host name such as ghcr.io, or a regular expression such as ^cdn[0-9]+\\.quay\\.io$',
  },
);

function compiles(expression: string): boolean {
  try {
    return new RegExp(expression, 'i') instanceof RegExp;
  } catch {
    return false;
  }
}

/** A user name: the part before the colon in Basic credentials (RFC 7617). */
export const userName = matching(/^[ -9;-~\u00a0-\u{10ffff}]{1,256}$/u, {
  type: 'name',
  expected: 'a user name without a colon in it',
  user: true,
});

/** Whether the text is an IP address without a zone, or a CIDR block of them. */
function isAddressOrBlock(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  const family = address.includes('%') ? 0 : isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** A host, an address or a CIDR block. */
export const addressRange = fromText(
  (text) => {
    const bare = text.replace(/^\[(.*)\]$/, '$1');
    const isName = isHostName(text.replace(/\.$/, '')) && !/(?:^|\.)\d+$/.test(text);
    return isName || isAddressOrBlock(bare) ? bare.toLowerCase() : undefined;
  },
  {
    type: 'host or range',
    expected: 'a host name, an address or a block of addresses, such as 10.0.0.0/8 or fd00::/8',
  },
);

/** An address or CIDR block of a reverse proxy, or `unix` for one on a Unix socket. */
export const proxyAddress = fromText(
  (text) => {
    return text === 'unix' || isAddressOrBlock(text) ? text.toLowerCase() : undefined;
  },
  {
    type: 'address or block',
    expected: 'an IP address, a block of them such as 10.0.0.0/8, or unix',
  },
);

/** An IP address. */
export const ipAddress = fromText((text) => (isIP(text) === 0 ? undefined : text), {
  type: 'address',
  expected: 'an IP address such as 8.8.8.8 or 2001:4860:4860::8888',
});

/** A name server over HTTPS or TLS. */
export const dnsServer = fromText(
  (text) => {
    const url = /^(?:https|tls):\/\/[^/]/i.test(text) && !/[\s\\]/.test(text) ? URL.parse(text) : null;
    if (url === null || url.hostname === '' || url.username !== '' || url.password !== '') return undefined;
    // The name in the certificate follows `#`; for HTTPS it is the host.
    if (url.protocol === 'tls:') return /^\/?$/.test(url.pathname) && url.search === '' ? text : undefined;
    // Without a path nearly every server answers a web page, and all names would be left to the fallback.
    return url.hash === '' && /^https:\/\/[^/]+\//i.test(text) ? text : undefined;
  },
  {
    type: 'URL',
    expected:
      'https://host/path for DNS over HTTPS, or tls://host[:port][#name] for DNS over TLS, such as tls://1.1.1.1:853#cloudflare-dns.com',
  },
);

/** `environment`, `none`, or an address with its scheme, which may hold a user and password. */
export const outboundProxy = fromText(
  (text) => {
    if (text === 'environment' || text === 'none') return text;
    const url = /^(?:https?|socks5h?):\/\/[^/]/i.test(text) && !/[\s\\]/.test(text) ? URL.parse(text) : null;
    if (url === null || url.hostname === '' || !/^\/?$/.test(url.pathname) || url.search + url.hash !== '')
      return undefined;
    return text;
  },
  {
    type: 'URL or word',
    expected: 'environment, none, or an http://, https:// or socks5:// address such as http://proxy.example.com:3128',
  },
);

/** The first components of a repository's name (distribution-spec, Pull). */
export const repositoryPrefix = z
  .string()
  .max(200)
  .regex(/^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/)
  .register(optionMeta, {
    type: 'text',
    expected: 'lower-case components without a slash at either end, such as dockerhub or team/proxy',
  });

/** A pattern of names: see compileGlob. */
export function pattern(example: string) {
  const parse = (text: string) => {
    if (text === '' || text.length > 300) return undefined;
    compileGlob(text);
    return text;
  };
  return fromText(parse, { type: 'pattern', expected: `a pattern such as ${example}` });
}

/** A pattern of host names, each with an optional port. */
export function hostGlob(example: string) {
  const parse = (text: string) => {
    if (text === '' || text.length > 300 || /[/@\s]/.test(text)) return undefined;
    compileGlob(text);
    return text;
  };
  return fromText(parse, {
    type: 'pattern',
    expected: `a pattern of host names, without scheme and path, such as ${example}`,
  });
}

/** A name of the operator's own, shown in logs and metrics. */
export const label = matching(/^[A-Za-z0-9._:/-]{1,100}$/, {
  type: 'name',
  expected: 'a short name of letters, digits, dots and dashes',
});

const literalSecret = z
  .string()
  // Neither empty nor white space alone.
  .regex(/\S/)
  .register(optionMeta, { type: 'secret', expected: 'a text, {env: NAME} or {file: PATH}', secret: true });
const environmentName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
  .register(optionMeta, { type: 'name', expected: 'the name of an environment variable, such as HOT_PASSWORD' })
  .describe('Name of the environment variable that holds it.');

/** A secret, or its source. */
export const secret = z
  .union([
    literalSecret,
    options({ env: environmentName }),
    options({ file: filePath('a file that holds the secret').describe('Path of the file that holds it.') }),
  ])
  .register(optionMeta, {
    type: 'secret',
    expected: 'a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
  });

/** The value of a request header (RFC 9110 §5.5); it may be a credential. */
export const headerValue = z
  .string()
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/)
  .max(8192)
  .register(optionMeta, {
    type: 'text',
    expected: 'a text on one line (in quotes where it looks like a number)',
    secret: true,
  });

/** As {@link headerValue}, or where it is kept. */
export const secretHeaderValue = z
  .union([
    headerValue,
    options({ env: environmentName }),
    options({ file: filePath('a file that holds the value').describe('Path of the file that holds it.') }),
  ])
  .register(optionMeta, {
    type: 'secret',
    expected: 'a text on one line (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
  });

/** The name of a request header (RFC 9110 §5.1). */
export const headerName = matching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/, {
  type: 'name',
  expected: 'the name of a header such as User-Agent',
});

/** The name of a registry as a key: see {@link registryName}. */
export const registryKey = z
  .string()
  .refine((name) => registryName(name) === name)
  .register(optionMeta, {
    type: 'name',
    expected: 'a registry name in lower case: a host such as ghcr.io or localhost:5001, or a word such as apps',
  });

export const ruleAction = choice('pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy');
