import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface BenchOptions {
  /** Which benches, by id; empty means all. */
  readonly ids: readonly string[];
  readonly json: string | undefined;
  readonly size: number;
  readonly runs: number;
  readonly blobs: number;
  /** Clients and servers share every core. */
  readonly unpinned: boolean;
  /** Another checkout of entrepot, measured in the same run. */
  readonly beside: string | undefined;
}

export const USAGE = `usage: npm run bench -- [B1 … B17] [options]
  --size SIZE    of the blobs of B1, B3, B8 to B10, B13 and B17, half of B12's image, a fifth of B15's, such as 1GiB (default 256MiB)
  --runs N       how often each thing is measured, B12's a third as often; the median counts (default 3)
  --blobs N      in the full cache of B6, and the most of B7, up to 1000000 (default 100000)
  --unpinned     clients and servers share the cores, as on most hosts; B2's rates then mean little
  --beside DIR   B1, B3, B10 and B17 measure the entrepot of another checkout too, in turns
  --json FILE    where all samples go (default .bench/<time>.json)`;

const UNITS = { MiB: 2 ** 20, GiB: 2 ** 30 } as const;
const MIB = UNITS.MiB;

/** Reads the command line. @throws {RangeError | TypeError} saying what is wrong with it */
export function readOptions(args: readonly string[], known: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      unpinned: { type: 'boolean', default: false },
      beside: { type: 'string' },
      json: { type: 'string' },
      size: { type: 'string', default: '256MiB' },
      runs: { type: 'string', default: '3' },
      blobs: { type: 'string', default: '100000' },
    },
  });
  const ids = positionals.map((word) => word.toUpperCase());
  for (const id of ids) {
    if (!known.includes(id)) throw new RangeError(`Cannot run ${id}: there are ${known.join(', ')}`);
  }
  return {
    ids,
    json: values.json,
    size: readSize(values.size),
    runs: readCount('runs', values.runs, 20),
    unpinned: values.unpinned,
    beside: values.beside,
    blobs: readCount('blobs', values.blobs, 1_000_000),
  };
}

function readSize(text: string): number {
  const [, number, unit] = /^(\d+)(MiB|GiB)$/.exec(text) ?? [];
  const size = Number(number) * UNITS[(unit ?? 'MiB') as keyof typeof UNITS];
  // A blob is held in memory whole, here and in the client.
  if (size >= 16 * MIB && size <= 1024 * MIB) return size;
  throw new RangeError(`Cannot use --size ${text}: it must be from 16MiB to 1GiB`);
}

function readCount(name: string, text: string, most: number): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= most) return count;
  throw new RangeError(`Cannot use --${name} ${text}: it must be a number from 1 to ${most}`);
}
