import type { Command } from 'commander';
import { type CommandContext, optionsOf, serverFlags } from '../../command.ts';

/** Defines `backup`, `restore` and `hosted` with its own commands. Each action is imported when it runs. */
export function addHostedCommands(program: Command, { output, finish }: CommandContext<unknown>): void {
  serverFlags(program.command('backup'))
    .argument('<directory>', 'of the backup: an earlier one, an empty one, or one that does not exist')
    .description('Copy all that no upstream has: what was pushed here, users and tokens, keys.')
    .option('--prune', 'remove from the backup what no repository has any more')
    .addHelpText('after', BACKUP_HELP)
    .action(async (directory: string, _, command: Command) => {
      const { backup } = await import('./backup.ts');
      finish(await backup({ ...optionsOf(command), directory }, { output }));
    });
  serverFlags(program.command('restore'))
    .argument('<directory>', 'of the backup; nothing is written there')
    .description('Put a backup into a cache directory that has nothing hosted, and no users and tokens.')
    .option('--partial', 'restore what is right, although a part of the backup is damaged')
    .addHelpText('after', RESTORE_HELP)
    .action(async (directory: string, _, command: Command) => {
      const { restore } = await import('./restore.ts');
      finish(await restore({ ...optionsOf(command), directory }, { output }));
    });
  const hosted = program.command('hosted').description('Repair what was pushed to this server.');
  serverFlags(hosted.command('rebuild'))
    .description('Make the records of hosted repositories again, from the OCI layouts beside them.')
    .addHelpText('after', REBUILD_HELP)
    .action(async (_, command: Command) => {
      const { rebuildHosted } = await import('./rebuild.ts');
      finish(await rebuildHosted(optionsOf(command), { output }));
    });
}

const BACKUP_HELP = `
Examples:
  entrepot backup /backup/entrepot                 while the server runs, or without one
  entrepot backup /backup/entrepot --prune         and remove what was deleted since
  entrepot backup /backup/entrepot --json          print the result as JSON, and no progress

The backup is of one moment. Pushes and deletions go on meanwhile; a running server deletes no file until the end. Each blob
is hashed as it is copied: one that is corrupt or missing is named with its repositories, and everything else is copied. The
same directory again copies what is new. A directory that holds other files is refused. At each moment the directory has
the last backup that was finished; one that was interrupted goes on where it was.

Not in a backup: the configuration and its secrets, mirrored images, certificates of ACME, uploads under way.
Exit codes: 0 everything is in the backup; 1 something could not be copied, or the backup failed; 130 interrupted.`;

const RESTORE_HELP = `
Examples:
  entrepot restore /backup/entrepot --cache-dir /var/lib/entrepot/data
  entrepot restore /backup/entrepot --cache-dir ./data --partial

No server may run on the cache directory. It may hold mirrored images, which stay. Each blob is hashed as it is copied.
Records, users and tokens are put in place at the end: before that a server hosts nothing there, and the same command goes
on where it was interrupted. Where a part of the backup is damaged, it is named and nothing is put in place; with --partial
the rest is, and what is missing can be pushed again.
Exit codes: 0 restored; 1 the backup is damaged or cannot be restored here; 130 interrupted.`;

const REBUILD_HELP = `
Example:
  entrepot hosted rebuild                          while no server runs on the cache directory

For records (hosted/hosted.db in the cache directory) that are lost or damaged. Every repository gets its manifests, tags and
blobs again, as they were when its layout was written last, a second or so after each change. Lost are where tags pointed
before, and who pushed. A manifest is hashed before it is recorded. Damaged records are moved aside, and nothing is deleted.
Exit code 1: the records are there, there are no layouts, or something could not be restored.`;
