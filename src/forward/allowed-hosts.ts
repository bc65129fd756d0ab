import { isIP } from 'node:net';

/** What makes an entry a regular expression. A dot does not: host names are full of them. */
const PATTERN_CHARACTERS = /[\\^$*+?()[\]{}|]/;

/** DNS knows no longer name. */
const MAX_HOST_LENGTH = 253;

/** An IPv6 address as it stands in a URL: taken for an expression, it would be one letter out of a few, found in any name. */
const BRACKETED = /^\[([^\]]*)\](?::\d+)?$/;

/** Whether an entry is a regular expression rather than a name or an address. */
export function isHostPattern(entry: string): boolean {
  return PATTERN_CHARACTERS.test(entry) && isIP(BRACKETED.exec(entry)?.[1] ?? '') !== 6;
}

/**
 * The host that an entry or a request means: lower case, without its port and the dot that ends a complete name.
 * `Registry-1.Docker.IO.:443` is `registry-1.docker.io`; an IPv6 address may be in brackets, needs them beside a port, and
 * is `2001:db8::1` however it was spelled.
 */
export function bareHost(text: string): string {
  const lower = text.trim().toLowerCase();
  const address = BRACKETED.exec(lower)?.[1] ?? lower;
  if (isIP(address) === 6) return new URL(`http://[${address.replace(/%.*$/, '')}]/`).hostname.slice(1, -1);
  return lower.replace(/\.?(?::\d+)?$/, '');
}

/**
 * Reads a list of allowed hosts: names that must be equal, and regular expressions (whatever holds one of
 * `\ ^ $ * + ? ( ) [ ] { } |`) that must be found somewhere in the name, so that one that should match it whole has to say
 * so with `^` and `$`. Case never matters.
 *
 * Throws SyntaxError for an expression that is none.
 */
export function compileAllowedHosts(entries: readonly string[]): (host: string) => boolean {
  const names = new Set(entries.filter((entry) => !isHostPattern(entry)).map(bareHost));
  const patterns = entries.filter(isHostPattern).map((entry) => new RegExp(entry, 'i'));
  return (host) => {
    const bare = bareHost(host);
    if (bare === '' || bare.length > MAX_HOST_LENGTH) return false;
    return names.has(bare) || patterns.some((pattern) => pattern.test(bare));
  };
}
