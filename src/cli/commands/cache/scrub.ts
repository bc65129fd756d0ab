import { setTimeout as delay } from 'node:timers/promises';
import { ControlError, callControl, controlSocketPath } from '../../../admin/index.ts';
import { Scrub, type ScrubProgress, Verification } from '../../../cache/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import { type OwnedCache, runCacheCommand } from '../../cache-command.ts';
import type { StatusOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatScrubLine, formatScrubResult } from './scrub-progress.ts';

/** What `entrepot scrub` was asked for. */
export interface ScrubCommandOptions extends StatusOptions {
  /** End the one that runs. */
  readonly stop: boolean;
}

/** Milliseconds between two looks at how far it has come. */
const LOOK_EVERY = 250;

/** Milliseconds between two lines where nobody watches a terminal. */
const LINE_EVERY = 10_000;

/** What a shell says of a program that SIGINT ended. */
const INTERRUPTED = 130;

export interface ScrubSurroundings {
  /** Where progress goes. @default the process's own streams */
  readonly output?: Output;
  /** True: one line that is drawn over. @default whether standard output is a terminal */
  readonly isTerminal?: boolean;
  /** The operator has had enough. @default SIGINT */
  readonly interrupt?: AbortSignal;
}

/**
 * `entrepot scrub`: checks everything that is stored, and shows how far it has come. The running server does it, and goes on
 * where the command is interrupted; where none runs, the command does it itself and stops.
 *
 * @returns the exit code: failure where something was wrong, or not everything was checked
 */
export async function scrub(options: ScrubCommandOptions, surroundings: ScrubSurroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stdout.isTTY, interrupt } = surroundings;
  const { flags, json, stop } = options;
  const interrupted = new AbortController();
  const onSignal = (): void => interrupted.abort(new Error('interrupted'));
  process.on('SIGINT', onSignal);
  const signal = interrupt === undefined ? interrupted.signal : AbortSignal.any([interrupt, interrupted.signal]);
  const display = new Display(output, { isTerminal: isTerminal && !json, isQuiet: json });

  async function finish(dir: string, begun: ScrubProgress | null): Promise<number> {
    if (begun === null) {
      output.out(json ? 'null\n' : 'No scrub has run since the server started.\n');
      return EXIT.ok;
    }
    let progress: ScrubProgress = begun;
    try {
      while (progress.state === 'running') {
        display.show(progress);
        await delay(LOOK_EVERY, undefined, { signal });
        progress = await look(dir, signal);
      }
    } catch (error) {
      display.end();
      if (!signal.aborted) throw error;
      output.err(
        'The scrub goes on in the server: `entrepot scrub` shows it again, `entrepot scrub --stop` ends it.\n',
      );
      return INTERRUPTED;
    }
    display.end();
    output.out(json ? `${JSON.stringify(progress, null, 2)}\n` : formatScrubResult(progress));
    const { state, rotten, missing } = progress;
    // Whoever stopped it got what was asked for.
    return rotten + missing === 0 && (state === 'done' || stop) ? EXIT.ok : EXIT.failure;
  }

  try {
    return await runCacheCommand<ScrubProgress | null>(
      {
        flags,
        operation: 'scrub',
        input: { stop },
        isAnswer: (answer) => answer === null || isProgress(answer),
        ...(stop ? {} : { alone: (cache: OwnedCache) => scrubAlone(cache, { display, signal }) }),
        show: (answer, dir) => finish(dir, answer),
      },
      output,
    );
  } finally {
    process.off('SIGINT', onSignal);
  }
}

/** How far the server's scrub has come. @throws {ControlError} also where there is none any more */
async function look(dir: string, signal: AbortSignal): Promise<ScrubProgress> {
  const answer = await callControl(controlSocketPath(dir), 'scrub', { signal }).catch((error: unknown) => {
    if (error instanceof ControlError && error.code === 'not-running') return null;
    throw error;
  });
  if (isProgress(answer)) return answer;
  throw new ControlError(
    'failed',
    answer === null
      ? 'The server has stopped or started anew, and its scrub ended with it; `entrepot scrub` begins another.'
      : 'The server answered in a form this version does not know; restart it.',
  );
}

/** Does what a server would, in a directory that no server runs on. */
async function scrubAlone(
  { store, metadata }: OwnedCache,
  { display, signal }: { readonly display: Display; readonly signal: AbortSignal },
): Promise<ScrubProgress> {
  const telemetry = new Telemetry();
  const verification = new Verification({ store, metadata, telemetry });
  const scrubbing = new Scrub({ store, metadata, telemetry, verification });
  const stop = (): void => void scrubbing.stop();
  signal.addEventListener('abort', stop, { once: true });
  const look = setInterval(() => {
    if (scrubbing.progress !== undefined) display.show(scrubbing.progress);
  }, LOOK_EVERY);
  try {
    const running = scrubbing.run();
    if (signal.aborted) stop();
    return await running;
  } finally {
    clearInterval(look);
    signal.removeEventListener('abort', stop);
    await verification.close();
  }
}

/** Shows progress: on a terminal in place, elsewhere as a line now and then, for programs not at all. */
class Display {
  readonly #output: Output;
  readonly #isTerminal: boolean;
  readonly #isQuiet: boolean;
  #linedAt = Date.now();
  #isDrawn = false;

  constructor(output: Output, { isTerminal, isQuiet }: { readonly isTerminal: boolean; readonly isQuiet: boolean }) {
    this.#output = output;
    this.#isTerminal = isTerminal;
    this.#isQuiet = isQuiet;
  }

  show(progress: ScrubProgress): void {
    if (this.#isQuiet) return;
    const now = Date.now();
    if (this.#isTerminal) {
      this.#output.out(`\r\u001b[K${formatScrubLine(progress, now)}`);
      this.#isDrawn = true;
    } else if (now - this.#linedAt >= LINE_EVERY) {
      this.#linedAt = now;
      this.#output.out(`${formatScrubLine(progress, now)}\n`);
    }
  }

  /** Makes room for what comes next. */
  end(): void {
    if (this.#isDrawn) this.#output.out('\r\u001b[K');
  }
}

function isProgress(value: unknown): value is ScrubProgress {
  return (
    typeof value === 'object' &&
    value !== null &&
    'state' in value &&
    'startedAt' in value &&
    'problems' in value &&
    Array.isArray(value.problems)
  );
}
