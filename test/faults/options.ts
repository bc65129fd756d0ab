import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Rounds } from './lib/stage.ts';

/** What the command line asks for. */
export interface FaultOptions {
  readonly rounds: Rounds;
  /** Rows by id; empty means all. */
  readonly only: readonly string[];
  readonly json: string | undefined;
  /** What rows that say their seed draw from. */
  readonly seed: number;
}

export const USAGE = `usage: npm run test:faults -- [options]
  --rounds N     the short form (about eight minutes) N times over, or \`long\`: some hours (default 1)
  --only NAME    this row alone; may be repeated
  --seed N       what the row \`segments\` draws from, to repeat a run (default another one each time, which the row says)
  --json FILE    where the figures go (default .bench/faults.json)`;

const MAX_ROUNDS = 1000;
const MAX_SEED = 2 ** 32;

/** Reads the command line. @throws {RangeError | TypeError} saying what is wrong with it */
export function readOptions(args: readonly string[], known: readonly string[]): FaultOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '1' },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      seed: { type: 'string', default: String(randomInt(MAX_SEED)) },
    },
  });
  for (const id of values.only) {
    if (!known.includes(id)) throw new RangeError(`Cannot run ${id}: there are ${known.join(', ')}`);
  }
  return { rounds: readRounds(values.rounds), only: values.only, json: values.json, seed: readSeed(values.seed) };
}

function readSeed(text: string): number {
  const seed = Number(text);
  if (/^\d+$/.test(text) && seed < MAX_SEED) return seed;
  throw new RangeError(`Cannot use --seed ${text}: it must be a number from 0 to ${MAX_SEED - 1}`);
}

function readRounds(text: string): Rounds {
  if (text === 'long') return 'long';
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MAX_ROUNDS) return count;
  throw new RangeError(`Cannot use --rounds ${text}: it must be a number from 1 to ${MAX_ROUNDS}, or "long"`);
}
