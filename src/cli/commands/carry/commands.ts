import type { Command } from 'commander';
import { type CommandContext, collect, optionsOf, serverFlags } from '../../command.ts';

/** Defines `warm`. Each action is imported when it runs. */
export function addCarryCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
  imageFlags(serverFlags(program.command('warm')))
    .description('Fetch images into the cache of the running server, before a client asks for them.')
    .option('--cancel-on-interrupt', 'with Ctrl-C, stop the server too')
    .option('--stop', 'stop every job that fetches images')
    .addHelpText('after', WARM_HELP)
    .action(async (images: string[], _, command: Command) => {
      const { warm } = await import('./warm.ts');
      finish(await warm({ ...optionsOf(command), images }, { output }));
    });
}

/** Images by their names, and out of files. */
function imageFlags(command: Command): Command {
  return command
    .argument('[image...]', 'nginx, ghcr.io/owner/app:1.2, …@sha256:…')
    .option('--from <file>', 'file that names images, or - for standard input; may be repeated', collect)
    .option(
      '--platform <platform>',
      'linux/amd64; may be repeated (default: those of cache.platforms, or all)',
      collect,
    );
}

const WARM_HELP = `
Examples:
  entrepot warm nginx:1.27 ghcr.io/owner/app:1.2
  entrepot warm --from compose.yaml --platform linux/amd64
  helm template my-chart | entrepot warm --from -
  entrepot warm                                    show what is being fetched

A file is a list (one image a line), a Compose file, Kubernetes manifests or a rendered chart, or a Dockerfile: its content tells.
What is left out of it is named with its line. The running server fetches, so Ctrl-C and a closed terminal lose nothing; the
same command again follows what runs. What is stored is not fetched again.
Exit codes: 0 every image is in the cache; 1 one failed; 2 no image was named; 130 interrupted.`;
