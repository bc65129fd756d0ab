import { link, lstat, open, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { composeRegistries, notesOf, SettingsError } from '../../../app/index.ts';
import {
  type ConfigProblem,
  checkSettings,
  formatProblem,
  loadConfig,
  locateProblems,
  type Tree,
} from '../../../config/index.ts';
import { ImportError, type ImportedFile, migrate } from '../../../migrate/index.ts';
import { EXIT } from '../../exit-code.ts';
import { count } from '../../format.ts';
import type { Output } from '../../output.ts';

export interface ImportOptions {
  readonly to: Output;
  /** The file to write; standard output without one. */
  readonly output?: string;
  /** Replaces the file. @default false */
  readonly force?: boolean;
  /** Whether standard output is a terminal, on which secrets are masked. @default that of the process */
  readonly isTerminal?: boolean;
  /** @default that of the process */
  readonly stdin?: Readable;
  /** The base of relative paths. @default that of the process */
  readonly cwd?: string;
}

/** A larger file is no configuration. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_FILES = 1000;
/** Lines of one kind that are shown. */
const MAX_SHOWN = 200;

/** A file that cannot be read or written. */
class FileError extends Error {}

/** `entrepot import`: prints or writes the configuration that the files become, and says what they do not become. */
export async function importFiles(files: readonly string[], options: ImportOptions): Promise<number> {
  const { to, output, force = false, cwd = process.cwd() } = options;
  try {
    const read = await readFiles(files, { stdin: options.stdin ?? process.stdin, cwd });
    const { lost, notes, files: recognised, toYaml } = await migrate(read, { check });
    const yaml = await toYaml({ masked: false });
    const warnings = await notesOn(yaml);
    for (const { label, programs } of recognised) to.err(`${label}: ${programs.join(', ')}\n`);
    if (output === undefined) {
      const masked = options.isTerminal ?? process.stdout.isTTY;
      to.out(masked ? await toYaml({ masked }) : yaml);
    } else await writeNew(resolve(cwd, output), yaml, { force, inputs: read });
    report('Not carried over:', lost, to);
    report('Good to know:', [...notes, ...warnings], to);
    if (output !== undefined)
      to.err(`Wrote ${output}. Check it with: entrepot config validate --config ${quoted(output)}\n`);
    return EXIT.ok;
  } catch (error) {
    if (error instanceof ImportError) {
      report('', error.problems, to);
      to.err(`Nothing was written: ${count(error.problems.length, 'problem')}.\n`);
      return EXIT.data;
    }
    if (!(error instanceof FileError)) throw error;
    to.err(`${error.message}\n`);
    return EXIT.failure;
  }
}

/** The problems of a configuration, those included that only show when its registries are put together. */
function check(settings: Tree): readonly ConfigProblem[] {
  const { config, problems } = checkSettings(settings);
  // A registry map is read when the server starts.
  if (problems.length > 0 || config.registryMap !== undefined) return problems;
  try {
    composeRegistries(config);
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return locateProblems({ settings }, error.problems).problems;
  }
}

/** Reads the configuration as the server would: it must be valid, and may be dangerous. */
async function notesOn(yaml: string): Promise<readonly ConfigProblem[]> {
  const loaded = await loadConfig({ env: { ENTREPOT_CONFIG: yaml }, checkReferences: false });
  const catalogue = loaded.config.registryMap === undefined ? composeRegistries(loaded.config) : undefined;
  // Its places are lines of the new configuration, which has no name yet.
  return notesOf(loaded, catalogue).map((note) => ({ ...note, source: undefined }));
}

function report(title: string, problems: readonly ConfigProblem[], to: Output): void {
  if (problems.length === 0) return;
  const indent = title === '' ? '' : '  ';
  if (title !== '') to.err(`${title}\n`);
  for (const problem of problems.slice(0, MAX_SHOWN)) to.err(`${indent}${printable(formatProblem(problem))}\n`);
  if (problems.length > MAX_SHOWN) to.err(`${indent}and ${problems.length - MAX_SHOWN} more\n`);
}

/** Keys and file names come from outside: no escape sequence of theirs reaches the terminal. */
function printable(text: string): string {
  return text.replace(/(?!\n)\p{Cc}/gu, '?');
}

async function readFiles(
  files: readonly string[],
  { stdin, cwd }: { readonly stdin: Readable; readonly cwd: string },
): Promise<readonly ImportedFile[]> {
  if (files.length > MAX_FILES) throw new FileError(`found ${files.length} files, and at most ${MAX_FILES} are read`);
  if (files.filter((file) => file === '-').length > 1)
    throw new FileError('found - a second time, and standard input can be read once');
  const read: ImportedFile[] = [];
  for (const file of files) read.push(file === '-' ? await readStdin(stdin) : await readFile(file, cwd));
  return read;
}

async function readStdin(stdin: Readable): Promise<ImportedFile> {
  const label = 'standard input';
  return { label, path: undefined, bytes: await readBounded(stdin, label) };
}

async function readFile(file: string, cwd: string): Promise<ImportedFile> {
  const path = resolve(cwd, file);
  const shown = relative(cwd, path);
  const label = printable(shown === '' || shown.startsWith('..') ? path : shown).replaceAll('\n', '?');
  try {
    const handle = await open(path);
    try {
      // A stream instead of readFile: the bound holds for pipes and devices too.
      return { label, path, bytes: await readBounded(handle.createReadStream({ end: MAX_FILE_BYTES }), label) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(`${label}: ${reasonOf(error)}`, { cause: error });
  }
}

async function readBounded(stream: Readable, label: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Buffer);
    size += bytes.length;
    if (size > MAX_FILE_BYTES) throw new FileError(`${label}: found more than 1 MiB, expected a configuration`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** Writes a file that only its owner can read, whole or not at all. */
async function writeNew(
  path: string,
  text: string,
  { force, inputs }: { readonly force: boolean; readonly inputs: readonly ImportedFile[] },
): Promise<void> {
  const [real, ...sources] = await Promise.all([path, ...inputs.map((input) => input.path)].map(realPath));
  if (real !== undefined && sources.includes(real))
    throw new FileError(`${path}: it is a file to import; write to another one`);
  const temporary = join(dirname(path), `.entrepot-import-${process.pid}`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (force) await replace(temporary, path);
    // Unlike a rename, a link never replaces a file.
    else await link(temporary, path);
  } catch (error) {
    throw new FileError(`${path}: ${reasonOf(error)}`, { cause: error });
  } finally {
    await rm(temporary, { force: true });
  }
}

async function replace(temporary: string, path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined && !found.isFile() && !found.isSymbolicLink()) {
    throw Object.assign(new Error('no file'), { code: 'EISDIR' });
  }
  await rename(temporary, path);
}

async function realPath(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : await realpath(path).catch(() => undefined);
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return REASONS[code] ?? `cannot be used (${code})`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'there is no such file or directory',
  EACCES: 'this user may not use it',
  EISDIR: 'found a directory, expected a file',
  EEXIST: 'it exists already; name another file, or replace it with --force',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
};

/** A file name as a shell takes it. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
