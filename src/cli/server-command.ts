import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  ControlError,
  callControl,
  controlSocketPath,
  faultOfInput,
  OPERATOR,
  type Operation,
} from '../admin/index.ts';
import { ConfigError, type ConfigFlags, type LoadedConfig, loadConfig } from '../config/index.ts';
import {
  type BlobStore,
  DirectoryError,
  DirectoryInUseError,
  fullDisk,
  isFullDisk,
  lockDirectory,
  type MetadataStore,
  openFilesystemBlobStore,
  openRecoveringMetadataStore,
  refuseForeign,
} from '../store/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { reportErrors } from './errors.ts';
import { EXIT } from './exit-code.ts';
import type { Output } from './output.ts';

/** A cache directory without a running server, locked by this command. */
export interface OwnedCache {
  readonly loaded: LoadedConfig;
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
}

/** A command on the server of a cache directory. */
export interface ServerCommand<Input, Answer> {
  /** They lead to the cache directory, and so to its server. */
  readonly flags: ConfigFlags;
  readonly operation: Operation<Input, Answer, never>;
  readonly input: Input;
  /** Cancels the call. @default only its deadline does */
  readonly signal?: AbortSignal | undefined;
  /** Does the same without a server; undefined where only a running server can. */
  readonly alone?: ((cache: OwnedCache) => Answer | Promise<Answer>) | undefined;
  /** Without a server, makes a new cache directory where there is none. @default false */
  readonly create?: boolean;
  /** Asks a running server although the configuration has problems. @default only where the command cannot do without one */
  readonly despiteProblems?: boolean;
  /** Milliseconds to wait for another command that has the directory, or for a server that starts. @default 0 */
  readonly turnLimit?: number;
  /** The message where the configuration has no cache. */
  readonly whereOff?: string;
  /** Shows the answer and gives the exit code. @param dir the cache directory */
  readonly show: (answer: Answer, dir: string) => number | Promise<number>;
}

/**
 * Calls an operation of the server that runs on the configured cache directory. Where none runs, takes the lock of the
 * directory and does `alone`.
 *
 * @returns the exit code
 */
export function runServerCommand<Input, Answer>(
  command: ServerCommand<Input, Answer>,
  output: Output,
): Promise<number> {
  return reportErrors(output, async () => {
    let loaded: LoadedConfig;
    try {
      // Certificates and secrets of the server need not be readable to a command.
      loaded = await loadConfig({ flags: command.flags, checkReferences: false });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return await callDespiteProblems(command, error);
    }
    const { cache } = loaded.config;
    if (cache !== 'off') return await command.show(await callInTurn(command, cache.dir, loaded), cache.dir);
    const { whereOff = WHERE_OFF } = command;
    output.err(`${whereOff}\n`);
    return EXIT.failure;
  });
}

/**
 * A running server keeps its configuration while the file has problems, so a command that only the server can do still
 * reaches it. For a reload, the server must read the problems itself: its log and metrics report them.
 *
 * @throws {ConfigError} where no server answers, or the command does without one
 */
async function callDespiteProblems<Input, Answer>(
  command: ServerCommand<Input, Answer>,
  error: ConfigError,
): Promise<number> {
  const { alone, despiteProblems = alone === undefined } = command;
  if (!despiteProblems || error.cacheDir === undefined) throw error;
  try {
    return await command.show(await call(command, error.cacheDir), error.cacheDir);
  } catch (failure) {
    throw failure instanceof ControlError ? error : failure;
  }
}

/** Asks one operation. */
export type Ask<Context> = <Input, Answer>(
  operation: Operation<Input, Answer, Context>,
  input: Input,
) => Promise<Answer>;

/** A command that asks several operations of the server of a cache directory. */
export interface ServerSession<Context> {
  readonly flags: ConfigFlags;
  /** Cancels a call. @default only its deadline does */
  readonly signal?: AbortSignal | undefined;
  /** Without a server: makes what the operations act on, for the time of the work. */
  readonly alone: (cache: OwnedCache, work: (context: Context) => Promise<number>) => Promise<number>;
  /**
   * Asks, shows and gives the exit code. It is begun again where no server answered its first question, so it shows nothing
   * before the answer to that.
   */
  readonly work: (ask: Ask<Context>, loaded: LoadedConfig) => Promise<number>;
}

/**
 * As {@link runServerCommand}, for any number of questions: all of them go to the running server, or all to the directory.
 *
 * @returns the exit code
 */
export function runServerSession<Context>(session: ServerSession<Context>, output: Output): Promise<number> {
  const { flags, signal, alone, work } = session;
  return reportErrors(output, async () => {
    const loaded = await loadConfig({ flags, checkReferences: false });
    const { cache } = loaded.config;
    if (cache === 'off') {
      output.err(`${WHERE_OFF}\n`);
      return EXIT.failure;
    }
    const path = controlSocketPath(cache.dir);
    let isAnswered = false;
    try {
      return await work(async (operation, input) => {
        const answer = await callControl(path, operation, { input, ...(signal && { signal }) });
        isAnswered = true;
        return answer;
      }, loaded);
    } catch (error) {
      if (isAnswered || !(error instanceof ControlError) || error.code !== 'not-running') throw error;
    }
    return await asOwner({ loaded, dir: cache.dir, create: false }, (owned) =>
      alone(owned, (context) =>
        work(async (operation, input) => {
          const fault = faultOfInput(operation, input);
          if (fault !== undefined) throw new ControlError('failed', `Cannot do \`${operation.name}\`: ${fault}`);
          return await operation.handle(operation.input.parse(input), context, OPERATOR);
        }, loaded),
      ),
    );
  });
}

const WHERE_OFF = 'The configuration has no cache; name the cache directory with --cache-dir.';

/** Milliseconds between two attempts. */
const TURN_EVERY = 50;

/** Calls again while another process owns the directory without a control socket: other commands have done in moments. */
async function callInTurn<Input, Answer>(
  command: ServerCommand<Input, Answer>,
  dir: string,
  loaded: LoadedConfig,
): Promise<Answer> {
  const end = performance.now() + (command.turnLimit ?? 0);
  for (;;) {
    try {
      return await call(command, dir, loaded);
    } catch (error) {
      if (!(error instanceof DirectoryInUseError) || performance.now() >= end) throw error;
    }
    await delay(TURN_EVERY);
  }
}

/** @param loaded needed by `alone` only */
async function call<Input, Answer>(
  { operation, input, signal, alone, create = false }: ServerCommand<Input, Answer>,
  dir: string,
  loaded?: LoadedConfig,
): Promise<Answer> {
  try {
    return await callControl(controlSocketPath(dir), operation, { input, ...(signal && { signal }) });
  } catch (error) {
    if (!(error instanceof ControlError) || error.code !== 'not-running') throw error;
    if (alone !== undefined && loaded !== undefined) {
      const fault = faultOfInput(operation, input);
      if (fault !== undefined) throw new ControlError('failed', `Cannot do \`${operation.name}\`: ${fault}`);
      return await asOwner({ loaded, dir, create }, alone);
    }
    // Without its configuration, the problems of the file are what the operator must know.
    if (loaded !== undefined) await refuseForeign(dir);
    throw new ControlError(
      'not-running',
      `No server runs on the cache directory ${dir}; start one with \`entrepot serve\`, or name another directory with --cache-dir.`,
      { cause: error },
    );
  }
}

async function asOwner<T>(
  { loaded, dir, create }: { readonly loaded: LoadedConfig; readonly dir: string; readonly create: boolean },
  work: (cache: OwnedCache) => T | Promise<T>,
): Promise<T> {
  const lock = await lockDirectory(dir, { create });
  try {
    const metadata = await openRecoveringMetadataStore({ file: join(dir, 'names.db'), telemetry: new Telemetry() });
    try {
      const store = await openFilesystemBlobStore(dir);
      return await work({ loaded, store, metadata });
    } catch (error) {
      throw isFullDisk(error) ? new DirectoryError(dir, fullDisk(error)) : error;
    } finally {
      await metadata.close();
    }
  } finally {
    await lock.release();
  }
}
