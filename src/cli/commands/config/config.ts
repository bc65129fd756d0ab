import {
  checkAccess,
  checkPlugins,
  checkSchedules,
  checkTlsFiles,
  composeRegistries,
  notesOf,
  SettingsError,
} from '../../../app/index.ts';
import {
  type ConfigFlags,
  defaultFile,
  formatProblem,
  jsonSchema,
  loadConfig,
  locateProblems,
  printConfig,
  printConfigJson,
} from '../../../config/index.ts';
import type { CommandOptions } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';

export interface ValidateOptions {
  readonly flags: ConfigFlags;
  /** Whether the files and variables that the configuration names must exist. @default true */
  readonly references?: boolean;
}

/** `entrepot config validate`: shows every problem, or that the configuration is valid and what in it needs attention. */
export function validateConfig({ flags, references = true }: ValidateOptions, output: Output): Promise<number> {
  return reportErrors(output, async () => {
    const loaded = await loadConfig({ flags, checkReferences: references });
    const { source, config } = loaded;
    let catalogue: ReturnType<typeof composeRegistries> | undefined;
    let known: Awaited<ReturnType<typeof checkAccess>>;
    try {
      // The registry map may define the default registry, and may be a URL; without it the registries cannot be checked.
      if (config.registryMap === undefined) catalogue = composeRegistries(config);
      if (catalogue !== undefined) checkSchedules(config, catalogue);
      if (references) {
        await checkTlsFiles(config);
        await checkPlugins(config);
      }
      if (references && catalogue !== undefined) known = await checkAccess(config, catalogue);
    } catch (error) {
      throw error instanceof SettingsError ? locateProblems(loaded, error.problems) : error;
    }
    output.out(
      source === 'defaults' ? 'No configuration file was found; the defaults are valid.\n' : `${source} is valid\n`,
    );
    for (const note of notesOf(loaded, catalogue, known)) output.out(`  note: ${formatProblem(note)}\n`);
    return EXIT.ok;
  });
}

/** `entrepot config print`: shows the effective configuration, and the source of each value. */
export function showConfig({ flags, json = false }: CommandOptions, output: Output): Promise<number> {
  return reportErrors(output, async () => {
    // Whether the certificates exist on this machine is the subject of `validate`.
    const loaded = await loadConfig({ flags, checkReferences: false });
    output.out(json ? printConfigJson(loaded) : `# ${loaded.source}\n${await printConfig(loaded)}`);
    return EXIT.ok;
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
