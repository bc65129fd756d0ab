import { setTimeout as delay } from 'node:timers/promises';
import {
  ControlError,
  callControl,
  controlSocketPath,
  OPERATIONS,
  OPERATOR,
  type ScrubProgress,
} from '../../../admin/index.ts';
import { Scrub, Verification } from '../../../cache/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { type Output, processOutput, StatusLine } from '../../output.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import { type OwnedCache, runServerCommand } from '../../server-command.ts';
import { formatScrubLine, formatScrubResult } from './scrub-progress.ts';

/** The options of `entrepot scrub`. */
export interface ScrubCommandOptions extends CommandOptions {
  /** Stops the running scrub. */
  readonly stop?: boolean;
}

/** Milliseconds between two looks at the progress. */
const LOOK_EVERY = 250;

/** Milliseconds between two lines of progress, where the output is no terminal. */
const LINE_EVERY = 10_000;

/**
 * `entrepot scrub`: checks everything stored, and shows the progress. A running server scrubs, and continues where the
 * command is interrupted. Without a server the command scrubs by itself, and stops where it is interrupted.
 *
 * @returns the exit code: failure where something was wrong, or not everything was checked
 */
export async function scrub(options: ScrubCommandOptions, surroundings: Surroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stdout.isTTY, interrupt } = surroundings;
  const { flags, json = false, stop = false } = options;
  const display = createDisplay(output, json ? 'quiet' : isTerminal ? 'in place' : 'by line');

  async function finish(dir: string, begun: ScrubProgress | null, signal: AbortSignal): Promise<number> {
    if (begun === null) {
      output.out(json ? formatJson(null) : 'No scrub has run since the server started.\n');
      return EXIT.ok;
    }
    let progress = begun;
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
        'The server continues the scrub: `entrepot scrub` shows its progress, `entrepot scrub --stop` stops it.\n',
      );
      return EXIT.interrupted;
    }
    display.end();
    output.out(json ? formatJson(progress) : formatScrubResult(progress));
    const { state, rotten, missing } = progress;
    return rotten + missing === 0 && (state === 'done' || stop) ? EXIT.ok : EXIT.failure;
  }

  return await withInterrupt(interrupt, (signal) =>
    runServerCommand(
      {
        flags,
        operation: OPERATIONS.scrub,
        input: { stop },
        alone: stop ? undefined : (cache) => scrubAlone(cache, { display, signal }),
        show: (answer, dir) => finish(dir, answer, signal),
      },
      output,
    ),
  );
}

/** The progress of the server's scrub. @throws {ControlError} also where the server has none any more */
async function look(dir: string, signal: AbortSignal): Promise<ScrubProgress> {
  const progress = await callControl(controlSocketPath(dir), OPERATIONS.scrubLook, { signal }).catch(
    (error: unknown) => {
      if (error instanceof ControlError && error.code === 'not-running') return null;
      throw error;
    },
  );
  if (progress !== null) return progress;
  throw new ControlError(
    'failed',
    'The server has stopped or restarted, and its scrub ended with it; `entrepot scrub` starts another.',
  );
}

/** Scrubs a directory without a running server. */
async function scrubAlone(
  { loaded, store, metadata }: OwnedCache,
  { display, signal }: { readonly display: Display; readonly signal: AbortSignal },
): Promise<ScrubProgress | null> {
  const telemetry = new Telemetry();
  const verification = new Verification({ store, metadata, telemetry });
  const scrubbing = new Scrub({ store, metadata, telemetry, verification });
  try {
    return await withOwnHosting({ loaded, store }, async (hosted) => {
      const scrubs = [scrubbing, ...(hosted.current === undefined ? [] : [hosted.current.scrub])];
      const look = () => OPERATIONS.scrubLook.handle({}, { cache: { scrub: scrubbing }, hosted }, OPERATOR);
      const stop = (): void => scrubs.forEach((each) => void each.stop());
      signal.addEventListener('abort', stop, { once: true });
      const show = async (): Promise<void> => {
        const progress = await look();
        if (progress?.state === 'running') display.show(progress);
      };
      // What cannot be read now is part of the end result.
      const looking = setInterval(() => void show().catch(() => undefined), LOOK_EVERY);
      try {
        const running = scrubs.map((each) => each.run());
        if (signal.aborted) stop();
        await Promise.all(running);
        return await look();
      } finally {
        clearInterval(looking);
        signal.removeEventListener('abort', stop);
      }
    });
  } finally {
    await verification.close();
  }
}

interface Display {
  show(progress: ScrubProgress): void;
  end(): void;
}

/** Shows the progress: on a terminal in place, elsewhere by a line now and then, with `--json` not at all. */
function createDisplay(output: Output, how: 'in place' | 'by line' | 'quiet'): Display {
  const line = new StatusLine((text, how) => output.out(text, how));
  let linedAt = Date.now();
  return {
    show(progress) {
      const now = Date.now();
      const text = formatScrubLine(progress, now);
      if (how === 'in place') line.draw(text);
      if (how !== 'by line' || now - linedAt < LINE_EVERY) return;
      linedAt = now;
      output.out(`${text}\n`);
    },
    end: () => line.clear(),
  };
}
