import { readFileSync } from 'node:fs';
import { type PullTimes, pull } from './pull.ts';
import type { Via } from './road.ts';

/** What a pulling process is told, as JSON in its first argument. */
export interface PullJob {
  readonly url: string;
  /** A file with the bytes of the blob. */
  readonly expected: string;
  /** Clients that pull at the same time. */
  readonly clients: number;
  /** How often all of them pull, one time after the other. */
  readonly rounds: number;
  /** One more client, which begins when the first client has half of the blob. */
  readonly lateJoiner: boolean;
  /** Pulls that fail are counted, and the others go on; otherwise the first failure is the end. */
  readonly tolerant: boolean;
  /** Through whom all of them pull. */
  readonly via?: Via | undefined;
}

/** What it says at the end, as JSON on standard output. Milliseconds. */
export interface PullReport {
  /** From the first connection to the last byte of the last client, the late joiner left out. */
  readonly wall: number;
  readonly bytes: number;
  /** Pulls that failed; 0 unless that is tolerated. */
  readonly errors: number;
  /** What the first of them said. */
  readonly firstError?: string;
  readonly clients: readonly PullTimes[];
  readonly lateJoiner?: PullTimes;
}

const job = JSON.parse(process.argv[2] ?? '{}') as PullJob;
process.stdout.write(JSON.stringify(await work(job)));

async function work({ clients, rounds, lateJoiner, tolerant, via, ...what }: PullJob): Promise<PullReport> {
  const url = new URL(what.url);
  const expected = readFileSync(what.expected);
  const buffer = Buffer.alloc(1024 * 1024);
  const times: PullTimes[] = [];
  let late: Promise<PullTimes> | undefined;
  let errors = 0;
  let firstError: string | undefined;
  const forgive = (error: unknown): undefined => {
    if (!tolerant) throw error;
    errors += 1;
    firstError ??= error instanceof Error ? error.message : String(error);
    return undefined;
  };
  const joinLate = (): void => {
    late = pull(url, { expected, buffer, via });
    // Awaited at the end; until then a failure is not handled.
    late.catch(() => undefined);
  };
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    const group = Array.from({ length: clients }, (_, i) =>
      pull(url, { expected, buffer, via, ...(lateJoiner && round === 0 && i === 0 ? { onHalf: joinLate } : {}) }).catch(
        forgive,
      ),
    );
    times.push(...(await Promise.all(group)).filter((each) => each !== undefined));
  }
  const wall = performance.now() - began;
  return {
    wall,
    bytes: expected.length * times.length,
    errors,
    ...(firstError === undefined ? {} : { firstError }),
    clients: times,
    ...(late === undefined ? {} : { lateJoiner: await late }),
  };
}
