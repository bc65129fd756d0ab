/**
 * The value of a `Warning` header: `110` for a stale answer, `299` for any other lasting condition (RFC 7234 §5.5; its
 * successor dropped the header, but clients still show it).
 */
export function formatWarning(code: 110 | 299, text: string): string {
  return `${code} - "${quotable(text)}"`;
}

/**
 * Text for a quoted string of a header: printable ASCII without quotes and backslashes, of a length that clients show. A
 * character that a header cannot carry becomes one `?`, which shows that something is missing.
 */
function quotable(text: string): string {
  return text
    .replace(/["\\]/g, "'")
    .replace(/[^\x20-\x7e]/gu, '?')
    .slice(0, 512);
}
