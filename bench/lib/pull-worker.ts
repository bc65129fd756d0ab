import { readFileSync } from 'node:fs';
import { type PullTimes, pull } from './pull.ts';

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
}

/** What it says at the end, as JSON on standard output. Milliseconds. */
export interface PullReport {
  /** From the first connection to the last byte of the last client, the late joiner left out. */
  readonly wall: number;
  readonly bytes: number;
  readonly clients: readonly PullTimes[];
  readonly lateJoiner?: PullTimes;
}

const job = JSON.parse(process.argv[2] ?? '{}') as PullJob;
process.stdout.write(JSON.stringify(await work(job)));

async function work({ clients, rounds, lateJoiner, ...what }: PullJob): Promise<PullReport> {
  const url = new URL(what.url);
  const expected = readFileSync(what.expected);
  const buffer = Buffer.alloc(1024 * 1024);
  const times: PullTimes[] = [];
  let late: Promise<PullTimes> | undefined;
  const joinLate = (): void => {
    late = pull(url, { expected, buffer });
    // Awaited at the end; until then a failure is nobody's.
    late.catch(() => undefined);
  };
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    const group = Array.from({ length: clients }, (_, i) =>
      pull(url, { expected, buffer, ...(lateJoiner && round === 0 && i === 0 ? { onHalf: joinLate } : {}) }),
    );
    times.push(...(await Promise.all(group)));
  }
  const wall = performance.now() - began;
  return {
    wall,
    bytes: expected.length * clients * rounds,
    clients: times,
    ...(late === undefined ? {} : { lateJoiner: await late }),
  };
}
