/** Where a command writes: what was asked for to `out`, everything else to `err`. Texts end with a newline. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

export const processOutput: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};
