import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ConfigFlags } from '../config/index.ts';
import type { Output } from './output.ts';

/** What every group of commands is given to define its own. */
export interface CommandContext<Actions> {
  readonly output: Output;
  /** What the commands do. */
  readonly actions: Actions;
  /** Takes the exit code of the command that ran. */
  readonly finish: (code: number) => void;
}

/** What a command on a running server was asked for. */
export interface StatusOptions {
  /** They lead to the cache directory, and so to the server that runs on it. */
  readonly flags: ConfigFlags;
  readonly json: boolean;
}

/** The flags that change the configuration: `serve` runs with them, `config validate` and `config print` show their effect. */
export function configFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file; otherwise entrepot.yaml, .yml or .json is looked for')
    .option('--listen <address>', 'where to listen: HOST:PORT, :PORT or unix:/PATH; may be repeated', collect)
    .option('--cache-dir <dir>', 'directory of the cache', notEmpty)
    .addOption(new Option('--no-cache', 'only stream, store nothing').conflicts('cacheDir'))
    .option('--domain-suffix <name>', 'name under which ghcr.io.NAME means ghcr.io')
    .option('--default-registry <name|url>', 'registry of names that say none')
    .option('--registry-map <file|url>', 'JSON of short names and registry URLs')
    .option('--log-level <level>', 'debug, info, warn or error')
    .option('--log-format <format>', 'auto, json or console');
}

/** The flags that lead to a cache directory. */
export function cacheFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file that names the cache directory')
    .option('--cache-dir <dir>', 'the cache directory', notEmpty)
    .option('--json', 'for programs');
}

/** The flags of `command` that change the configuration or lead to it. */
export function flagsOf(command: Command): ConfigFlags {
  const { cache, ...given } = command.opts<ConfigFlags>();
  const flags = Object.entries(given).filter(([key]) => CONFIG_FLAGS.has(key));
  // commander says `true` where `--no-cache` is absent; the configuration should then decide.
  return { ...Object.fromEntries(flags), ...(cache === false ? { cache } : {}) };
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

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export function notEmpty(value: string): string {
  if (value === '') throw new InvalidArgumentError('Expected the path of a directory.');
  return value;
}
