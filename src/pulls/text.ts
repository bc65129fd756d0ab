/** Characters that are kept of what clients and upstreams write. */
export const MOST = {
  client: 64,
  user: 256,
  userAgent: 200,
  name: 300,
  reference: 256,
  url: 500,
  error: 300,
  id: 64,
} as const;

/**
 * A copy of at most so many characters. A part of a string keeps all of that string in memory, and the name of a repository is a
 * part of a URL.
 */
export function kept(text: string, most: number): string {
  const part = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  return Buffer.from(part, 'utf8').toString('utf8');
}

/** As {@link kept}; undefined where there is nothing. */
export function keptOf(text: string | undefined, most: number): string | undefined {
  return text === undefined || text === '' ? undefined : kept(text, most);
}
