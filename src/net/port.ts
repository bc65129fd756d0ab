/** The port of a URL, by default its scheme's: 443 for `https:`, else 80. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}
