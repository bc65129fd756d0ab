/** The port of a URL, by default its scheme's. */
export function portOf(url: URL): number {
  return url.port === '' ? defaultPort(url.protocol) : Number(url.port);
}

/** 443 for `https:`, 80 otherwise. */
export function defaultPort(protocol: string): number {
  return protocol === 'https:' ? 443 : 80;
}
