import { type Command, Option } from 'commander';
import { type CommandContext, cacheFlags, configFlags, flagsOf, type StatusOptions } from '../../command.ts';
import type { CheckCommandOptions } from './check.ts';
import type { CheckAtStart } from './check-at-start.ts';
import type { ServeOptions } from './serve.ts';

/** What the commands on a server do. */
export interface ServerActions {
  readonly serve: (options: ServeOptions) => Promise<number>;
  readonly status: (options: StatusOptions) => Promise<number>;
  readonly reload: (options: StatusOptions) => Promise<number>;
  readonly check: (options: CheckCommandOptions) => Promise<number>;
}

/** Each is imported when it is asked for: help and checks stay quick. */
export const serverActions: ServerActions = {
  serve: async (options) => (await import('./serve.ts')).serve(options),
  status: async (options) => (await import('./status.ts')).status(options),
  reload: async (options) => (await import('./reload.ts')).reload(options),
  check: async (options) => (await import('./check.ts')).check(options),
};

/** Defines `serve`, `status`, `reload` and `check`. */
export function addServerCommands(program: Command, { actions, finish }: CommandContext<ServerActions>): void {
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
      finish(await actions.serve({ flags: flagsOf(command), ...checks }));
    });
  program
    .command('status')
    .description('Show the running server of a cache directory: version, configuration, transfers.')
    .option('-c, --config <file>', 'configuration file that names the cache directory')
    .option('--cache-dir <dir>', 'cache directory of the server')
    .option('--json', 'for programs')
    .action(async (options: { json?: boolean }, command: Command) => {
      finish(await actions.status({ flags: flagsOf(command), json: options.json === true }));
    });
  cacheFlags(program.command('reload'))
    .description('Tell the running server to read its configuration again, as SIGHUP does, and say what came of it.')
    .addHelpText('after', RELOAD_HELP)
    .action(async (options: { json?: boolean }, command: Command) => {
      finish(await actions.reload({ flags: flagsOf(command), json: options.json === true }));
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
      finish(await actions.check({ ...asked, ...(timeout === undefined ? {} : { timeout }) }));
    });
}

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

const RELOAD_HELP = `
The server reads what it was started with: its own file, environment and flags. --config and --cache-dir only lead to it.
All of it is taken up, or none: a configuration with a problem changes nothing. Exit codes: 0 taken up, 78 refused.`;

const CHECK_EXAMPLES = `
Examples:
  entrepot check                                   every upstream of the configuration
  entrepot check docker.io ghcr.io
  entrepot check --json --timeout 5s

Each is asked by HEAD, or by GET for one byte, over the transport a pull takes; any status below 500 means that it can
be reached. Nothing is pulled or stored, and a running server is not disturbed. Exit codes: 0 all can be reached, 1 some
cannot, 2 wrong command line, 78 wrong configuration.`;
