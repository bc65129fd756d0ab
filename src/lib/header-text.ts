/**
 * The text of a header's value whose bytes were taken for latin1, as HTTP has it. Many sites write names that are not ASCII as
 * bare UTF-8, `Location` above all; what is no UTF-8 stays what it was.
 */
export function decodeHeaderText(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? value : text;
}
