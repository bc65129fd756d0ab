import { setTimeout as delay } from 'node:timers/promises';
import {
  callControl,
  controlSocketPath,
  OPERATIONS,
  type RefusedImage,
  type WarmImage,
  type WarmJob,
  type WarmStarted,
} from '../../../admin/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { ImageBars, type Terminal } from './image-bars.ts';
import { type FilePlaces, type ImageOptions, readImageNames } from './image-names.ts';
import { PATIENCE, patiently } from './patience.ts';
import { formatChange, formatJobs, formatSummary, summarize } from './warm-progress.ts';

/** The options of `entrepot warm`. */
export interface WarmOptions extends CommandOptions, ImageOptions {
  readonly platform?: readonly string[];
  /** An interrupt cancels the jobs. @default the server goes on */
  readonly cancelOnInterrupt?: boolean;
  /** Cancels every job that runs. */
  readonly stop?: boolean;
}

export interface WarmSurroundings extends Surroundings, FilePlaces {
  /** @default that of standard error */
  readonly terminal?: () => Terminal;
  /** Milliseconds between two looks. @default 250 */
  readonly lookEvery?: number;
  /** Milliseconds that a server may be away, until the command gives up. @default 60_000 */
  readonly patience?: number;
}

const LOOK_EVERY = 250;
/** Images of one job: a job lists a hundred of its images, and an operation takes a thousand. */
const JOB_IMAGES = 100;
const MAX_JOB_IMAGES = 1000;
/** Jobs of one command. A server runs a hundred at once. */
const MAX_JOBS = 20;
/** Bytes of the names in one call, below what a control socket takes. */
const MAX_CALL_BYTES = 48 * 1024;

/**
 * `entrepot warm`: has the running server fetch images into its cache, and shows how far it has come. The server goes on where the command
 * is interrupted; where the server restarts, the command asks it again for what is left.
 *
 * @returns the exit code: failure where an image failed
 */
export async function warm(options: WarmOptions, surroundings: WarmSurroundings = {}): Promise<number> {
  const { output = processOutput, interrupt } = surroundings;
  const { flags, json = false, stop = false, images, from = [], platform = [] } = options;
  if (stop || (images.length === 0 && from.length === 0)) {
    return runServerCommand(
      {
        flags,
        operation: OPERATIONS.warmJobs,
        input: {},
        show: async ({ jobs }, dir) => {
          const shown = stop ? await stopAll(jobs, dir) : jobs;
          output.out(json ? formatJson({ jobs: shown }) : formatJobs(shown));
          return EXIT.ok;
        },
      },
      output,
    );
  }
  return withInterrupt(interrupt, (signal) =>
    reportErrors(output, async () => {
      const names = await readImageNames({ images, from }, output, surroundings);
      const [first = [], ...others] = callsOf(names);
      return await runServerCommand(
        {
          flags,
          operation: OPERATIONS.warm,
          input: { images: first, platforms: platform, partial: true },
          show: (started, dir) =>
            new Warming({ options, surroundings, output, dir, signal }).run(started, first, others),
        },
        output,
      );
    }),
  );
}

async function stopAll(jobs: readonly WarmJob[], dir: string): Promise<readonly WarmJob[]> {
  const stopped: WarmJob[] = [];
  for (const { id, endedAt } of jobs) {
    if (endedAt !== undefined) continue;
    const { job } = await callControl(controlSocketPath(dir), OPERATIONS.warmCancel, { input: { id } });
    if (job !== undefined) stopped.push(job);
  }
  return stopped;
}

/** The images of each call. */
function callsOf(images: readonly string[]): readonly (readonly string[])[] {
  const size = Math.min(MAX_JOB_IMAGES, Math.max(JOB_IMAGES, Math.ceil(images.length / MAX_JOBS)));
  const calls: string[][] = [];
  let bytes = 0;
  for (const image of images) {
    const more = Buffer.byteLength(JSON.stringify(image)) + 1;
    const last = calls.at(-1);
    if (last === undefined || last.length >= size || bytes + more > MAX_CALL_BYTES) {
      calls.push([image]);
      bytes = more;
    } else {
      last.push(image);
      bytes += more;
    }
  }
  return calls;
}

interface WarmingOptions {
  readonly options: WarmOptions;
  readonly surroundings: WarmSurroundings;
  readonly output: Output;
  readonly dir: string;
  readonly signal: AbortSignal;
}

/** A job with the names that it was asked for. */
interface Asked {
  readonly names: readonly string[];
  job: WarmJob;
}

/** The jobs of one command, until they have ended. */
class Warming {
  readonly #options: WarmingOptions;
  readonly #asked: Asked[] = [];
  readonly #refused: RefusedImage[] = [];
  readonly #bars: ImageBars | undefined;
  /** What was said last of each image, where the output is no terminal. */
  readonly #said: Map<string, string> | undefined;

  constructor(options: WarmingOptions) {
    this.#options = options;
    const { surroundings, output } = options;
    const { isTerminal = process.stderr.isTTY, terminal = () => process.stderr } = surroundings;
    const isQuiet = options.options.json === true;
    this.#bars = isTerminal && !isQuiet ? new ImageBars(output, terminal) : undefined;
    this.#said = isTerminal || isQuiet ? undefined : new Map();
  }

  /** @returns the exit code */
  async run(started: WarmStarted, names: readonly string[], others: readonly (readonly string[])[]): Promise<number> {
    const { output, signal, surroundings, options } = this.#options;
    this.#note(started, names);
    try {
      for (const each of others) this.#note(await this.#patiently(() => this.#start(each)), each);
      for (;;) {
        this.#show();
        if (this.#asked.every(({ job }) => job.endedAt !== undefined)) break;
        await delay(surroundings.lookEvery ?? LOOK_EVERY, undefined, { signal });
        await this.#look();
      }
    } catch (error) {
      this.#bars?.clear();
      if (!signal.aborted) throw error;
      return await this.#interrupted();
    }
    this.#bars?.clear();
    const jobs = this.#asked.map(({ job }) => job);
    const summary = summarize(jobs, this.#refused);
    output.out(
      options.json === true ? formatJson({ ...summary, jobs, refused: this.#refused }) : formatSummary(summary),
    );
    return summary.failedCount + summary.cancelled === 0 ? EXIT.ok : EXIT.failure;
  }

  #note({ refused = [], ...job }: WarmStarted, names: readonly string[]): void {
    this.#refused.push(...refused);
    this.#asked.push({ names, job });
  }

  #start(images: readonly string[]): Promise<WarmStarted> {
    const { dir, options, signal } = this.#options;
    const input = { images, platforms: options.platform ?? [], partial: true };
    return callControl(controlSocketPath(dir), OPERATIONS.warm, { input, signal });
  }

  /** Asks how far the jobs are. A server that is away is waited for, and asked again for what it has forgotten. */
  async #look(): Promise<void> {
    const { dir, signal } = this.#options;
    const look = () => callControl(controlSocketPath(dir), OPERATIONS.warmJobs, { signal });
    const { jobs } = await this.#patiently(look);
    const known = new Map(jobs.map((job) => [job.id, job]));
    for (const asked of this.#asked) {
      if (asked.job.endedAt !== undefined) continue;
      const job = known.get(asked.job.id);
      // Jobs end with the server. What is stored is not fetched again.
      asked.job = job ?? (await this.#patiently(() => this.#start(asked.names)));
    }
  }

  #patiently<T>(call: () => Promise<T>): Promise<T> {
    const { output, signal, surroundings } = this.#options;
    const { patience = PATIENCE } = surroundings;
    const onAway = (): void => this.#bars?.clear();
    return patiently(call, { output, signal, patience, onAway });
  }

  #show(): void {
    const jobs = this.#asked.map(({ job }) => job);
    const images = jobs.flatMap((job) => job.images);
    if (this.#bars !== undefined) {
      const counts = jobs.flatMap(({ counts }) => Object.entries(counts));
      const sum = (states: readonly string[]): number =>
        counts.reduce((before, [state, number]) => before + (states.includes(state) ? number : 0), 0);
      this.#bars.draw({
        images,
        total: counts.reduce((before, [, number]) => before + number, 0),
        ended: sum(['done', 'failed', 'cancelled']),
        fetched: jobs.reduce((before, { fetched }) => before + fetched, 0),
      });
    }
    if (this.#said !== undefined) for (const image of images) this.#sayOf(image, this.#said);
  }

  #sayOf(image: WarmImage, said: Map<string, string>): void {
    const text = formatChange(image);
    if (text === undefined || said.get(image.image) === text) return;
    said.set(image.image, text);
    this.#options.output.err(`${text}\n`);
  }

  async #interrupted(): Promise<number> {
    const { dir, output, options } = this.#options;
    const running = this.#asked.filter(({ job }) => job.endedAt === undefined);
    if (options.cancelOnInterrupt === true) {
      for (const { job } of running) {
        await callControl(controlSocketPath(dir), OPERATIONS.warmCancel, { input: { id: job.id } });
      }
      output.err(`Cancelled. What was fetched stays.\n`);
    } else {
      output.err(
        `The server goes on with ${count(running.length, 'job')}: \`entrepot warm\` shows ${running.length === 1 ? 'it' : 'them'}, the same command again follows, \`entrepot warm --stop\` stops.\n`,
      );
    }
    return EXIT.interrupted;
  }
}
