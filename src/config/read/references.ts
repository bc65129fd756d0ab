import { createReadStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import type * as z from 'zod';
import { type ConfigProblem, formatKey } from '../problems.ts';
import { isMarked } from '../schema/index.ts';
import { type Path, scalarsOf, type Tree } from '../tree.ts';
import type { Environment } from './environment.ts';
import { blankness, MAX_SECRET_BYTES, oddityOf } from './secrets.ts';

/** A tree with relative paths resolved against a base directory. */
export function resolvePaths(
  tree: Tree | undefined,
  { schema, base }: { readonly schema: z.ZodType; readonly base: string },
): Tree | undefined {
  function walk(at: Tree, path: Path): Tree {
    if (at.kind === 'map') {
      const entries = new Map([...at.entries].map(([key, value]) => [key, walk(value, [...path, key])] as const));
      return { ...at, entries };
    }
    if (at.kind === 'list') return { ...at, items: at.items.map((item, index) => walk(item, [...path, index])) };
    const value = at.value;
    const isPath =
      typeof value === 'string' && value !== '' && !value.includes('://') && isMarked(schema, path, 'path');
    // A path of Windows, or one that begins with ~, stays as it is: the schema refuses it.
    return isPath && !isAbsolute(value) && !/^(?:[A-Za-z]:[\\/]|~(?:\/|$))/.test(value)
      ? { ...at, value: resolve(base, value) }
      : at;
  }
  return tree === undefined ? undefined : walk(tree, []);
}

/** What was found of the variables and files that a configuration names. */
interface CheckedReferences {
  readonly problems: readonly ConfigProblem[];
  /** Secrets that look like a mistake, and credential helpers that cannot be run. */
  readonly notes: readonly ConfigProblem[];
}

/**
 * Checks that the variables, files and programs that a configuration names exist: secrets, certificates, the registry map,
 * credential helpers.
 * Directories are not checked: the cache creates its own.
 */
export async function checkReferences(
  tree: Tree | undefined,
  { schema, env }: { readonly schema: z.ZodType; readonly env: Environment },
): Promise<CheckedReferences> {
  const problems: ConfigProblem[] = [];
  const notes: ConfigProblem[] = [];
  for (const { path, source, value } of scalarsOf(tree)) {
    if (typeof value !== 'string') continue;
    const { problem, note } = await checkValue(value, { path, schema, env });
    const key = formatKey(path);
    if (problem !== undefined) problems.push({ source, key, message: problem });
    if (note !== undefined) notes.push({ source, key, message: note });
  }
  return { problems, notes };
}

/** The problem, or the note, that a value gives rise to. */
interface Finding {
  readonly problem?: string | undefined;
  readonly note?: string | undefined;
}

async function checkValue(
  value: string,
  { path, schema, env }: { readonly path: Path; readonly schema: z.ZodType; readonly env: Environment },
): Promise<Finding> {
  const isOfSecret = isMarked(schema, path.slice(0, -1), 'secret');
  if (path.at(-1) === 'env' && isOfSecret) {
    const text = env[value];
    if (text !== undefined) return checkSecret(text, `the variable ${value}`);
    return { problem: `the variable ${value} is not set; set it, or give the secret by {file: PATH}` };
  }
  if (path.at(-1) === 'helper') return checkHelper(value, env['PATH']);
  if (path.at(-1) === 'dir' || !isMarked(schema, path, 'path') || !isAbsolute(value)) return {};
  const problem = await checkFile(value);
  return problem === undefined && isOfSecret ? checkSecretFile(value) : { problem };
}

/** What execvp(3) searches without a PATH. */
const USUAL_PATH = '/bin:/usr/bin';

/** A helper that is not there is a note: it is run when a credential is needed, and may be installed later. */
async function checkHelper(name: string, searchPath: string = USUAL_PATH): Promise<Finding> {
  const program = `docker-credential-${name}`;
  for (const directory of searchPath.split(delimiter)) {
    try {
      await access(join(directory, program), constants.X_OK);
      return {};
    } catch {
      // The next directory may have it.
    }
  }
  return {
    note: `the program ${program} is not on the PATH (${searchPath}), so pulls with this credential fail. Install it there, or add its directory to the PATH of the server`,
  };
}

/** @param what the variable or the file, as the beginning of a sentence */
function checkSecret(text: string, what: string): Finding {
  const blank = blankness(text);
  if (blank !== undefined) return { problem: `${what} ${blank}; put the secret into it` };
  const oddity = oddityOf(text);
  return { note: oddity === undefined ? undefined : `${what} ${oddity}. Correct it, or leave it if it is meant so` };
}

/** Reads a secret as it is read at run time: the whole file without its last line break. */
async function checkSecretFile(path: string): Promise<Finding> {
  const chunks: Buffer[] = [];
  // One byte more than allowed: the path may be a device or an image by mistake.
  for await (const chunk of createReadStream(path, { end: MAX_SECRET_BYTES })) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (bytes.length > MAX_SECRET_BYTES) {
    return { problem: `${path} has over ${MAX_SECRET_BYTES} bytes, expected a file that holds the secret alone` };
  }
  return checkSecret(bytes.toString('utf8').replace(/\r?\n$/, ''), path);
}

/** Reads the first byte, which detects a missing, unreadable or empty file and a directory. */
async function checkFile(path: string): Promise<string | undefined> {
  try {
    for await (const _byte of createReadStream(path, { end: 0 })) return undefined;
    return `${path} is empty`;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return `${path} ${REASONS[code] ?? `cannot be read (${code})`}`;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist; create it, or correct the path',
  ENOTDIR: 'does not exist; create it, or correct the path',
  EACCES: 'may not be read by this user; change its owner or mode',
  EISDIR: 'is a directory, expected a file',
};
