import { setTimeout as wait } from 'node:timers/promises';
import { abortable, printable } from '../../../lib/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { status } from './status.ts';

/** Milliseconds from the end of one look to the next. */
const INTERVAL_MS = 2000;

/** Lines of a terminal that does not say how many it has, or says 0, as a new pseudo-terminal does. */
const DEFAULT_ROWS = 24;

/** What a test gives of its own. */
export interface WatchSurroundings extends Surroundings {
  /** Milliseconds. @default 2000 */
  readonly interval?: number;
  /** Lines of the terminal now. */
  readonly rows?: () => number | undefined;
}

/**
 * `entrepot status --watch`: shows the status again every two seconds, until it is interrupted or its output is closed.
 *
 * On a terminal each look is drawn over the one before. Elsewhere they follow each other as blocks of text, or with `json`
 * as one line each. A server that stops answering is reported, and waited for.
 *
 * @returns the exit code: 0 where it was interrupted, that of the first look where it failed
 */
export async function watchStatus(options: CommandOptions, surroundings: WatchSurroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stdout.isTTY, interrupt, interval = INTERVAL_MS } = surroundings;
  const { rows = () => process.stdout.rows } = surroundings;
  const closed = new AbortController();
  const onClosed = (): void => closed.abort(new Error('the output is closed'));
  process.stdout.once('error', onClosed);
  const more = interrupt === undefined ? closed.signal : AbortSignal.any([interrupt, closed.signal]);
  try {
    return await withInterrupt(more, async (signal) => {
      for (let first = true; ; first = false) {
        const look = await lookOnce(options, signal);
        if (look === undefined) return EXIT.ok;
        if (first && look.code !== EXIT.ok) {
          output.err(look.err);
          return look.code;
        }
        if (options.json === true) {
          if (look.out !== '') output.out(`${JSON.stringify(JSON.parse(look.out))}\n`);
          output.err(look.err);
        } else if (isTerminal) {
          const text = `${now()}  every ${interval / 1000} s, until Ctrl-C\n${look.err}${look.out}`;
          output.out(`${first ? CLEAR : ''}${frame(text, rows() || DEFAULT_ROWS)}`, 'drawn');
        } else {
          output.out(`${first ? '' : '\n'}${now()}\n${look.out}`);
          output.err(look.err);
        }
        await wait(interval, undefined, { signal }).catch(() => {});
        if (signal.aborted) return EXIT.ok;
      }
    });
  } finally {
    process.stdout.off('error', onClosed);
  }
}

interface Look {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Undefined where it was interrupted. */
async function lookOnce(options: CommandOptions, signal: AbortSignal): Promise<Look | undefined> {
  const texts = { out: '', err: '' };
  const output = { out: (text: string) => void (texts.out += text), err: (text: string) => void (texts.err += text) };
  try {
    const code = await abortable(status({ ...options, signal }, output), signal);
    return { code, ...texts };
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

/** `2026-11-28T23:50:01Z` */
function now(): string {
  return new Date().toISOString().replace(/\.\d+/, '');
}

const CLEAR = '\u001b[2J';

/**
 * A text drawn from the upper left corner over what was there. Lines that are wider than the terminal are cut by it, and so
 * many lines are shown as it has.
 */
function frame(text: string, rows: number): string {
  const lines = text.trimEnd().split('\n');
  const most = Math.max(2, rows - 1);
  const shown =
    lines.length <= most ? lines : [...lines.slice(0, most - 1), `and ${lines.length - most + 1} more lines`];
  const wrapOff = '\u001b[?7l';
  const wrapOn = '\u001b[?7h';
  return `\u001b[H${wrapOff}${shown.map((line) => `${printable(line)}\u001b[K\n`).join('')}${wrapOn}\u001b[J`;
}
