import { type Command, Option } from 'commander';
import { type CommandContext, configFlags, directoryFlags, notEmpty, optionsOf } from '../../command.ts';

/** Defines `config` and `ca` with their own commands. Each action is imported when it runs. */
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

const CA_DIR = 'directory of the authority (without it, `ca` in the cache directory)';

const CONFIG_EXAMPLES = `
Examples:
  entrepot config default > entrepot.yaml
  entrepot config validate --config entrepot.yaml
  entrepot config print --log-level debug
  entrepot config schema > entrepot.schema.json

Without --config and ENTREPOT_CONFIG_FILE, the configuration is entrepot.yaml, .yml or .json in the working directory,
else in ~/.config/entrepot, else in /etc/entrepot.`;

const CA_EXAMPLES = `
Examples:
  entrepot ca init --cache-dir /var/lib/entrepot/data
  entrepot ca init --dir /etc/entrepot/ca
  entrepot ca print > /usr/local/share/ca-certificates/entrepot.crt && update-ca-certificates
  curl http://mirror.example.com:5000/ca.crt`;
