import { createReadStream } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { z } from 'zod';
import { type ConfigProblem, formatKey } from '../problems.ts';
import { isMarked } from '../schema/index.ts';
import type { Path, Tree } from '../tree.ts';
import type { Environment } from './environment.ts';

/** A tree whose relative paths are made absolute against the directory they were written in. */
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
    return isPath && !isAbsolute(value) ? { ...at, value: resolve(base, value) } : at;
  }
  return tree === undefined ? undefined : walk(tree, []);
}

/**
 * Looks whether what a configuration refers to is there: the variables and files of secrets, certificates, the registry
 * map. Directories are not looked for: the cache makes its own.
 */
export async function checkReferences(
  tree: Tree | undefined,
  { schema, env }: { readonly schema: z.ZodType; readonly env: Environment },
): Promise<readonly ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  async function walk(at: Tree, path: Path): Promise<void> {
    if (at.kind === 'map') {
      for (const [key, value] of at.entries) await walk(value, [...path, key]);
    } else if (at.kind === 'list') {
      for (const [index, item] of at.items.entries()) await walk(item, [...path, index]);
    } else if (typeof at.value === 'string') {
      const message = await checkValue(at.value, path);
      if (message !== undefined) problems.push({ source: at.source, key: formatKey(path), message });
    }
  }
  async function checkValue(value: string, path: Path): Promise<string | undefined> {
    const holder = path.slice(0, -1);
    if (path.at(-1) === 'env' && isMarked(schema, holder, 'secret')) {
      if ((env[value] ?? '') !== '') return undefined;
      return `the variable ${value} is not set; set it, or give the secret by {file: PATH}`;
    }
    const isFile = path.at(-1) !== 'dir' && isMarked(schema, path, 'path') && isAbsolute(value);
    return isFile ? checkFile(value) : undefined;
  }
  if (tree !== undefined) await walk(tree, []);
  return problems;
}

/** Reads the first byte, which finds all there is to find: missing, forbidden, a directory, empty. */
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
  ENOENT: 'is not there',
  ENOTDIR: 'is not there',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a directory, expected a file',
};
