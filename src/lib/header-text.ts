/**
 * Decodes a header value that was read as latin1, HTTP's encoding. Many sites send non-ASCII names as raw UTF-8, above all in
 * `Location`; a value that is not valid UTF-8 is returned unchanged.
 */
export function decodeHeaderText(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? value : text;
}
