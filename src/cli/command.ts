import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ConfigFlags } from '../config/index.ts';
import type { Output } from './output.ts';

/** What a group of commands is given to define its own. */
export interface CommandContext<Actions> {
  readonly output: Output;
  /** The functions that the commands run. */
  readonly actions: Actions;
  /** Takes the exit code of the command that ran. */
  readonly finish: (code: number) => void;
}

/** The options of a command that asks a server. */
export interface CommandOptions {
  readonly flags: ConfigFlags;
  /** Prints JSON. @default false */
  readonly json?: boolean;
  /** Cancels the call to the server. */
  readonly signal?: AbortSignal;
}

/** What a command that takes a while has around it; a test gives its own. */
export interface Surroundings {
  /** @default the process's own streams */
  readonly output?: Output;
  /** Whether progress is drawn in place. @default whether the stream it goes to is a terminal */
  readonly isTerminal?: boolean;
  /** Interrupts the command, as SIGINT does. */
  readonly interrupt?: AbortSignal;
}

/** The flags that change the configuration, for `serve`, `config validate` and `config print`. */
export function configFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file; without it, entrepot.yaml, .yml or .json is searched for')
    .option('--listen <address>', 'address to listen on: HOST:PORT, :PORT or unix:/PATH; may be repeated', collect)
    .option('--cache-dir <dir>', 'directory of the cache', notEmpty)
    .addOption(new Option('--no-cache', 'stream only, and store nothing').conflicts('cacheDir'))
    .option('--domain-suffix <name>', 'domain NAME under which ghcr.io.NAME means ghcr.io')
    .option('--default-registry <name|url>', 'registry of image names without one')
    .option('--registry-map <file|url>', 'JSON of short names and registry URLs')
    .option('--log-level <level>', 'debug, info, warn or error')
    .option('--log-format <format>', 'auto, json or console');
}

/** The flags that lead to a cache directory. */
export function directoryFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file that names the cache directory')
    .option('--cache-dir <dir>', 'cache directory of the server', notEmpty);
}

/** The flags of a command that asks the server of a cache directory. */
export function serverFlags(command: Command): Command {
  return directoryFlags(command).option('--json', 'print JSON');
}

/**
 * The options of `command`: `flags` for the configuration, all others under their own names. Those of its own are all
 * optional, and commander has checked them.
 */
export function optionsOf(command: Command): CommandOptions {
  const { cache, ...given } = command.opts<ConfigFlags>();
  const { flags = [], own = [] } = Object.groupBy(Object.entries(given), ([key]) =>
    CONFIG_FLAGS.has(key) ? 'flags' : 'own',
  );
  // commander says `true` where `--no-cache` is absent; the configuration decides then.
  return { ...Object.fromEntries(own), flags: { ...Object.fromEntries(flags), ...(cache === false ? { cache } : {}) } };
}

const CONFIG_FLAGS: ReadonlySet<string> = new Set<keyof ConfigFlags>([
  'config',
  'listen',
  'cacheDir',
  'domainSuffix',
  'defaultRegistry',
  'registryMap',
  'logLevel',
  'logFormat',
]);

/** Collects the values of a flag that may be repeated. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export function notEmpty(value: string): string {
  if (value === '') throw new InvalidArgumentError('Expected the path of a directory.');
  return value;
}
