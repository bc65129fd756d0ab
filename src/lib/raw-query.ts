/** What cannot stand in a request line or between `<` and `>`, or would end the query. */
const UNSENDABLE = /[^\x21-\x7e]|[<>"#]/gu;

/** Percent-encodes what cannot be sent, once; every other character stays as it was written. */
export function sendableQuery(query: string): string {
  return query.toWellFormed().replace(UNSENDABLE, encoded);
}

/**
 * A raw query (without `?`) with only the parameters whose name, decoded, is kept. The others stay byte for byte and in order:
 * a server may have signed them, and a token of its own need not be in any encoding.
 */
export function filterQuery(query: string, isKept: (name: string, pair: string) => boolean): string {
  return query
    .split('&')
    .filter((pair) => pair !== '' && isKept(nameOf(pair), pair))
    .join('&');
}

/** The parameters of a raw query, in pieces as they were written. */
export function countParameters(query: string): number {
  return query.split('&').filter((pair) => pair !== '').length;
}

function nameOf(pair: string): string {
  const [name = ''] = new URLSearchParams(pair).keys();
  return name;
}

/** A character that HTTP read as one byte (latin1) is that byte. */
function encoded(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code > 0xff) return encodeURIComponent(character);
  return `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
}
