import type { Command } from 'commander';
import { type CommandContext, collect, optionsOf, serverFlags } from '../../command.ts';
import { keepHeapSmall } from '../../small-heap.ts';

/** Defines `warm`, `copy`, `schedules`, `export` and `missing`. Each action is imported when it runs. */
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
  serverFlags(program.command('copy'))
    .argument('[source]', 'an image; with --all-tags a repository')
    .argument('[destination]', 'where it goes: hosted here, or of a registry with push')
    .description('Copy an image from one registry to another, with its platforms, referrers and signatures.')
    .option('--platform <platform>', 'linux/amd64; may be repeated (default: all)', collect)
    .option('--all-tags', 'copy every tag of the repository')
    .option('--cancel-on-interrupt', 'with Ctrl-C, stop the server too')
    .option('--stop', 'stop every job that copies images')
    .addHelpText('after', COPY_HELP)
    .action(async (source: string | undefined, destination: string | undefined, _, command: Command) => {
      const { copy } = await import('./copy.ts');
      finish(await copy({ ...optionsOf(command), source, destination }, { output }));
    });
  addScheduleCommands(program, { output, finish });
  imageFlags(serverFlags(program.command('export')))
    .description('Write images into a bundle, which another server imports and other tools read.')
    .requiredOption('-o, --output <file>', 'file to write: an OCI image layout as a tar archive; - is standard output')
    .option('--since <file>', 'an earlier bundle, whose blobs are left out')
    .addHelpText('after', EXPORT_HELP)
    .action(async (images: string[], _, command: Command) => {
      keepHeapSmall();
      const { exportImages } = await import('./export.ts');
      const options = command.opts<{ output: string }>();
      finish(await exportImages({ ...optionsOf(command), images, output: options.output }, { output }));
    });
  imageFlags(serverFlags(program.command('missing')))
    .description('Say what of images is not stored here, so that a site without upstreams lacks it.')
    .addHelpText('after', MISSING_HELP)
    .action(async (images: string[], _, command: Command) => {
      const { missing } = await import('./missing.ts');
      finish(await missing({ ...optionsOf(command), images }, { output }));
    });
}

/** Defines `schedules` with its own commands. */
function addScheduleCommands(
  program: Command,
  { output, finish }: Pick<CommandContext<unknown>, 'output' | 'finish'>,
): void {
  const load = () => import('./schedules.ts');
  const schedules = program
    .command('schedules')
    .description('Show and run the schedules by which the running server fetches and copies images.')
    .addHelpText('after', SCHEDULES_HELP);
  serverFlags(schedules.command('list'))
    .description('List the schedules: the next run of each, and what became of the last one.')
    .action(async (_, command: Command) => finish(await (await load()).listSchedules(optionsOf(command), output)));
  serverFlags(schedules.command('run'))
    .argument('<name>', 'name of a schedule')
    .description('Run a schedule now. The command does not wait for the end of the run.')
    .action(async (name: string, _, command: Command) =>
      finish(await (await load()).runSchedule({ ...optionsOf(command), name }, output)),
    );
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

const COPY_HELP = `
Examples:
  entrepot copy cold.example/team/app:1 hot/team/app:1
  entrepot copy ghcr.io/owner/app:1.2 apps/app            to a hosted repository, under the same tag
  entrepot copy cold.example/team/app hot/team/app --all-tags
  entrepot copy                                           show what is being copied

The running server copies, so Ctrl-C and a closed terminal lose nothing; the same command again follows what runs. What the
destination has is not sent, and within one registry blobs are mounted. With one --platform the tag gets that image alone.
Exit codes: 0 copied; 1 an image failed; 2 a name is missing; 130 interrupted.`;

const SCHEDULES_HELP = `
Examples:
  entrepot schedules list
  entrepot schedules run base                      and \`entrepot warm\` or \`entrepot copy\` to see how far it is
  entrepot schedules list --json

Schedules are configured under warm and copy: docs/carrying.md. Times are in UTC.
Exit codes: 0 shown or begun; 1 there is no such schedule, or it cannot begin; 2 wrong command line.`;

const EXPORT_HELP = `
Examples:
  entrepot export nginx:1.27 ghcr.io/owner/app:1.2 -o bundle.tar
  entrepot export --from compose.yaml --platform linux/amd64 -o bundle.tar
  entrepot export --from compose.yaml -o friday.tar --since monday.tar
  entrepot export nginx:1.27 -o - | ssh far entrepot import -

On the other side: \`entrepot import bundle.tar\`; or skopeo copy oci-archive:bundle.tar:docker.io/library/nginx:1.27 …, podman, and
crane read it. What is not whole here is fetched first by the running server; without one it is named, and nothing is written.
Signatures, attestations and other referrers that are stored here go along. With --since, import the earlier bundle first.
Exit codes: 0 written; 1 an image is not whole, or the file cannot be written; 2 no image was named; 130 interrupted.`;

const MISSING_HELP = `
Examples:
  entrepot missing --from compose.yaml --platform linux/amd64
  kubectl get pods -A -o yaml | entrepot missing --from - --json

No upstream is asked. A tag counts as it was when an upstream confirmed it last.
Exit codes: 0 nothing is missing; 1 something is, or a name means nothing here; 2 no image was named.`;
