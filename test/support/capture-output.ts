import { createOutput, type Output } from '../../src/cli/output.ts';

/** What a command has written. */
export interface Said {
  out: string;
  err: string;
}

/** An output for a command, with the escapes of the real one, and what it has written to it so far. */
export function captureOutput(): { readonly output: Output; readonly said: Said } {
  const said: Said = { out: '', err: '' };
  return {
    said,
    output: createOutput({ out: (text) => void (said.out += text), err: (text) => void (said.err += text) }),
  };
}
