/**
 * Breaks the server in every way there is a row for, and says what it withstood: `npm run test:faults`.
 *
 * What is promised and what the figures mean is in docs/reliability.md. Nothing leaves the machine.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FaultOptions, readOptions, USAGE } from './options.ts';
import { perform, type Result } from './perform.ts';
import { ROWS } from './rows.ts';
import { drawTable } from './table.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: FaultOptions;
  try {
    options = readOptions(
      args,
      ROWS.map(({ id }) => id),
    );
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const { rounds, only, seed, json = fileURLToPath(new URL('../../.bench/faults.json', import.meta.url)) } = options;
  if (process.platform !== 'linux') {
    console.error('The fault suite reads /proc and kills process groups, for which it needs Linux.');
    return 2;
  }
  const startedAt = new Date();
  const results: Result[] = [];
  for (const row of ROWS.filter(({ id }) => only.length === 0 || only.includes(id))) {
    const result = await perform(row, { rounds, seed, progress });
    progress('');
    const word = result.met === undefined ? 'skipped' : result.met ? 'met' : 'MISSED';
    console.log(`${row.id}: ${word}, ${result.outcome.figure} (${Math.round(result.seconds)} s)`);
    results.push(result);
  }
  console.log(`\n${drawTable(results)}`);

  const seconds = Math.round((Date.now() - startedAt.getTime()) / 1000);
  await mkdir(dirname(json), { recursive: true });
  await writeFile(
    json,
    `${JSON.stringify({ startedAt, rounds, seed, seconds, node: process.version, results }, null, 2)}\n`,
  );
  console.log(`\n${seconds} s; the figures are in ${options.json ?? join('.bench', 'faults.json')}`);
  // With CI set, what cannot be tried has not been withstood.
  const isFailure = ({ met }: Result): boolean => met === false || (met === undefined && Boolean(process.env['CI']));
  return results.some(isFailure) ? 1 : 0;
}

/** One line that changes on a terminal, a line each elsewhere. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text !== '') process.stderr.write(`${text}\n`);
}
