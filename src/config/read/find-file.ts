import { type FileHandle, open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { ConfigError } from '../problems.ts';
import type { Environment } from './environment.ts';

/** A larger file is not a configuration. */
const MAX_FILE_BYTES = 1024 * 1024;

const NAMES = ['entrepot.yaml', 'entrepot.yml', 'entrepot.json'] as const;

interface FoundFile {
  /** Absolute. */
  readonly path: string;
  /** For messages: relative to the working directory if the file is below it. */
  readonly label: string;
  readonly text: string;
}

/**
 * Reads the named file, or the first that exists: in the working directory, the user's configuration directory
 * (`$XDG_CONFIG_HOME/entrepot`, else `~/.config/entrepot`), `/etc/entrepot`.
 *
 * `config.yaml` is not searched for: it too often belongs to another program.
 *
 * @returns undefined if no file is named and none exists
 * @throws ConfigError for a named file that does not exist, and for a file that cannot be read
 */
export async function findFile(
  named: string | undefined,
  { cwd, env }: { readonly cwd: string; readonly env: Environment },
): Promise<FoundFile | undefined> {
  if (named !== undefined) return readNamed(resolve(cwd, named), cwd);
  for (const directory of directoriesOf(cwd, env)) {
    for (const name of NAMES) {
      const found = await readIfThere(join(directory, name), cwd);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function directoriesOf(cwd: string, env: Environment): readonly string[] {
  const xdg = env['XDG_CONFIG_HOME'];
  // XDG Base Directory Specification: a relative path is invalid and must be ignored.
  const home = xdg !== undefined && isAbsolute(xdg) ? xdg : join(env['HOME'] ?? homedir(), '.config');
  return [cwd, join(home, 'entrepot'), '/etc/entrepot'];
}

async function readNamed(path: string, cwd: string): Promise<FoundFile> {
  const found = await readIfThere(path, cwd);
  if (found !== undefined) return found;
  throw refusal(path, cwd, 'there is no such file');
}

async function readIfThere(path: string, cwd: string): Promise<FoundFile | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path);
    const chunks: Buffer[] = [];
    // A bounded stream instead of readFile: the bound holds for pipes and devices too (`--config /dev/stdin`).
    for await (const chunk of handle.createReadStream({ end: MAX_FILE_BYTES })) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    if (bytes.length > MAX_FILE_BYTES) throw refusal(path, cwd, 'found more than 1 MiB, expected a configuration');
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { path, label: labelOf(path, cwd), text };
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw refusal(path, cwd, REASONS[code] ?? `cannot be read (${code})`, error);
  } finally {
    await handle?.close();
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not read it',
  EISDIR: 'found a directory, expected a file',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'found bytes that are not UTF-8, expected text',
};

function refusal(path: string, cwd: string, reason: string, cause?: unknown): ConfigError {
  return new ConfigError([{ source: undefined, key: '', message: `${labelOf(path, cwd)}: ${reason}` }], { cause });
}

function labelOf(path: string, cwd: string): string {
  const label = relative(cwd, path);
  return label === '' || label.startsWith('..') || isAbsolute(label) ? path : label;
}
