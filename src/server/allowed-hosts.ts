/** What makes an entry a regular expression. A dot does not: host names are full of them. */
const PATTERN_CHARACTERS = /[\\^$*+?()[\]{}|]/;

/** DNS knows no longer name. */
const MAX_HOST_LENGTH = 253;

/** Whether an entry is a regular expression rather than a name. */
export function isHostPattern(entry: string): boolean {
  return PATTERN_CHARACTERS.test(entry);
}

/**
 * The host that an entry or a request means: lower case, without its port and the dot that ends a complete name.
 * `Registry-1.Docker.IO.:443` is `registry-1.docker.io`; an IPv6 address may be in brackets, and needs them beside a port.
 */
export function bareHost(text: string): string {
  const lower = text.trim().toLowerCase();
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(lower);
  if (bracketed?.[1] !== undefined) return bracketed[1];
  // Two colons and no brackets: an IPv6 address, whose last group is no port.
  const withoutPort = lower.indexOf(':') === lower.lastIndexOf(':') ? lower.replace(/:\d+$/, '') : lower;
  return withoutPort.replace(/\.$/, '');
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
