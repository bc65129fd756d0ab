/**
 * The value of a `Warning` header: `110` what is served is stale, `299` anything else that lasts (RFC 7234, section 5.5; its
 * successor dropped the header, and clients show it still).
 */
export function formatWarning(code: 110 | 299, text: string): string {
  return `${code} - "${quotable(text)}"`;
}

/** Text for a quoted string of a header: printable ASCII, without what would end it, of a length clients show. */
function quotable(text: string): string {
  return text.replace(/[^\x20-\x7e]|["\\]/g, "'").slice(0, 512);
}
