/** A host name or address, with or without a port, and nothing else. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i;

/** What may be repeated in a header or a page and pasted into a shell (RFC 9110 §7.2, without its odder names). */
export function isHostHeader(text: string): boolean {
  return HOST.test(text);
}
