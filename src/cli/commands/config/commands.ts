import { type Command, Option } from 'commander';
import type { ConfigFlags } from '../../../config/index.ts';
import { type CommandContext, configFlags, flagsOf, notEmpty } from '../../command.ts';

/** Defines `config` and `ca` with their own commands. */
export function addConfigCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
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
