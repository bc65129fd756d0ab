import { ConfigError } from '../config/index.ts';
import { EXIT } from './exit-code.ts';
import { count } from './format.ts';
import type { Output } from './output.ts';

/** Errors whose message says everything, by name: their classes are not loaded for every command. */
const EXPLAINED: Readonly<Record<string, number>> = {
  AccessStoreError: EXIT.failure,
  AccountError: EXIT.failure,
  SettingsError: EXIT.config,
  AuthorityError: EXIT.failure,
  BackupError: EXIT.failure,
  BundleError: EXIT.failure,
  ControlError: EXIT.failure,
  DirectoryError: EXIT.failure,
  DirectoryInUseError: EXIT.failure,
  HostedStoreError: EXIT.failure,
  HoldError: EXIT.failure,
  ImageListError: EXIT.data,
  ListFileError: EXIT.failure,
  MetadataCorruptError: EXIT.failure,
  MetadataVersionError: EXIT.failure,
  NoRulesError: EXIT.config,
  OciError: EXIT.failure,
  RebuildError: EXIT.failure,
  RecordError: EXIT.failure,
  SetupError: EXIT.failure,
};

/** A wrong argument that commander could not find: the command ends with {@link EXIT.usage}. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Runs a command. An error that explains itself becomes its message and an exit code; any other is thrown. */
export async function reportErrors(output: Output, command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (error) {
    if (error instanceof ConfigError) return reportConfigError(error, output);
    if (error instanceof UsageError) {
      output.err(`error: ${error.message}\n`);
      return EXIT.usage;
    }
    const code = error instanceof Error ? EXPLAINED[error.name] : undefined;
    if (!(error instanceof Error) || code === undefined) throw error;
    output.err(`${error.message}\n`);
    return code;
  }
}

/** Writes all problems of a configuration, one to a line, and their number. Gives the exit code. */
export function reportConfigError({ problems, message }: ConfigError, output: Output): number {
  output.err(`${message}\nThe configuration has ${count(problems.length, 'problem')}.\n`);
  return EXIT.config;
}
