import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { ConfigFlags } from '../config/index.ts';
import { normalizeArguments, withCommand } from './argv.ts';
import type { CheckAtStart } from './check-at-start.ts';
import { EXIT } from './exit-code.ts';
import { type Output, processOutput } from './output.ts';

/** What `entrepot serve` was asked for. It loads the configuration itself, since it does so again on a reload. */
export interface ServeOptions {
  readonly flags: ConfigFlags;
  /** Whether upstreams are checked at the start, and what is done about one that cannot be reached. */
  readonly checkUpstreams?: CheckAtStart;
}

/** What `entrepot status` was asked for. */
export interface StatusOptions {
  /** They lead to the cache directory, and so to the server that runs on it. */
  readonly flags: ConfigFlags;
  readonly json: boolean;
}

/** What `entrepot gc` was asked for. */
export interface GcOptions extends StatusOptions {
  readonly dryRun: boolean;
  /** What to come down to, as it was written. */
  readonly maxSize?: string;
}

/** What `entrepot scrub` was asked for. */
export interface ScrubCommandOptions extends StatusOptions {
  /** End the one that runs. */
  readonly stop: boolean;
}

/** What `entrepot refresh` was asked for. */
export interface RefreshOptions extends StatusOptions {
  readonly patterns: readonly string[];
}

/** What `entrepot purge` was asked for. */
export interface PurgeCommandOptions extends RefreshOptions {
  readonly dryRun: boolean;
}

/** What `entrepot check` was asked for. */
export interface CheckCommandOptions {
  readonly flags: ConfigFlags;
  readonly json: boolean;
  /** Of registries, upstreams or routes; empty: all that are configured. */
  readonly names: readonly string[];
  /** Those that are known without configuration too. */
  readonly all: boolean;
  /** For one upstream, as it was written. */
  readonly timeout?: string;
}

/** The commands that run or reach a server. Each is imported when it is asked for: help and checks stay quick. */
export interface Commands {
  readonly serve: (options: ServeOptions) => Promise<number>;
  readonly status: (options: StatusOptions) => Promise<number>;
  readonly reload: (options: StatusOptions) => Promise<number>;
  readonly gc: (options: GcOptions) => Promise<number>;
  readonly scrub: (options: ScrubCommandOptions) => Promise<number>;
  readonly purge: (options: PurgeCommandOptions) => Promise<number>;
  readonly refresh: (options: RefreshOptions) => Promise<number>;
  readonly check: (options: CheckCommandOptions) => Promise<number>;
}

export interface RunOptions {
  /** @default the process's own streams */
  readonly output?: Output;
  /** @default the real ones */
  readonly commands?: Commands;
}

const lazyCommands: Commands = {
  serve: async (options) => (await import('./serve.ts')).serve(options),
  status: async (options) => (await import('./status.ts')).status(options),
  reload: async (options) => (await import('./reload.ts')).reload(options),
  gc: async (options) => (await import('./gc.ts')).gc(options),
  scrub: async (options) => (await import('./scrub.ts')).scrub(options),
  purge: async (options) => (await import('./purge.ts')).purge(options),
  refresh: async (options) => (await import('./refresh.ts')).refresh(options),
  check: async (options) => (await import('./check.ts')).check(options),
};

/**
 * Runs one command line, without the name of the program in front.
 *
 * @returns the exit code (see {@link EXIT})
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<number> {
  const { output = processOutput, commands = lazyCommands } = options;
  const result = { code: EXIT.ok as number };
  const program = await createProgram({ output, commands, finish: (code) => (result.code = code) });
  const given = normalizeArguments(argv);
  if (given.length === 0) {
    program.outputHelp();
    return EXIT.ok;
  }
  const serveFlags = program.commands.find((command) => command.name() === 'serve')?.options ?? [];
  const normal = withCommand(
    given,
    serveFlags.flatMap(({ short, long }) => [short, long]).filter((flag) => typeof flag === 'string'),
  );
  try {
    await program.parseAsync(normal, { from: 'user' });
    return result.code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for, and --version, end with 0; help in place of a missing command does not.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

interface ProgramOptions {
  readonly output: Output;
  readonly commands: Commands;
  readonly finish: (code: number) => void;
}

async function createProgram({ output, commands, finish }: ProgramOptions): Promise<Command> {
  const { formatVersion, readVersion } = await import('./version.ts');
  const program = new Command('entrepot')
    .description('A pull-through mirror for every container registry, on one port.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => output.out(text), writeErr: (text) => output.err(text) })
    .configureHelp({ showGlobalOptions: false })
    .version(formatVersion(readVersion()), '-V, --version', 'print the version, the build and the version of Node')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', ROOT_EXAMPLES);

  configFlags(program.command('serve'))
    .addOption(
      new Option('--check-upstreams [how]', 'check every configured upstream: warn (beside serving) or refuse to start')
        .choices(['warn', 'refuse'])
        .preset('warn'),
    )
    .description(
      'Run the server. Without any configuration it listens on 127.0.0.1:5000, knows every large registry and caches in ./data.',
    )
    .addHelpText('after', SERVE_EXAMPLES)
    .action(async ({ checkUpstreams }: { checkUpstreams?: CheckAtStart }, command: Command) => {
      const checks = checkUpstreams === undefined ? {} : { checkUpstreams };
      finish(await commands.serve({ flags: flagsOf(command), ...checks }));
    });

  const config = program
    .command('config')
    .description('Check and show the configuration.')
    .addHelpText('after', CONFIG_EXAMPLES);

  configFlags(config.command('validate'))
    .description('Say whether the configuration is valid: every problem at once, with file, line and what would do.')
    .addOption(new Option('--no-references', 'do not look for the files and variables it names (for checks elsewhere)'))
    .action(async (options: { references: boolean }, command: Command) => {
      const { validateConfig } = await import('./config.ts');
      finish(await validateConfig({ flags: flagsOf(command), references: options.references }, output));
    });
  configFlags(config.command('print'))
    .description('Print the configuration in effect, and where each value comes from. Secrets are left out.')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      const { showConfig } = await import('./config.ts');
      finish(await showConfig({ flags: flagsOf(command), json: options.json === true }, output));
    });
  config
    .command('default')
    .description('Print the default configuration, every option explained.')
    .action(async () => finish((await import('./config.ts')).showDefault(output)));
  config
    .command('schema')
    .description('Print the JSON Schema of the configuration, for editors.')
    .action(async () => finish((await import('./config.ts')).showSchema(output)));

  const ca = program
    .command('ca')
    .description('The certificate authority with which the forward proxy looks into tunnels (forward_proxy.mitm).')
    .addHelpText('after', CA_EXAMPLES);
  caFlags(ca.command('init'))
    .description('Make one: P-256, ten years, its key readable by you alone. Never overwrites one.')
    .action(async (_, command: Command) => {
      const { initCa } = await import('./ca.ts');
      finish(await initCa(caOptionsOf(command), output));
    });
  caFlags(ca.command('print'))
    .description('Print its certificate, for clients to trust.')
    .action(async (_, command: Command) => {
      const { printCa } = await import('./ca.ts');
      finish(await printCa(caOptionsOf(command), output));
    });

  program
    .command('status')
    .description('Show the running server of a cache directory: version, configuration, transfers.')
    .option('-c, --config <file>', 'configuration file that names the cache directory')
    .option('--cache-dir <dir>', 'cache directory of the server')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      finish(await commands.status({ flags: flagsOf(command), json: options.json === true }));
    });
  cacheFlags(program.command('reload'))
    .description('Tell the running server to read its configuration again, as SIGHUP does, and say what came of it.')
    .addHelpText('after', RELOAD_HELP)
    .action(async (options: { json?: boolean }, command: Command) => {
      finish(await commands.reload({ flags: flagsOf(command), json: options.json === true }));
    });
  program
    .command('check')
    .argument('[name...]', 'registries, upstreams or mirror routes; otherwise all that are configured')
    .description('Say whether each upstream can be reached from here, step by step, and what to do where it cannot.')
    .option('-c, --config <file>', 'configuration file; otherwise entrepot.yaml, .yml or .json is looked for')
    .option('--registry-map <file|url>', 'JSON of short names and registry URLs')
    .option('--all', 'the registries that are known without configuration too')
    .option('--timeout <time>', 'for one upstream, with all that is asked of it (otherwise 10s)')
    .option('--json', 'for programs')
    .addHelpText('after', CHECK_EXAMPLES)
    .action(async (names: string[], options: { json?: boolean; all?: boolean; timeout?: string }, command: Command) => {
      const { json = false, all = false, timeout } = options;
      const asked = { flags: flagsOf(command), json, names, all };
      finish(await commands.check({ ...asked, ...(timeout === undefined ? {} : { timeout }) }));
    });
  cacheFlags(program.command('gc'))
    .description('Evict what the cache may not hold, what was read longest ago first, or show what would go.')
    .option('--dry-run', 'show what would go, and leave it')
    .option('--max-size <size>', 'come down to this much (20GB) instead of the configured limits')
    .addHelpText('after', GC_EXAMPLES)
    .action(async (options: { json?: boolean; dryRun?: boolean; maxSize?: string }, command: Command) => {
      const { json = false, dryRun = false, maxSize } = options;
      const asked = { flags: flagsOf(command), json, dryRun };
      finish(await commands.gc({ ...asked, ...(maxSize === undefined ? {} : { maxSize }) }));
    });
  cacheFlags(program.command('scrub'))
    .description('Check everything that is stored, and put what is wrong into quarantine.')
    .option('--stop', 'end the one that runs')
    .addHelpText('after', SCRUB_EXAMPLES)
    .action(async (options: { json?: boolean; stop?: boolean }, command: Command) => {
      const { json = false, stop = false } = options;
      finish(await commands.scrub({ flags: flagsOf(command), json, stop }));
    });
  cacheFlags(program.command('purge'))
    .argument(
      '<pattern...>',
      'image, image:tag, image@digest, digest or mirror:route/path; * within one component, ** across',
    )
    .description('Forget images, tags, digests or answers of mirrored sites, and remove what nobody else has.')
    .option('--dry-run', 'show what would be forgotten, and leave it')
    .addHelpText('after', PURGE_EXAMPLES)
    .action(async (patterns: string[], options: { json?: boolean; dryRun?: boolean }, command: Command) => {
      const { json = false, dryRun = false } = options;
      finish(await commands.purge({ flags: flagsOf(command), json, dryRun, patterns }));
    });
  cacheFlags(program.command('refresh'))
    .argument('<pattern...>', 'image or image:tag; * within one component, ** across')
    .description('Ask now where tags point, and fetch the manifests of those that moved.')
    .addHelpText('after', REFRESH_EXAMPLES)
    .action(async (patterns: string[], options: { json?: boolean }, command: Command) => {
      finish(await commands.refresh({ flags: flagsOf(command), json: options.json === true, patterns }));
    });
  return program;
}

/** The flags that change the configuration: `serve` runs with them, `config validate` and `config print` show their effect. */
function configFlags(command: Command): Command {
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
function cacheFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file that names the cache directory')
    .option('--cache-dir <dir>', 'the cache directory', notEmpty)
    .option('--json', 'for programs');
}

function caFlags(command: Command): Command {
  return command
    .option('--dir <dir>', 'where it is (otherwise `ca` in the cache directory)', notEmpty)
    .option('-c, --config <file>', 'configuration file that names the cache directory')
    .option('--cache-dir <dir>', 'cache directory of the server', notEmpty);
}

function caOptionsOf(command: Command): { readonly flags: ConfigFlags; readonly dir: string | undefined } {
  return { flags: flagsOf(command), dir: command.opts<{ readonly dir?: string }>().dir };
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function notEmpty(value: string): string {
  if (value === '') throw new InvalidArgumentError('Expected the path of a directory.');
  return value;
}

function flagsOf(command: Command): ConfigFlags {
  const { cache, ...given } = command.opts<ConfigFlags>();
  const flags = Object.entries(given).filter(([key]) => !OWN_FLAGS.has(key));
  // commander says `true` where `--no-cache` is absent; the configuration should then decide.
  return { ...Object.fromEntries(flags), ...(cache === false ? { cache } : {}) };
}

/** Flags of the commands themselves, which say nothing about the configuration. */
const OWN_FLAGS: ReadonlySet<string> = new Set([
  'json',
  'dir',
  'dryRun',
  'maxSize',
  'stop',
  'references',
  'all',
  'timeout',
  'checkUpstreams',
]);

const ROOT_EXAMPLES = `
Examples:
  entrepot serve                                   on the defaults
  entrepot serve --config /etc/entrepot/entrepot.yaml
  entrepot config default > entrepot.yaml          a configuration to begin with
  entrepot config validate                         every problem at once

Every option can also be set by environment: ENTREPOT_CACHE__MAX_SIZE=50GB (two underscores between levels).
Exit codes: 0 done, 1 failed, 2 wrong command line, 78 wrong configuration.`;

const RELOAD_HELP = `
The server reads what it was started with: its own file, environment and flags. --config and --cache-dir only lead to it.
All of it is taken up, or none: a configuration with a problem changes nothing. Exit codes: 0 taken up, 78 refused.`;

const SERVE_EXAMPLES = `
Examples:
  entrepot serve --listen :5000 --cache-dir /var/lib/entrepot
  entrepot serve --domain-suffix mirror.example.com
  entrepot serve --default-registry https://registry-1.docker.io
  entrepot serve --no-cache --log-level debug
  entrepot serve --check-upstreams=refuse          start only where every configured upstream can be reached

Flags override variables (ENTREPOT_LOG__LEVEL=debug), and those the file. Flags written with one dash, as Go
programs have them (-listen=:5000), are understood too; a command line that begins with a flag means serve, and with
-validate or -print-default-config what those do in Rewriting Mirror.`;

const CHECK_EXAMPLES = `
Examples:
  entrepot check                                   every upstream of the configuration
  entrepot check docker.io ghcr.io
  entrepot check --json --timeout 5s

Each is asked by HEAD, or by GET for one byte, over the transport a pull takes; any status below 500 means that it can
be reached. Nothing is pulled or stored, and a running server is not disturbed. Exit codes: 0 all can be reached, 1 some
cannot, 2 wrong command line, 78 wrong configuration.`;

const GC_EXAMPLES = `
Examples:
  entrepot gc --dry-run                            what would go, and whose it is
  entrepot gc --max-size 20GB                      come down to 20 GB, whatever the configuration says

What is in use, pinned (cache.pin) or of a fresh tag is left. The running server does it; where none runs, the command.`;

const SCRUB_EXAMPLES = `
Examples:
  entrepot scrub                                   with progress; Ctrl-C leaves the server to it
  entrepot scrub --stop
  entrepot scrub --json                            what was wrong, for programs

The running server does it, beside everything else; where none runs, the command. What is wrong is fetched again when
it is asked for. Exit code 1: something was wrong, or not everything could be checked.`;

const PURGE_EXAMPLES = `
Examples:
  entrepot purge nginx                             docker.io/library/nginx, every tag of it
  entrepot purge ghcr.io/owner/app:1.2 'ghcr.io/owner/*:test-*'
  entrepot purge sha256:9f86d081884c7d65…          one digest, wherever it is
  entrepot purge ghcr.io --dry-run                 everything of a registry
  entrepot purge mirror:github 'mirror:hf/org/**'  answers of mirrored sites: of a route, of paths at the site

Pulls under way are not disturbed. Exit code 1: nothing fitted.`;

const REFRESH_EXAMPLES = `
Examples:
  entrepot refresh nginx:latest
  entrepot refresh 'ghcr.io/owner/**'              every tag that is known

It takes a running server. Exit code 1: a tag could not be refreshed, or none fitted.`;

const CONFIG_EXAMPLES = `
Examples:
  entrepot config default > entrepot.yaml
  entrepot config validate --config entrepot.yaml
  entrepot config print --log-level debug
  entrepot config schema > entrepot.schema.json

The configuration is found as entrepot.yaml, .yml or .json in the working directory, then in
~/.config/entrepot, then in /etc/entrepot; or it is named by --config or ENTREPOT_CONFIG_FILE.`;

const CA_EXAMPLES = `
Examples:
  entrepot ca init --cache-dir /var/lib/entrepot
  entrepot ca init --dir /etc/entrepot/ca
  entrepot ca print > /usr/local/share/ca-certificates/entrepot.crt && update-ca-certificates
  curl http://mirror.example.com:5000/ca.crt`;
