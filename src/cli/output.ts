import { EXIT } from './exit-code.ts';

/** The streams of a command: results go to `out`, everything else to `err`. Texts end with a newline. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

export const processOutput: Output = {
  out: (text) => void process.stdout.write(text, (error) => reportWriteError(error)),
  err: (text) => void process.stderr.write(text),
};

/**
 * `entrepot config default > entrepot.yaml` on a full disk must not look successful. A closed pipe (`| head -1`) is no
 * failure.
 */
function reportWriteError(error: NodeJS.ErrnoException | null | undefined): void {
  if (error === null || error === undefined || error.code === 'EPIPE') return;
  process.exitCode = EXIT.failure;
  process.stderr.write(`Cannot write the output: ${error.message}\n`);
}

/** One line of a terminal that is drawn over. */
export class StatusLine {
  readonly #write: (text: string) => void;
  #isDrawn = false;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  draw(text: string): void {
    this.#write(`\r\u001b[K${text}`);
    this.#isDrawn = true;
  }

  /** Clears the line for other output. */
  clear(): void {
    if (this.#isDrawn) this.#write('\r\u001b[K');
    this.#isDrawn = false;
  }
}
