import { readFileSync } from 'node:fs';
import { embeddedText } from '../lib/index.ts';

/** The version of this program, and its build. */
export interface Version {
  /** Semantic version, from package.json. */
  readonly version: string;
  /** The commit of the build; undefined in a checkout. */
  readonly commit: string | undefined;
  /** Time of the build, ISO 8601; undefined in a checkout. */
  readonly builtAt: string | undefined;
}

/**
 * Reads package.json, and beside it the build.json of a build (`{"commit": "…", "built_at": "…"}`).
 *
 * A single executable carries both. Otherwise they are in the directory above lib/ for a bundle, else two above src/cli.
 */
export function readVersion(): Version {
  const build = readJson('build.json');
  return {
    version: text(readJson('package.json')['version']) ?? 'unknown',
    commit: text(build['commit']),
    builtAt: text(build['built_at']),
  };
}

/** `entrepot 0.1.0 (commit 1a2b3c4, built 2026-01-31T12:00:00Z, Node 26.10.0)` */
export function formatVersion({ version, commit, builtAt }: Version): string {
  const details = [
    commit === undefined ? 'from a checkout' : `commit ${commit}`,
    ...(builtAt === undefined ? [] : [`built ${builtAt}`]),
    `Node ${process.versions.node}`,
  ];
  return `entrepot ${version} (${details.join(', ')})`;
}

function readJson(name: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(embeddedText(name) ?? readFileSync(besideProgram(name), 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // A missing version is no reason to fail.
    return {};
  }
}

function besideProgram(name: string): URL {
  const above = import.meta.filename.endsWith('.ts') ? '../..' : '..';
  return new URL(`${above}/${name}`, import.meta.url);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
