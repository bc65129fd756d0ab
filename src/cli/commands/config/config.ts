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
import type { Output } from '../../output.ts';

export interface ValidateOptions {
  readonly flags: ConfigFlags;
  /** Whether the files and variables that the configuration names must be there. @default true */
  readonly references?: boolean;
}

/** `entrepot config validate`: every problem, or that there is none and what changes nothing. */
export async function validateConfig({ flags, references = true }: ValidateOptions, output: Output): Promise<number> {
  return withConfig({ flags, references, output }, async (loaded) => {
    const { source, notes, config } = loaded;
    try {
      // A default that only the registry map knows cannot be judged without the map, which may be a URL.
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

/** `entrepot config print`: the configuration in effect, and where each value comes from. */
export async function showConfig({ flags, json = false }: PrintOptions, output: Output): Promise<number> {
  // What is printed is what was written; whether a certificate lies on this machine is for `validate` to say.
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
  output.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
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
