import { Command, CommanderError } from 'commander';
import { normalizeArguments, withCommand } from './argv.ts';
import type { CommandContext } from './command.ts';
import {
  addAccountCommands,
  addCacheCommands,
  addCarryCommands,
  addClientCommands,
  addConfigCommands,
  addHostedCommands,
  addPullCommands,
  addServerCommands,
  addWebhookCommands,
  type CacheActions,
  cacheActions,
  type PullActions,
  pullActions,
  type ServerActions,
  serverActions,
} from './commands/index.ts';
import { EXIT } from './exit-code.ts';
import { withSubstitute } from './foreign-flags.ts';
import { type Output, processOutput } from './output.ts';

/** The functions of the commands that run or reach a server. */
export type Actions = ServerActions & PullActions & CacheActions;

export interface RunOptions {
  /** @default the process's own streams */
  readonly output?: Output;
  /** A test gives its own. */
  readonly actions?: Actions;
}

/**
 * Runs one command line, without the name of the program in front.
 *
 * @returns the exit code (see {@link EXIT})
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<number> {
  const { output = processOutput, actions = { ...serverActions, ...pullActions, ...cacheActions } } = options;
  const result = { code: EXIT.ok as number };
  const program = await createProgram({ output, actions, finish: (code) => (result.code = code) });
  const given = normalizeArguments(argv);
  if (given.length === 0) {
    program.outputHelp();
    return EXIT.ok;
  }
  const serveFlags = program.commands.find((command) => command.name() === 'serve')?.options ?? [];
  const normal = withCommand(
    withHelp(given, program),
    serveFlags.flatMap(({ short, long }) => [short, long]).filter((flag) => typeof flag === 'string'),
  );
  try {
    await program.parseAsync(normal, { from: 'user' });
    return result.code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // --help and --version end with 0; the help shown for a missing command does not.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

async function createProgram(context: CommandContext<Actions>): Promise<Command> {
  const { formatVersion, readVersion } = await import('./version.ts');
  const { output } = context;
  const program = new Command('entrepot')
    .description('A pull-through mirror for every container registry, on one port.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.out(text),
      writeErr: (text) => output.err(text),
    })
    // Narrower than its usual 40: the longest command of a page must not keep the page from being wrapped.
    .configureHelp({ showGlobalOptions: false, minWidthToWrap: 30 })
    .version(formatVersion(readVersion()), '-V, --version', 'print the version, the build and the version of Node')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', ROOT_EXAMPLES);

  addServerCommands(program, context);
  addPullCommands(program, context);
  addConfigCommands(program, context);
  addCacheCommands(program, context);
  addCarryCommands(program, context);
  addAccountCommands(program, context);
  addWebhookCommands(program, context);
  addHostedCommands(program, context);
  addClientCommands(program, context);
  nameHelpInErrors(program, program.name());
  return program;
}

/** An error about a command line names the command whose help explains it. */
function nameHelpInErrors(command: Command, words: string): void {
  command.showHelpAfterError(`(see ${words} --help)`);
  // A command line that begins with a flag means serve.
  const { options } = command.commands.find((inner) => inner.name() === 'serve') ?? command;
  const known = options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []));
  command.configureOutput({ outputError: (text, write) => write(withSubstitute(text, known)) });
  for (const inner of command.commands) nameHelpInErrors(inner, `${words} ${inner.name()}`);
}

/**
 * Makes `help config print` the same as `config print --help`. Where a command does not exist, the request for help is left
 * out, so that commander reports the unknown command instead of showing the help of the program.
 */
function withHelp(argv: readonly string[], program: Command): readonly string[] {
  const asked = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  if (!asked.includes('--help') && !asked.includes('-h')) return asked;
  const firstFlag = asked.findIndex((argument) => argument.startsWith('-'));
  const words = asked.slice(0, firstFlag);
  let command = program;
  for (const word of words) {
    const inner = command.commands.find((each) => each.name() === word);
    if (inner === undefined) return command.commands.length === 0 ? asked : words;
    command = inner;
  }
  return asked;
}

const ROOT_EXAMPLES = `
Examples:
  entrepot serve                                   with the defaults
  entrepot serve --config /etc/entrepot/entrepot.yaml
  entrepot config default > entrepot.yaml          a configuration to start from
  entrepot config validate                         show every problem at once

Every option can also be an environment variable: ENTREPOT_CACHE__MAX_SIZE=50GB (two underscores between levels).
Exit codes: 0 success, 1 failure, 2 wrong command line, 65 a file that cannot be imported, 78 wrong configuration.`;
