import { setTimeout as delay } from 'node:timers/promises';
import { type CopyImage, type CopyJob, callControl, controlSocketPath, OPERATIONS } from '../../../admin/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatCopied, formatCopyChange, formatCopyJobs } from './copy-progress.ts';
import { ImageBars, type Terminal } from './image-bars.ts';
import { PATIENCE, patiently } from './patience.ts';

/** The options of `entrepot copy`. */
export interface CopyOptions extends CommandOptions {
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly platform?: readonly string[];
  readonly allTags?: boolean;
  /** An interrupt cancels the job. @default the server goes on */
  readonly cancelOnInterrupt?: boolean;
  /** Cancels every job that runs. */
  readonly stop?: boolean;
}

export interface CopySurroundings extends Surroundings {
  /** @default whether standard error is one */
  readonly isTerminal?: boolean;
  /** @default that of standard error */
  readonly terminal?: () => Terminal;
  /** Milliseconds between two looks. @default 250 */
  readonly lookEvery?: number;
  /** Milliseconds that a server may be away, until the command gives up. @default 60_000 */
  readonly patience?: number;
}

const LOOK_EVERY = 250;

/**
 * `entrepot copy`: has the running server copy images, and shows how far it has come. The server goes on where the command is interrupted;
 * where the server restarts, the command asks it again.
 *
 * @returns the exit code: failure where an image failed
 */
export async function copy(options: CopyOptions, surroundings: CopySurroundings = {}): Promise<number> {
  const { output = processOutput, interrupt } = surroundings;
  const { flags, json = false, stop = false, source, destination, allTags = false, platform = [] } = options;
  if (stop || source === undefined) {
    return runServerCommand(
      {
        flags,
        operation: OPERATIONS.copyJobs,
        input: {},
        show: async ({ jobs }, dir) => {
          const shown = stop ? await stopAll(jobs, dir) : jobs;
          output.out(json ? formatJson({ jobs: shown }) : formatCopyJobs(shown));
          return EXIT.ok;
        },
      },
      output,
    );
  }
  if (destination === undefined) {
    output.err('error: name where it goes: entrepot copy SOURCE DESTINATION\n');
    return EXIT.usage;
  }
  const input = { from: source, to: destination, platforms: platform, allTags };
  return withInterrupt(interrupt, (signal) =>
    runServerCommand(
      {
        flags,
        operation: OPERATIONS.copy,
        input,
        show: (job, dir) => new Copying({ options, surroundings, output, dir, signal, input }).run(job),
      },
      output,
    ),
  );
}

async function stopAll(jobs: readonly CopyJob[], dir: string): Promise<readonly CopyJob[]> {
  const stopped: CopyJob[] = [];
  for (const { id, endedAt } of jobs) {
    if (endedAt !== undefined) continue;
    const { job } = await callControl(controlSocketPath(dir), OPERATIONS.copyCancel, { input: { id } });
    if (job !== undefined) stopped.push(job);
  }
  return stopped;
}

interface CopyingOptions {
  readonly options: CopyOptions;
  readonly surroundings: CopySurroundings;
  readonly output: Output;
  readonly dir: string;
  readonly signal: AbortSignal;
  readonly input: Parameters<typeof OPERATIONS.copy.handle>[0];
}

/** The job of one command, until it has ended. */
class Copying {
  readonly #options: CopyingOptions;
  readonly #bars: ImageBars | undefined;
  /** What was said last of each image, where the output is no terminal. */
  readonly #said: Map<string, string> | undefined;

  constructor(options: CopyingOptions) {
    this.#options = options;
    const { surroundings, output } = options;
    const { isTerminal = process.stderr.isTTY, terminal = () => process.stderr } = surroundings;
    const isQuiet = options.options.json === true;
    this.#bars = isTerminal && !isQuiet ? new ImageBars(output, terminal) : undefined;
    this.#said = isTerminal || isQuiet ? undefined : new Map();
  }

  /** @returns the exit code */
  async run(started: CopyJob): Promise<number> {
    const { output, signal, surroundings, options } = this.#options;
    let job = started;
    try {
      for (;;) {
        this.#show(job);
        if (job.endedAt !== undefined) break;
        await delay(surroundings.lookEvery ?? LOOK_EVERY, undefined, { signal });
        job = await this.#look(job);
      }
    } catch (error) {
      this.#bars?.clear();
      if (!signal.aborted) throw error;
      return await this.#interrupted(job);
    }
    this.#bars?.clear();
    output.out(options.json === true ? formatJson({ job }) : formatCopied(job));
    return job.counts.failed + job.counts.cancelled === 0 ? EXIT.ok : EXIT.failure;
  }

  /** Asks how far the job is. A server that is away is waited for, and asked again for what it has forgotten. */
  async #look({ id }: CopyJob): Promise<CopyJob> {
    const { dir, signal, input } = this.#options;
    const path = controlSocketPath(dir);
    const { jobs } = await this.#patiently(() => callControl(path, OPERATIONS.copyJobs, { input: {}, signal }));
    const job = jobs.find((each) => each.id === id);
    // Jobs end with the server. What was sent is not sent again.
    return job ?? (await this.#patiently(() => callControl(path, OPERATIONS.copy, { input, signal })));
  }

  #patiently<T>(call: () => Promise<T>): Promise<T> {
    const { output, signal, surroundings } = this.#options;
    const { patience = PATIENCE } = surroundings;
    return patiently(call, { output, signal, patience, onAway: () => this.#bars?.clear() });
  }

  #show({ images, counts, sent }: CopyJob): void {
    const ended = counts.done + counts.failed + counts.cancelled;
    const total = ended + counts.waiting + counts.running;
    this.#bars?.draw({ images, total, ended, fetched: sent, moved: 'sent' });
    if (this.#said !== undefined) for (const image of images) this.#sayOf(image, this.#said);
  }

  #sayOf(image: CopyImage, said: Map<string, string>): void {
    const text = formatCopyChange(image);
    if (text === undefined || said.get(image.image) === text) return;
    said.set(image.image, text);
    this.#options.output.err(`${text}\n`);
  }

  async #interrupted({ id }: CopyJob): Promise<number> {
    const { dir, output, options } = this.#options;
    if (options.cancelOnInterrupt === true) {
      await callControl(controlSocketPath(dir), OPERATIONS.copyCancel, { input: { id } });
      output.err('Cancelled. What was sent stays.\n');
    } else {
      output.err(
        'The server goes on: `entrepot copy` shows it, the same command again follows, `entrepot copy --stop` stops.\n',
      );
    }
    return EXIT.interrupted;
  }
}
