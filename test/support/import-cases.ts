import { globSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type ImportOptions, importFiles } from '../../src/cli/commands/config/import.ts';
import { captureOutput } from './capture-output.ts';

/** Configurations of other programs, each in a directory with what they become: `expected.yaml`, `expected.txt`. */
export const IMPORT_CASES = fileURLToPath(new URL('../fixtures/migrate/', import.meta.url));

export interface Imported {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `entrepot import` in a directory. */
export async function runImport(
  files: readonly string[],
  options: Omit<ImportOptions, 'to' | 'stdin'> & { readonly stdin?: string | Buffer } = {},
): Promise<Imported> {
  const { output: to, said: result } = captureOutput();
  const stdin = Readable.from([Buffer.from(options.stdin ?? '')]);
  const code = await importFiles(files, { isTerminal: false, ...options, to, stdin });
  return { code, ...result };
}

/** The names of all cases. */
export function importCases(): readonly string[] {
  return globSync('*', { cwd: IMPORT_CASES }).sort();
}

/** The files of a case, relative to its directory, in order of their names. */
export function filesOf(name: string): readonly string[] {
  return globSync('**/*', { cwd: IMPORT_CASES + name, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('expected.'))
    .map((entry) => relative(IMPORT_CASES + name, join(entry.parentPath, entry.name)))
    .sort();
}
