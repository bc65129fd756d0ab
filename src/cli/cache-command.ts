import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { ControlError, callControl, controlSocketPath } from '../admin/index.ts';
import { ConfigError, type ConfigFlags, formatProblem, type LoadedConfig, loadConfig } from '../config/index.ts';
import {
  type BlobStore,
  DirectoryError,
  DirectoryInUseError,
  lockDirectory,
  type MetadataStore,
  openFilesystemBlobStore,
  openRecoveringMetadataStore,
} from '../store/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { EXIT } from './exit-code.ts';
import type { Output } from './output.ts';

/** A cache directory that no server runs on, locked by this command. */
export interface OwnedCache {
  readonly loaded: LoadedConfig;
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
}

/** Something to be done with the cache, by the server that runs on it or by hand. */
export interface CacheCommand<Answer> {
  readonly flags: ConfigFlags;
  readonly operation: string;
  readonly input: unknown;
  /** Whether the server answered in a form that can be shown. */
  readonly isAnswer: (value: unknown) => value is Answer;
  /** Does it where no server runs; undefined: it takes a server. */
  readonly alone?: (cache: OwnedCache) => Promise<Answer>;
  /** What is said where the configuration has no cache. */
  readonly whereOff?: string;
  /** Shows the answer and gives the exit code. @param dir the cache directory */
  readonly show: (answer: Answer, dir: string) => number | Promise<number>;
}

/** Purging a large cache takes its time; the server goes on where nobody waits any more. */
const TIMEOUT_MS = 600_000;

/**
 * Asks the server that runs on the configured cache directory to do something; where none does, takes the directory's
 * lock and does it.
 *
 * @returns the exit code
 */
export async function runCacheCommand<Answer>(command: CacheCommand<Answer>, output: Output): Promise<number> {
  let loaded: LoadedConfig;
  try {
    // What the server needs to run (certificates, secrets) need not be there for whoever tidies up.
    loaded = await loadConfig({ flags: command.flags, checkReferences: false });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return await askAllTheSame(command, error, output);
  }
  const { cache } = loaded.config;
  if (cache === 'off') {
    const { whereOff = 'The cache is off; name the directory of the one that is meant with --cache-dir.' } = command;
    output.err(`${whereOff}\n`);
    return EXIT.failure;
  }
  try {
    return await command.show(await ask(command, cache.dir, loaded), cache.dir);
  } catch (error) {
    if (!isExplained(error)) throw error;
    output.err(`${error.message}\n`);
    return EXIT.failure;
  }
}

/**
 * Where the configuration has problems: a running server goes on under the one it has, and is asked if only it can do what
 * is wanted. To reload, it must hear of the problems itself, or neither its log nor its metrics would tell of them.
 */
async function askAllTheSame<Answer>(
  command: CacheCommand<Answer>,
  { problems, cacheDir }: ConfigError,
  output: Output,
): Promise<number> {
  if (command.alone === undefined && cacheDir !== undefined) {
    try {
      return await command.show(await ask(command, cacheDir), cacheDir);
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
    }
  }
  for (const problem of problems) output.err(`${formatProblem(problem)}\n`);
  return EXIT.config;
}

/** @param loaded needed where the command can do without a server */
async function ask<Answer>(command: CacheCommand<Answer>, dir: string, loaded?: LoadedConfig): Promise<Answer> {
  const { operation, input, alone } = command;
  let answer: unknown;
  try {
    const options = { method: 'POST', input, timeoutMs: TIMEOUT_MS } as const;
    answer = await callControl(controlSocketPath(dir), operation, options);
  } catch (error) {
    if (!(error instanceof ControlError) || error.code !== 'not-running') throw error;
    if (alone !== undefined && loaded !== undefined) return await asOwner(loaded, dir, alone);
    throw new ControlError(
      'not-running',
      `No server runs on the cache directory ${dir}; start one with \`entrepot serve\`, or name another directory with --cache-dir.`,
      { cause: error },
    );
  }
  if (command.isAnswer(answer)) return answer;
  throw new ControlError('failed', 'The server answered in a form this version does not know; restart it.');
}

const ABSENT = "there is none. Name the server's configuration with --config, or the directory with --cache-dir.";

async function asOwner<T>(loaded: LoadedConfig, dir: string, work: (cache: OwnedCache) => Promise<T>): Promise<T> {
  // A server would make one where there is none; whoever tidies up has mistyped its name.
  await access(dir).catch((error: unknown) => {
    throw new DirectoryError(dir, (error as NodeJS.ErrnoException).code === 'ENOENT' ? new Error(ABSENT) : error);
  });
  const lock = await lockDirectory(dir);
  try {
    const store = await openFilesystemBlobStore(dir);
    const metadata = await openRecoveringMetadataStore({ file: join(dir, 'names.db'), telemetry: new Telemetry() });
    try {
      return await work({ loaded, store, metadata });
    } finally {
      await metadata.close();
    }
  } finally {
    await lock.release();
  }
}

/** True where the message says all there is to say: no trace of ours helps. */
function isExplained(error: unknown): error is Error {
  if (error instanceof ControlError || error instanceof DirectoryError || error instanceof DirectoryInUseError) {
    return true;
  }
  return error instanceof Error && ['OciError', 'NamesCorruptError', 'NamesVersionError'].includes(error.name);
}
