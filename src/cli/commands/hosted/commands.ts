import type { Command } from 'commander';
import { type CommandContext, optionsOf, serverFlags } from '../../command.ts';

/** Defines `hosted` with its own commands. Each action is imported when it runs. */
export function addHostedCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
  const load = () => import('./rebuild.ts');
  const hosted = program.command('hosted').description('Repair what was pushed to this server.');
  serverFlags(hosted.command('rebuild'))
    .description('Make the records of hosted repositories again, from the OCI layouts beside them.')
    .addHelpText('after', REBUILD_HELP)
    .action(async (_, command: Command) => finish(await (await load()).rebuildHosted(optionsOf(command), { output })));
}

const REBUILD_HELP = `
Example:
  entrepot hosted rebuild                          while no server runs on the cache directory

For records (hosted/hosted.db in the cache directory) that are lost or damaged. Every repository gets its manifests, tags and
blobs again, as they were when its layout was written last, a second or so after each change. Lost are where tags pointed
before, and who pushed. A manifest is hashed before it is recorded. Damaged records are moved aside, and nothing is deleted.
Exit code 1: the records are there, there are no layouts, or something could not be restored.`;
