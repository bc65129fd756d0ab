import { checkTlsFiles, composeRegistries, SettingsError } from '../../../app/index.ts';
import {
  ConfigError,
  type ConfigFlags,
  defaultFile,
  jsonSchema,
  type LoadedConfig,
  loadConfig,
  locateProblems,
  printConfig,
  printConfigJson,
} from '../../../config/index.ts';
import { reportConfigError } from '../../config-error.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';

export interface ValidateOptions {
  readonly flags: ConfigFlags;
  /** Whether the files and variables that the configuration names must exist. @default true */
  readonly references?: boolean;
}

/** `entrepot config validate`: shows every problem, or that the configuration is valid and which options have no effect. */
export async function validateConfig({ flags, references = true }: ValidateOptions, output: Output): Promise<number> {
  return withConfig({ flags, references, output }, async (loaded) => {
    const { source, notes, config } = loaded;
    try {
      // The registry map may define the default registry, and may be a URL; without it the registries cannot be checked.
      if (config.registry_map === undefined) composeRegistries(config);
      if (references) await checkTlsFiles(config);
    } catch (error) {
      throw error instanceof SettingsError ? locateProblems(loaded, error.problems) : error;
    }
    output.out(
      source === 'defaults' ? 'No configuration file was found; the defaults are valid.\n' : `${source} is valid\n`,
    );
    for (const note of notes) output.out(`  note: ${note}\n`);
  });
}

export interface PrintOptions {
  readonly flags: ConfigFlags;
  readonly json?: boolean;
}

/** `entrepot config print`: shows the effective configuration, and the source of each value. */
export async function showConfig({ flags, json = false }: PrintOptions, output: Output): Promise<number> {
  // Whether the certificates exist on this machine is the subject of `validate`.
  return withConfig({ flags, references: false, output }, async (loaded) => {
    output.out(json ? printConfigJson(loaded) : `# ${loaded.source}\n${await printConfig(loaded)}`);
  });
}

/** `entrepot config default` */
export function showDefault(output: Output): number {
  output.out(defaultFile());
  return EXIT.ok;
}

/** `entrepot config schema` */
export function showSchema(output: Output): number {
  output.out(formatJson(jsonSchema()));
  return EXIT.ok;
}

interface Loading {
  readonly flags: ConfigFlags;
  readonly references: boolean;
  readonly output: Output;
}

async function withConfig(
  { flags, references, output }: Loading,
  use: (loaded: LoadedConfig) => unknown,
): Promise<number> {
  try {
    await use(await loadConfig({ flags, checkReferences: references }));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    reportConfigError(error, output);
    return EXIT.config;
  }
}
