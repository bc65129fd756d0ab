/** More than a password has: a file that was piped by mistake. */
const MAX_BYTES = 4096;

/** The password on standard input, or what is wrong with it. */
export async function readPipedPassword(
  stdin: AsyncIterable<Buffer | string>,
): Promise<{ readonly password: string } | { readonly fault: string }> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of stdin) {
    const bytes = Buffer.from(piece as Buffer);
    size += bytes.length;
    if (size > MAX_BYTES) return { fault: `standard input has more than ${MAX_BYTES} bytes, expected a password` };
    pieces.push(bytes);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    return { fault: 'standard input is not UTF-8, as clients send passwords' };
  }
  // `echo` and files end with a newline, which is none of the password.
  const password = text.replace(/\r?\n$/, '');
  return password === '' ? { fault: 'standard input is empty, expected a password' } : { password };
}
