import { type Output, StatusLine } from './output.ts';

/** Milliseconds between two lines of progress, where the output is no terminal. */
const LINE_EVERY = 10_000;
/** Milliseconds between two drawings of a line. */
const DRAW_EVERY = 100;

export interface ProgressDisplay<Progress> {
  show(progress: Progress): void;
  /** Clears the line for other output. */
  end(): void;
}

/**
 * Shows the progress of a command: on a terminal in place, elsewhere by a line now and then, else not at all.
 *
 * @param format the progress on one line. @param now milliseconds since 1970
 */
export function progressDisplay<Progress>(
  output: Output,
  how: 'in place' | 'by line' | 'quiet',
  format: (progress: Progress, now: number) => string,
): ProgressDisplay<Progress> {
  const line = new StatusLine((text, how) => output.err(text, how));
  let shownAt = how === 'by line' ? Date.now() : 0;
  return {
    show(progress) {
      const now = Date.now();
      if (how === 'quiet' || now - shownAt < (how === 'in place' ? DRAW_EVERY : LINE_EVERY)) return;
      shownAt = now;
      const text = format(progress, now);
      if (how === 'in place') line.draw(text);
      else output.err(`${text}\n`);
    },
    end: () => line.clear(),
  };
}
