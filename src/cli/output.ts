import { printable, printableLines } from '../lib/index.ts';
import { EXIT } from './exit-code.ts';

/**
 * The streams of a command: results go to `out`, everything else to `err`. Texts end with a newline. Control characters in
 * them are written as `\u001b`, because names, user agents and errors come from outside.
 */
export interface Output {
  out(text: string, how?: Drawn): void;
  err(text: string, how?: Drawn): void;
}

/** Says that a text moves the cursor or has colors: {@link OWN_SEQUENCES}. What it has from outside is `printable` before. */
export type Drawn = 'drawn';

/** The sequences by which this program draws: to the start of a line, up, to the corner; clear; wrap on and off; colors. */
// oxlint-disable-next-line no-control-regex -- it looks for control characters
const OWN_SEQUENCES = /(\r|\u001b\[(?:\?7[hl]|2J|[HJK]|\d+A|\d*m))/;

/** An output over two streams: the one place where text goes to a terminal. */
export function createOutput(streams: { readonly [Name in keyof Output]: (text: string) => void }): Output {
  return {
    out: (text, how) => streams.out(safe(text, how)),
    err: (text, how) => streams.err(safe(text, how)),
  };
}

function safe(text: string, how: Drawn | undefined): string {
  if (how === undefined) return printableLines(text);
  return text
    .split(OWN_SEQUENCES)
    .map((part, at) => (at % 2 === 1 ? part : printableLines(part)))
    .join('');
}

export const processOutput: Output = createOutput({
  out: (text) => void process.stdout.write(text, (error) => reportWriteError(error)),
  err: (text) => void process.stderr.write(text),
});

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
  readonly #write: (text: string, how: Drawn) => void;
  #isDrawn = false;

  /** @param write `out` or `err` of an output */
  constructor(write: (text: string, how: Drawn) => void) {
    this.#write = write;
  }

  draw(text: string): void {
    this.#write(`\r\u001b[K${printable(text)}`, 'drawn');
    this.#isDrawn = true;
  }

  /** Clears the line for other output. */
  clear(): void {
    if (this.#isDrawn) this.#write('\r\u001b[K', 'drawn');
    this.#isDrawn = false;
  }
}
