import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { SETUP_CLIENTS, type SetupClient } from '../../../clients/index.ts';
import { nearest } from '../../../lib/index.ts';
import { type CommandContext, notEmpty, optionsOf } from '../../command.ts';

/** Defines `setup`. Its action is imported when it runs. */
export function addClientCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
  program
    .command('setup')
    .addArgument(
      new Argument('[client]', 'without it, list the clients of this machine')
        .choices(SETUP_CLIENTS)
        .argParser(clientName),
    )
    .description('Point a client of this machine at the server: show the change of its files, apply it, undo it.')
    .option('--server <url>', 'address of the server as the client reaches it (without it, as the configuration says)')
    .option('-c, --config <file>', 'configuration file of the server, for its address')
    .option('--registries <names>', 'registries that get a file or table of their own: ghcr.io,quay.io', names)
    .option('--ca <file>', 'PEM certificate of the authority that signed the server’s certificate', notEmpty)
    .option('--apply', 'write the files, after a backup')
    .addOption(new Option('--undo', 'bring back what the files were before the first --apply').conflicts('apply'))
    .addOption(
      new Option('--dry-run', 'only show the change (the default; with --undo, what it brings back)').conflicts(
        'apply',
      ),
    )
    .option('--force', 'with --undo: also files that have been changed since')
    .option('--restart', 'with --apply or --undo: also run the command that makes the client read its files')
    .option('--user', 'the files of the current user (rootless) instead of those of the machine')
    .addOption(new Option('--system', 'the files of the machine, also without root').conflicts('user'))
    .option('--root <dir>', 'directory under which the files are, for an image that is being built', notEmpty)
    .option('-o, --output <file>', 'kubernetes: write the manifest to this file', notEmpty)
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (client: SetupClient | undefined, _, command: Command) => {
      const { setup } = await import('./setup.ts');
      finish(await setup({ ...optionsOf(command), client }, { output }));
    });
}

/** Programs that have no set-up of their own, with the client whose files they read. */
const READS_FILES_OF: ReadonlyMap<string, SetupClient> = new Map([
  ['skopeo', 'podman'],
  ['buildah', 'podman'],
  ['nerdctl', 'containerd'],
  ['buildx', 'buildkit'],
]);

function clientName(value: string): SetupClient {
  const known = SETUP_CLIENTS.find((client) => client === value);
  if (known !== undefined) return known;
  const other = READS_FILES_OF.get(value);
  if (other !== undefined) {
    throw new InvalidArgumentError(`${value} reads the files of ${other}: use entrepot setup ${other}.`);
  }
  const meant = nearest(value, SETUP_CLIENTS);
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
  throw new InvalidArgumentError(`Expected one of ${SETUP_CLIENTS.join(', ')}.${hint}`);
}

/** Names of registries, with commas between. They become names of directories. */
function names(value: string): readonly string[] {
  const all = value.split(',').map((each) => each.trim());
  const wrong = all.find(
    (each) => !/^(?:\*|_default|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?)$/.test(each),
  );
  if (wrong !== undefined) {
    throw new InvalidArgumentError(
      `Found ${JSON.stringify(wrong)}; expected names such as docker.io,registry.example.com:5000.`,
    );
  }
  return [...new Set(all)];
}

const EXAMPLES = `
Examples:
  entrepot setup                                   the clients of this machine, and which of them use the server
  entrepot setup docker                            show the change as a diff, and write nothing
  sudo entrepot setup docker --apply --restart     write it, and make Docker read it
  entrepot setup podman --server https://mirror.example.com --ca ca.crt --apply
  sudo entrepot setup containerd --registries _default,ghcr.io --apply
  entrepot setup kubernetes --server https://mirror.example.com | kubectl apply -f -
  sudo entrepot setup docker --undo                bring back the files of before, byte for byte

Comments, order, indentation and other mirrors stay. A file that cannot be parsed, or is written in an unusual way, is left
alone, and the message says what to add by hand. Backups are in /etc/entrepot/setup, or ~/.config/entrepot/setup.
Exit codes: 0 also where nothing has to change; 1 if a file was left alone or could not be written; 2 wrong command line.`;
