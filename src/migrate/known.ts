import { KNOWN_REGISTRIES } from '../routing/index.ts';

/** The name and the URL of a registry. */
export interface RegistryPlace {
  readonly name: string;
  readonly url: string;
  readonly isKnown: boolean;
}

const BY_HOST = new Map(
  KNOWN_REGISTRIES.flatMap(({ name, hosts, url }) =>
    [name, ...hosts].map((host) => [host, { name, url, isKnown: true }] as const),
  ),
);

/** The registry with a host: `registry-1.docker.io` is docker.io. */
export function registryAt(host: string): RegistryPlace {
  const name = host.toLowerCase();
  return BY_HOST.get(name) ?? { name, url: `https://${name}`, isKnown: false };
}

/** The known registry that a host belongs to by its token service. */
export function registryOfTokens(host: string): string | undefined {
  return KNOWN_REGISTRIES.find(({ tokenRealms }) => tokenRealms.includes(host))?.name;
}

/** Whether a known registry has a short name of its own. */
export function hasAlias(registry: string, alias: string): boolean {
  return KNOWN_REGISTRIES.some(({ name, aliases }) => name === registry && aliases.includes(alias));
}

/** The known registry with a short name: `ghcr` is ghcr.io. */
export function registryByAlias(alias: string): string | undefined {
  return KNOWN_REGISTRIES.find(({ aliases }) => aliases.includes(alias))?.name;
}

/** A URL of an upstream as the configuration takes it. */
export interface ReadUrl {
  /** Without a trailing slash, without `/v2`, without user and password. */
  readonly url: string;
  readonly host: string;
  readonly path: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Reads the address of a registry. A host alone means https. @returns undefined for what is no such address */
export function readUrl(text: string): ReadUrl | undefined {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  const url = /^https?:\/\/[^/]/i.test(whole) && !/[\s\\]/.test(whole) ? URL.parse(whole) : null;
  if (url === null || url.search !== '' || url.hash !== '') return undefined;
  const path = url.pathname.replace(/\/+$/, '').replace(/\/v2$/, '');
  const isSecretReadable = [url.username, url.password].every((part) => !/%(?![0-9a-f]{2})/i.test(part));
  if (!isSecretReadable) return undefined;
  return {
    url: `${url.protocol}//${url.host}${path}`,
    host: url.host,
    path,
    username: decoded(url.username),
    password: decoded(url.password),
  };
}

function decoded(text: string): string | undefined {
  try {
    return text === '' ? undefined : decodeURIComponent(text);
  } catch {
    return text;
  }
}
