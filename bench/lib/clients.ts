import { fileURLToPath } from 'node:url';
import { check, run } from '../../test/support/processes.ts';
import type { Asked } from './connections.ts';
import type { GuessJob, GuessReport } from './guess-worker.ts';
import type { Latencies, LatencyJob } from './latency-worker.ts';
import { type Cores, isInstalled } from './machine.ts';
import type { PullJob, PullReport } from './pull-worker.ts';
import type { PushJob, PushReport } from './push-worker.ts';
import type { Via } from './road.ts';
import type { TlsPullJob, TlsPullReport } from './tls-pull-worker.ts';

const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'] as const;
const PULL_WORKER = fileURLToPath(new URL('./pull-worker.ts', import.meta.url));
const TLS_PULL_WORKER = fileURLToPath(new URL('./tls-pull-worker.ts', import.meta.url));
const PUSH_WORKER = fileURLToPath(new URL('./push-worker.ts', import.meta.url));
const SHA256_WORKER = fileURLToPath(new URL('./sha256-worker.ts', import.meta.url));
const LATENCY_WORKER = fileURLToPath(new URL('./latency-worker.ts', import.meta.url));
const GUESS_WORKER = fileURLToPath(new URL('./guess-worker.ts', import.meta.url));
const LOAD_WORKER = fileURLToPath(new URL('./load-worker.ts', import.meta.url));

/** What clients pull. */
export interface Pulls {
  readonly url: string;
  /** A file with the bytes of the blob. */
  readonly expected: string;
  /** @default 1 */
  readonly clients?: number;
  /** @default 1 */
  readonly rounds?: number;
  /** @default false */
  readonly lateJoiner?: boolean;
  /** Pulls that fail are counted and not thrown. @default false */
  readonly tolerant?: boolean;
  /** Through which mirror. @default none */
  readonly via?: Via;
}

/** Pulls in a process of its own, every byte compared; rejects where anything is not as it should be. */
export async function pullAll(pulls: Pulls): Promise<PullReport> {
  const { clients = 1, rounds = 1, lateJoiner = false, tolerant = false, ...what } = pulls;
  const job: PullJob = { ...what, clients, rounds, lateJoiner, tolerant };
  return JSON.parse(await check([...NODE, PULL_WORKER, JSON.stringify(job)], { timeout: 180_000 })) as PullReport;
}

/** Pulls over TLS on one connection, in a process of its own, every byte compared; rejects where anything is not as it should be. */
export async function pullOverTls(job: TlsPullJob): Promise<TlsPullReport> {
  return JSON.parse(
    await check([...NODE, TLS_PULL_WORKER, JSON.stringify(job)], { timeout: 180_000 }),
  ) as TlsPullReport;
}

/** What SHA-256 costs right now on the server's core; CPU seconds per GiB. */
export async function hashOnServerCore(bytes: number, cores: Cores | undefined): Promise<number> {
  const core = cores === undefined ? [] : ['taskset', '--cpu-list', String(cores.server)];
  return Number(await check([...core, ...NODE, SHA256_WORKER, String(bytes)]));
}

export interface Load extends Asked {
  readonly seconds: number;
}

/** Which program makes the load: wrk where it is installed, otherwise one of our own, which tires earlier. */
export function loadGenerator(): 'wrk' | 'own' {
  return isInstalled('wrk') ? 'wrk' : 'own';
}

/** Pushes in a process of its own. Rejects where a blob cannot be pushed; of images, those that fail are counted. */
export async function pushAll(job: PushJob): Promise<PushReport> {
  return JSON.parse(await check([...NODE, PUSH_WORKER, JSON.stringify(job)], { timeout: 300_000 })) as PushReport;
}

/** Asks for the same thing over and over; requests per second. Rejects where an answer is not 200. */
export async function requestsPerSecond({ url, accept, authorization, connections, seconds }: Load): Promise<number> {
  if (loadGenerator() === 'own') {
    const job = JSON.stringify({ url, accept, authorization, connections, seconds });
    return Number(await check([...NODE, LOAD_WORKER, job], { timeout: (seconds + 30) * 1000 }));
  }
  const command = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-H', `Accept: ${accept}`];
  const login = authorization === undefined ? [] : ['-H', `Authorization: ${authorization}`];
  const { code, stdout, stderr } = await run([...command, ...login, url], { timeout: (seconds + 30) * 1000 });
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1];
  const bad = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(stdout)?.[0];
  if (code !== 0 || rate === undefined) throw new Error(`wrk ended with ${code}:\n${stdout}${stderr}`);
  if (bad !== undefined) throw new Error(`Under load, ${url} did not answer well: ${bad}`);
  return Number(rate);
}

/** Asks for the same thing over and over, and says how long the answers took. */
export async function latenciesOf(job: LatencyJob): Promise<Latencies> {
  const timeout = (job.seconds + 30) * 1000;
  return JSON.parse(await check([...NODE, LATENCY_WORKER, JSON.stringify(job)], { timeout })) as Latencies;
}

/** Sends wrong passwords at a steady rate. */
export async function guessPasswords(job: GuessJob): Promise<GuessReport> {
  const timeout = (job.guesses / job.perSecond + 60) * 1000;
  return JSON.parse(await check([...NODE, GUESS_WORKER, JSON.stringify(job)], { timeout })) as GuessReport;
}
