import { isIP } from 'node:net';

/** Characters that make an entry a regular expression. The dot is not among them: host names are full of dots. */
const PATTERN_CHARACTERS = /[\\^$*+?()[\]{}|]/;

/** The longest name in DNS. */
const MAX_HOST_LENGTH = 253;

/** An IPv6 address as in a URL. Read as an expression, it would be a class of single letters, which matches nearly any name. */
const BRACKETED = /^\[([^\]]*)\](?::\d+)?$/;

/** Whether an entry is a regular expression rather than a name or an address. */
export function isHostPattern(entry: string): boolean {
  return PATTERN_CHARACTERS.test(entry) && isIP(BRACKETED.exec(entry)?.[1] ?? '') !== 6;
}

/**
 * The host of an entry or a request: lower case, without its port and the final dot. `Registry-1.Docker.IO.:443` is
 * `registry-1.docker.io`. An IPv6 address may be in brackets, needs them with a port, and becomes canonical: `2001:db8::1`.
 */
export function bareHost(text: string): string {
  const lower = text.trim().toLowerCase();
  const address = BRACKETED.exec(lower)?.[1] ?? lower;
  if (isIP(address) === 6) return new URL(`http://[${address.replace(/%.*$/, '')}]/`).hostname.slice(1, -1);
  return lower.replace(/\.?(?::\d+)?$/, '');
}

/**
 * Compiles a list of allowed hosts. A name must be equal. An entry with one of `\ ^ $ * + ? ( ) [ ] { } |` is a regular
 * expression that must match somewhere in the name: `^` and `$` make it match the whole name. Case never matters.
 *
 * @throws {SyntaxError} for an invalid expression
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
