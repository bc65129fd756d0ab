import { createReadStream } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { z } from 'zod';
import { type ConfigProblem, formatKey } from '../problems.ts';
import { isMarked } from '../schema/index.ts';
import { type Path, scalarsOf, type Tree } from '../tree.ts';
import type { Environment } from './environment.ts';

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
    // A path of Windows stays as it is: the schema refuses it.
    return isPath && !isAbsolute(value) && !/^[A-Za-z]:[\\/]/.test(value) ? { ...at, value: resolve(base, value) } : at;
  }
  return tree === undefined ? undefined : walk(tree, []);
}

/**
 * Checks that the variables and files that a configuration names exist: secrets, certificates, the registry map.
 * Directories are not checked: the cache creates its own.
 */
export async function checkReferences(
  tree: Tree | undefined,
  { schema, env }: { readonly schema: z.ZodType; readonly env: Environment },
): Promise<readonly ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const { path, source, value } of scalarsOf(tree)) {
    if (typeof value !== 'string') continue;
    const message = await checkValue(value, { path, schema, env });
    if (message !== undefined) problems.push({ source, key: formatKey(path), message });
  }
  return problems;
}

async function checkValue(
  value: string,
  { path, schema, env }: { readonly path: Path; readonly schema: z.ZodType; readonly env: Environment },
): Promise<string | undefined> {
  if (path.at(-1) === 'env' && isMarked(schema, path.slice(0, -1), 'secret')) {
    if ((env[value] ?? '') !== '') return undefined;
    return `the variable ${value} is not set; set it, or give the secret by {file: PATH}`;
  }
  const isFile = path.at(-1) !== 'dir' && isMarked(schema, path, 'path') && isAbsolute(value);
  return isFile ? checkFile(value) : undefined;
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
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a directory, expected a file',
};
