import { EXIT } from './exit-code.ts';

/** Where a command writes: what was asked for to `out`, everything else to `err`. Texts end with a newline. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

export const processOutput: Output = {
  out: (text) => void process.stdout.write(text, (error) => notice(error)),
  err: (text) => void process.stderr.write(text),
};

/**
 * `entrepot config default > entrepot.yaml` on a full disk must not look as if it had worked. A reader that has seen enough
 * (`| head -1`) is no failure of ours.
 */
function notice(error: NodeJS.ErrnoException | null | undefined): void {
  if (error === null || error === undefined || error.code === 'EPIPE') return;
  process.exitCode = EXIT.failure;
  process.stderr.write(`Cannot write what was asked for: ${error.message}\n`);
}
