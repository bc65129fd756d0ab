import { setTimeout as delay } from 'node:timers/promises';
import { callControl, controlSocketPath, type Operation } from '../../../admin/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { type BarImage, ImageBars, type Terminal } from './image-bars.ts';
import { PATIENCE, patiently } from './patience.ts';

/** A job, as far as every kind of it is followed in one way. */
interface FollowedJob {
  readonly id: string;
  readonly endedAt?: number;
  readonly images: readonly BarImage[];
  /** Images in each state. */
  readonly counts: Readonly<Record<BarImage['state'], number>>;
}

/** How jobs of one kind are asked for and shown. */
export interface JobKind<Job extends FollowedJob> {
  /** The command: `warm`. */
  readonly command: string;
  readonly list: Operation<object, { readonly jobs: readonly Job[] }, never>;
  readonly cancel: Operation<{ readonly id: string }, { readonly job?: Job }, never>;
  /** What its bytes are. */
  readonly moved: 'fetched' | 'sent';
  readonly movedOf: (job: Job) => number;
  /** Undefined where it says nothing new. */
  readonly formatChange: (image: Job['images'][number]) => string | undefined;
  readonly formatJobs: (jobs: readonly Job[]) => string;
}

/** The options of a command that begins jobs. */
export interface JobOptions extends CommandOptions {
  /** An interrupt cancels the jobs. @default the server goes on */
  readonly cancelOnInterrupt?: boolean;
  /** Cancels every job that runs. */
  readonly stop?: boolean;
}

export interface JobSurroundings extends Surroundings {
  /** @default that of standard error */
  readonly terminal?: () => Terminal;
  /** Milliseconds between two looks. @default 250 */
  readonly lookEvery?: number;
  /** Milliseconds that a server may be away, until the command gives up. @default 60_000 */
  readonly patience?: number;
}

const LOOK_EVERY = 250;

/** Shows the jobs of a server, or stops those that run and shows them. @returns the exit code */
export function showJobs<Job extends FollowedJob>(
  kind: JobKind<Job>,
  { flags, json = false, stop = false }: JobOptions,
  output: Output,
): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: kind.list,
      input: {},
      show: async ({ jobs }, dir) => {
        const shown = stop ? await stopAll(jobs, kind, dir) : jobs;
        output.out(json ? formatJson({ jobs: shown }) : kind.formatJobs(shown));
        return EXIT.ok;
      },
    },
    output,
  );
}

async function stopAll<Job extends FollowedJob>(
  jobs: readonly Job[],
  { cancel }: JobKind<Job>,
  dir: string,
): Promise<readonly Job[]> {
  const stopped: Job[] = [];
  for (const { id, endedAt } of jobs) {
    if (endedAt !== undefined) continue;
    const { job } = await callControl(controlSocketPath(dir), cancel, { input: { id } });
    if (job !== undefined) stopped.push(job);
  }
  return stopped;
}

export interface FollowOptions {
  readonly options: JobOptions;
  readonly surroundings: JobSurroundings;
  readonly output: Output;
  /** The cache directory of the server. */
  readonly dir: string;
  readonly signal: AbortSignal;
}

/** Asks the server for a job, again where it has forgotten it. */
export type AskForJob<Job> = () => Promise<Job>;

interface Followed<Job> {
  readonly again: AskForJob<Job>;
  job: Job;
}

/** The jobs of one command, until they have ended. The server goes on where the command is interrupted. */
export class JobFollower<Job extends FollowedJob> {
  readonly #kind: JobKind<Job>;
  readonly #options: FollowOptions;
  readonly #followed: Followed<Job>[] = [];
  readonly #bars: ImageBars | undefined;
  /** What was said last of each image, where the output is no terminal. */
  readonly #said: Map<string, string> | undefined;

  constructor(kind: JobKind<Job>, options: FollowOptions) {
    this.#kind = kind;
    this.#options = options;
    const { surroundings, output } = options;
    const { isTerminal = process.stderr.isTTY, terminal = () => process.stderr } = surroundings;
    const isQuiet = options.options.json === true;
    this.#bars = isTerminal && !isQuiet ? new ImageBars(output, terminal) : undefined;
    this.#said = isTerminal || isQuiet ? undefined : new Map();
  }

  /**
   * @param started a job that has begun, and how to ask for it again
   * @param others jobs that are asked for besides it
   * @returns the jobs as they ended, in this order; undefined where the command was interrupted, which has been said then
   */
  async follow(started: Followed<Job>, others: readonly AskForJob<Job>[] = []): Promise<readonly Job[] | undefined> {
    const { signal, surroundings } = this.#options;
    this.#followed.push(started);
    try {
      for (const again of others) this.#followed.push({ again, job: await this.#patiently(again) });
      for (;;) {
        this.#show();
        if (this.#followed.every(({ job }) => job.endedAt !== undefined)) break;
        await delay(surroundings.lookEvery ?? LOOK_EVERY, undefined, { signal });
        await this.#look();
      }
    } catch (error) {
      this.#bars?.clear();
      if (!signal.aborted) throw error;
      await this.#interrupted();
      return undefined;
    }
    this.#bars?.clear();
    return this.#followed.map(({ job }) => job);
  }

  /** Asks how far the jobs are. A server that is away is waited for, and asked again for what it has forgotten. */
  async #look(): Promise<void> {
    const { dir, signal } = this.#options;
    const { list } = this.#kind;
    const { jobs } = await this.#patiently(() => callControl(controlSocketPath(dir), list, { input: {}, signal }));
    const known = new Map(jobs.map((job) => [job.id, job]));
    for (const followed of this.#followed) {
      if (followed.job.endedAt !== undefined) continue;
      // Jobs end with the server. What is there is neither fetched nor sent again.
      followed.job = known.get(followed.job.id) ?? (await this.#patiently(followed.again));
    }
  }

  #patiently<T>(call: () => Promise<T>): Promise<T> {
    const { output, signal, surroundings } = this.#options;
    const { patience = PATIENCE } = surroundings;
    return patiently(call, { output, signal, patience, onAway: () => this.#bars?.clear() });
  }

  #show(): void {
    const jobs = this.#followed.map(({ job }) => job);
    const images = jobs.flatMap((job) => job.images);
    if (this.#bars !== undefined) {
      const { movedOf, moved } = this.#kind;
      const sum = (of: (job: Job) => number): number => jobs.reduce((before, job) => before + of(job), 0);
      const ended = sum(({ counts }) => counts.done + counts.failed + counts.cancelled);
      const total = ended + sum(({ counts }) => counts.waiting + counts.running);
      this.#bars.draw({ images, total, ended, bytes: sum(movedOf), moved });
    }
    if (this.#said !== undefined) for (const image of images) this.#sayOf(image, this.#said);
  }

  #sayOf(image: Job['images'][number], said: Map<string, string>): void {
    const text = this.#kind.formatChange(image);
    if (text === undefined || said.get(image.image) === text) return;
    said.set(image.image, text);
    this.#options.output.err(`${text}\n`);
  }

  async #interrupted(): Promise<void> {
    const { dir, output, options } = this.#options;
    const { cancel, command, moved } = this.#kind;
    const running = this.#followed.filter(({ job }) => job.endedAt === undefined);
    if (options.cancelOnInterrupt === true) {
      for (const { job } of running) await callControl(controlSocketPath(dir), cancel, { input: { id: job.id } });
      output.err(`Cancelled. What was ${moved} stays.\n`);
      return;
    }
    const them = running.length === 1 ? 'it' : 'them';
    output.err(
      `The server goes on with ${count(running.length, 'job')}: \`entrepot ${command}\` shows ${them}, the same command again follows, \`entrepot ${command} --stop\` stops.\n`,
    );
  }
}
