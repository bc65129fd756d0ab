import { Argument, type Command, Option } from 'commander';
import { type CommandContext, configFlags, directoryFlags, notEmpty, optionsOf, serverFlags } from '../../command.ts';
import { loadBundleImport } from '../carry/index.ts';
import type { RuleAction } from './access.ts';

/** Defines `config`, `plugin`, `access` and `ca` with their own commands. Each action is imported when it runs. */
export function addConfigCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
  const config = program
    .command('config')
    .description('Check and show the configuration.')
    .addHelpText('after', CONFIG_EXAMPLES);

  configFlags(config.command('validate'))
    .description('Check the configuration, and show every problem at once, with file, line and remedy.')
    .addOption(new Option('--no-references', 'skip the files and variables it names (to check it on another machine)'))
    .action(async (_, command: Command) => {
      const { validateConfig } = await import('./config.ts');
      finish(await validateConfig(optionsOf(command), output));
    });
  configFlags(config.command('print'))
    .description('Print the effective configuration, and the source of each value. Secrets are left out.')
    .option('--json', 'print JSON')
    .action(async (_, command: Command) => {
      const { showConfig } = await import('./config.ts');
      finish(await showConfig(optionsOf(command), output));
    });
  config
    .command('default')
    .description('Print the default configuration, with every option explained.')
    .action(async () => finish((await import('./config.ts')).showDefault(output)));
  config
    .command('schema')
    .description('Print the JSON Schema of the configuration, for editors.')
    .action(async () => finish((await import('./config.ts')).showSchema(output)));

  const plugin = program
    .command('plugin')
    .description(
      'Test a routing plugin: a module that orders the upstreams of a registry (registries[].strategy.plugin).',
    )
    .addHelpText('after', PLUGIN_HELP);
  plugin
    .command('test')
    .argument('<file>', 'the module, such as ./routing.mjs')
    .option('--upstreams <names>', 'names of your upstreams, separated by commas (without it, near,far,spare)')
    .option('--json', 'print JSON')
    .description('Ask it in every situation that a server may put it in, and show what it answers and does wrong.')
    .action(async (file: string, _: unknown, command: Command) => {
      const { testRoutingPlugin } = await import('./plugin.ts');
      finish(await testRoutingPlugin({ ...optionsOf(command), file }, output));
    });

  serverFlags(program.command('import'))
    .argument('<file...>', 'bundles, or files of other programs, recognised by their content; - is standard input')
    .description(
      'Import the images of a bundle, or turn the configuration of another program into one of this program.',
    )
    .option(
      '-o, --output <file>',
      'write it to a new file, readable by you alone, instead of standard output',
      notEmpty,
    )
    .option('--force', 'replace the file of --output if it exists')
    .addHelpText('after', IMPORT_HELP)
    .action(async (files: readonly string[], options: ImportFlags, command: Command) => {
      const { output: file, force } = options;
      const { lookAtFiles, importBundles } = await loadBundleImport();
      const { areBundles, stdin } = await lookAtFiles(files);
      if (areBundles) {
        const isForConfiguration = file !== undefined || force === true;
        finish(await importBundles({ ...optionsOf(command), files, isForConfiguration }, { output, stdin }));
        return;
      }
      const { importFiles } = await import('./import.ts');
      finish(await importFiles(files, { ...options, to: output, stdin }));
    });

  const access = program
    .command('access')
    .description('Explain the rules of access, and find those that are needed.')
    .addHelpText('after', ACCESS_EXAMPLES);
  access
    .command('explain')
    .argument('<who>', 'a user, token:NAME, or anonymous')
    .addArgument(
      new Argument('<action>', 'what is to be done').choices([
        'pull',
        'catalog',
        'push',
        'delete',
        'status',
        'admin',
        'proxy',
      ]),
    )
    .argument('[image]', 'for pull, catalog, push and delete: an image; for pull also mirror:NAME/PATH')
    .option('-c, --config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .description('Say which rule of the configuration allows it, or that none does. Asks no server.')
    .action(async (who: string, action: RuleAction, image: string | undefined, _: unknown, command: Command) => {
      const { explain } = await import('./access.ts');
      finish(await explain({ ...optionsOf(command), who, action, image }, output));
    });

  serverFlags(access.command('suggest'))
    .option('--since <duration>', 'how far back, such as 30d or 12h (without it, 30d)')
    .option('--generalize', 'let registry/namespace/** stand for three repositories or more of a namespace')
    .description('Write the rules that the requests of the last time needed, as YAML for the place under access:.')
    .addHelpText('after', SUGGEST_HELP)
    .action(async (_, command: Command) => {
      const { suggest } = await import('./suggest.ts');
      finish(await suggest(optionsOf(command), output));
    });

  const ca = program
    .command('ca')
    .description('Manage the certificate authority with which the forward proxy decrypts tunnels (forward_proxy.mitm).')
    .addHelpText('after', CA_EXAMPLES);
  directoryFlags(ca.command('init'))
    .option('--dir <dir>', CA_DIR, notEmpty)
    .description(
      'Create an authority: P-256, valid for ten years, its key readable by you alone. Never overwrites one.',
    )
    .action(async (_, command: Command) => {
      const { initCa } = await import('./ca.ts');
      finish(await initCa(optionsOf(command), output));
    });
  directoryFlags(ca.command('print'))
    .option('--dir <dir>', CA_DIR, notEmpty)
    .description('Print the certificate of the authority, for clients to trust.')
    .action(async (_, command: Command) => {
      const { printCa } = await import('./ca.ts');
      finish(await printCa(optionsOf(command), output));
    });
}

const PLUGIN_HELP = `
The plugin runs as at a server: in a thread of its own, with 250 ms for each answer. What it prints is shown.

Examples:
  entrepot plugin test ./routing.mjs
  entrepot plugin test ./routing.mjs --upstreams hot,cold

Exit codes of test: 0 it keeps the contract, 1 it breaks it, 2 wrong command line.`;

const ACCESS_EXAMPLES = `
Examples:
  entrepot access explain anonymous pull nginx
  entrepot access explain alice pull ghcr.io/ours/app --config /etc/entrepot/entrepot.yaml
  entrepot access explain alice pull mirror:github/owner/app/archive/main.tar.gz
  entrepot access explain token:ci push apps/web
  entrepot access explain prometheus status
  entrepot access suggest --since 30d > rules.yaml

Exit codes of explain: 0 allowed, 1 refused, 2 wrong command line, 78 no access: or a wrong configuration.`;

const SUGGEST_HELP = `
While a server has access:, it counts by the hour who did what, and what was refused: users, repositories and actions, no
addresses and no tags. This command makes rules of it: one for each group of principals with the same needs, with the exact
names of the repositories, and with comments that say how often and when each was needed. What was refused is listed in
comments. Nothing is changed: read the rules, and put them into the configuration yourself.

Without rules yet, begin with access: {audit: true}: it lets pulls of public content through that no rule allows.

Examples:
  entrepot access suggest
  entrepot access suggest --since 7d --generalize
  entrepot access suggest --json --config /etc/entrepot/entrepot.yaml

The running server answers. If none runs, the command reads the cache directory itself. Exit code 1: nothing was observed.`;

const CA_DIR = 'directory of the authority (without it, `ca` in the cache directory)';

const CONFIG_EXAMPLES = `
Examples:
  entrepot config default > entrepot.yaml
  entrepot config validate --config entrepot.yaml
  entrepot config print --log-level debug
  entrepot config schema > entrepot.schema.json

Without --config and ENTREPOT_CONFIG_FILE, the configuration is entrepot.yaml, .yml or .json in the working directory,
else in ~/.config/entrepot, else in /etc/entrepot.`;

interface ImportFlags {
  readonly output?: string;
  readonly force?: boolean;
}

const IMPORT_HELP = `
A bundle is what \`entrepot export\` writes, or any OCI image layout in a tar archive whose images have full names. Its images go into the
cache of the running server, or of --cache-dir where none runs. Every blob is verified by its digest before it counts. An image that
lacks something, or is damaged, is refused, and nothing of it is recorded. The same command again changes nothing.
  entrepot import bundle.tar
  entrepot import monday.tar friday.tar            a bundle, then one that was made with --since
  ssh far entrepot export nginx:1.27 -o - | entrepot import -

Understands the files, flags and variables of Rewriting Mirror, Container Registry Mirrors, Mirror Registry, crproxy, docxy and
wharf, Mirror-RegistryX, distribution (registry:2 and registry:3) and hubproxy; of clients: registries.yaml of k3s,
hosts.toml and config.toml of containerd, registries.conf of podman and CRI-O, daemon.json of Docker. Variables and flags are
also found in compose files, units of systemd, Kubernetes manifests and shell lines.

The configuration goes to standard output, each line with a comment that says where it comes from. What is not carried over
goes to standard error, with the reason and what to do instead. Several files become one configuration: of two values for one
option, the later is used, and the contradiction is named. No host is contacted, and no program is run.

Examples:
  entrepot import config.yaml > entrepot.yaml
  entrepot import config.yaml mirror.env -o entrepot.yaml
  entrepot import /etc/containerd/certs.d/*/hosts.toml -o /etc/entrepot/entrepot.yaml
  systemctl cat crproxy | entrepot import -
  entrepot import docker-compose.yml registrymap.json

On a terminal, secrets are shown as ***; in a file and in a pipe they are complete.
Exit codes: 0 success, also where something is not carried over; 1 a file cannot be read or written, or an image of a bundle was
refused; 65 a file is of no program that import knows, or has mistakes.`;

const CA_EXAMPLES = `
Examples:
  entrepot ca init --cache-dir /var/lib/entrepot/data
  entrepot ca init --dir /etc/entrepot/ca
  entrepot ca print > /usr/local/share/ca-certificates/entrepot.crt && update-ca-certificates
  curl http://mirror.example.com:5000/ca.crt`;
