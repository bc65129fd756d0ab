/**
 * Decodes a header value that was read as latin1, HTTP's encoding. Many sites send non-ASCII names as raw UTF-8, above all in
 * `Location`; a value that is not valid UTF-8 is returned unchanged.
 */
export function decodeHeaderText(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? value : text;
}

/**
 * Removes the white space that HTTP allows around a value or an element of a list: space and tab (RFC 9110 §5.6.3). `trim()`
 * takes more characters, among them the no-break space, which other parsers keep.
 */
export function trimHeaderText(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isWhiteSpace(value.charCodeAt(start))) start += 1;
  while (end > start && isWhiteSpace(value.charCodeAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
