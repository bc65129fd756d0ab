import { type Command, Option } from 'commander';
import {
  type CommandContext,
  type CommandOptions,
  collect,
  configFlags,
  directoryFlags,
  optionsOf,
  serverFlags,
} from '../../command.ts';
import type { CheckCommandOptions } from './check.ts';
import type { ConsoleOptions } from './console.ts';
import type { DoctorOptions } from './doctor.ts';
import type { HealthcheckOptions } from './healthcheck.ts';
import type { ServeOptions } from './serve.ts';

/** The options of `status`. */
interface StatusOptions extends CommandOptions {
  /** Looks again every two seconds. @default false */
  readonly watch?: boolean;
}

/** The functions that the commands on a server run. Each is imported when it runs, so that `--help` stays quick. */
export const serverActions = {
  serve: async (options: ServeOptions) => (await import('./serve.ts')).serve(options),
  status: async ({ watch, ...options }: StatusOptions) =>
    watch === true
      ? (await import('./status-watch.ts')).watchStatus(options)
      : (await import('./status.ts')).status(options),
  reload: async (options: CommandOptions) => (await import('./reload.ts')).reload(options),
  console: async (options: ConsoleOptions) => (await import('./console.ts')).openConsole(options),
  check: async (options: CheckCommandOptions) => (await import('./check.ts')).check(options),
  healthcheck: async (options: HealthcheckOptions) => (await import('./healthcheck.ts')).healthcheck(options),
  doctor: async (options: DoctorOptions) => (await import('./doctor.ts')).doctor(options),
};
export type ServerActions = typeof serverActions;

/** Defines `serve`, `status`, `reload`, `console`, `check`, `doctor` and `healthcheck`. */
export function addServerCommands(program: Command, { actions, finish }: CommandContext<ServerActions>): void {
  configFlags(program.command('serve'))
    .addOption(
      new Option('--check-upstreams [how]', 'check every configured upstream: warn (while serving) or refuse to start')
        .choices(['warn', 'refuse'])
        .preset('warn'),
    )
    .description(
      'Run the server. Without a configuration it listens on 127.0.0.1:5000, knows every large registry and caches in ./data.',
    )
    .addHelpText('after', SERVE_EXAMPLES)
    .action(async (_, command: Command) => finish(await actions.serve(optionsOf(command))));
  serverFlags(program.command('status'))
    .option('-w, --watch', 'show it again every 2 s, until Ctrl-C; with --json, one line each time')
    .description('Show the running server of a cache directory: version, configuration, upstreams, transfers.')
    .action(async (_, command: Command) => finish(await actions.status(optionsOf(command))));
  serverFlags(program.command('reload'))
    .description('Make the running server read its configuration again, as SIGHUP does, and show the result.')
    .addHelpText('after', RELOAD_HELP)
    .action(async (_, command: Command) => finish(await actions.reload(optionsOf(command))));
  serverFlags(program.command('console'))
    .description('Open the page of the running server in a browser, with the right to change things.')
    .option('--print', 'print the address, and open nothing')
    .addHelpText('after', CONSOLE_HELP)
    .action(async (_, command: Command) => finish(await actions.console(optionsOf(command))));
  program
    .command('check')
    .argument('[name...]', 'registries, upstreams or mirror routes; without names, all that are configured')
    .description('Check step by step whether each upstream can be reached from here, and say how to fix it.')
    .option('-c, --config <file>', 'configuration file; without it, entrepot.yaml, .yml or .json is searched for')
    .option('--registry-map <file|url>', 'JSON of short names and registry URLs')
    .option('--all', 'check the built-in registries too')
    .option('--timeout <time>', 'for all requests to one upstream (10s without it)')
    .option('--json', 'print JSON')
    .addHelpText('after', CHECK_EXAMPLES)
    .action(async (names: string[], _, command: Command) =>
      finish(await actions.check({ ...optionsOf(command), names })),
    );
  program
    .command('healthcheck')
    .description('Ask the running server whether it is alive, for a container engine or a script.')
    .option('-c, --config <file>', 'configuration file that names the listeners')
    .option(
      '--url <url>',
      'ask this instead: http://HOST:PORT, https://HOST or unix:/PATH; /healthz unless it has a path',
    )
    .option('--timeout <time>', 'for the answer (3s without it)')
    .addHelpText('after', HEALTHCHECK_HELP)
    .action(async (_, command: Command) => finish(await actions.healthcheck(optionsOf(command))));
  directoryFlags(program.command('doctor'))
    .argument('[image]', 'an image that cannot be pulled: how its name is understood, and which step of its pull fails')
    .description('Examine the server, its disk, clock and upstreams, an image, and the clients of this machine.')
    .option('--server <url>', 'address of the server, if it runs on another machine or in a container')
    .option('--run', 'prove it: pull a canary of 2 KB with each client that is set up, and remove it again')
    .option('--wait', 'the same, but you start the pulls: the commands are shown')
    .option('--client <name>', 'only this client, as setup names it; may be repeated', collect)
    .option('--user <name>', 'log in at the server as this user, where it has rules (access); needs --password-stdin')
    .option('--password-stdin', 'read the password of --user from standard input')
    .option('--timeout <time>', 'for each step (10s without it; 1m for a pull)')
    .option('--json', 'print JSON')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (image: string | undefined, _, command: Command) =>
      finish(await actions.doctor({ ...optionsOf(command), image })),
    );
}

const SERVE_EXAMPLES = `
Examples:
  entrepot serve --listen :5000 --cache-dir /var/lib/entrepot/data
  entrepot serve --domain-suffix mirror.example.com
  entrepot serve --default-registry https://registry-1.docker.io
  entrepot serve --no-cache --log-level debug
  entrepot serve --check-upstreams=refuse          start only if every configured upstream can be reached

Flags override environment variables (ENTREPOT_LOG__LEVEL=debug), and these override the file. Flags may have one dash,
as in Go programs (-listen=:5000). A command line that begins with a flag means serve; with -validate or
-print-default-config it does what Rewriting Mirror does with them.`;

const RELOAD_HELP = `
The server reads its own file, environment and flags again. --config and --cache-dir here only lead to that server. It
applies the configuration as a whole: one with a problem changes nothing. Exit codes: 0 applied, 78 refused.`;

const CONSOLE_HELP = `
Examples:
  entrepot console                                 on a machine with a browser
  entrepot console --print                         elsewhere: an address to open on your own machine
  docker exec entrepot entrepot console --print    in a container

The address holds a code that lets one browser in, once, within a minute. Only the user of the server can get one: its control
socket has the mode 0600. Without a display, the address is printed. Exit codes: 0 success, 1 no server answers or it has no
page, 2 wrong command line.`;

const CHECK_EXAMPLES = `
Examples:
  entrepot check                                   every upstream of the configuration
  entrepot check docker.io ghcr.io
  entrepot check --json --timeout 5s

Each upstream gets a HEAD request, or a GET for one byte, over the same transport as a pull. Any status below 500 means
that it can be reached. The check pulls and stores nothing, and does not disturb a running server. Exit codes: 0 all can
be reached, 1 some cannot or refuse a login, 2 wrong command line, 78 wrong configuration.`;

const HEALTHCHECK_HELP = `
Examples:
  entrepot healthcheck                             the first listener of the configuration
  entrepot healthcheck --url http://127.0.0.1:5000/readyz --timeout 1s
  entrepot healthcheck --url unix:/run/entrepot/entrepot.sock

It prints one line. With --url it reads no configuration, and takes half the time. The certificate of a configured listener
and of a loopback address is not checked. If the server was started with --listen, name the address with --url.
Exit codes: 0 for an answer of 200 to 299, else 1; 2 wrong command line.`;
const DOCTOR_HELP = `
Examples:
  entrepot doctor                                  on the machine of the server
  entrepot doctor nginx:1.27                       why can this image not be pulled?
  entrepot doctor --run                            does docker (podman, …) on this machine use the server?
  entrepot doctor --server https://mirror.example.com --run       on a machine of its clients
  pass show mirror/alice | entrepot doctor ghcr.io/ours/app --user alice --password-stdin
  entrepot doctor --json | jq '.findings[] | select(.state == "failed")'

docker, containerd and podman fall back to the registry itself, without a message, when a mirror fails. The canary is an
image that this server alone has: its tag is random, and no upstream is asked for it. If a client can pull it, its pulls
come to this server. Nothing else is changed; an IMAGE counts as one pull at its upstream. Every finding has a remedy.
Exit codes: 0 nothing failed, 1 something did, 2 wrong command line, 78 wrong configuration, 130 interrupted.`;
