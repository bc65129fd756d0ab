import { join } from 'node:path';
import { type BackupBegun, callControl, controlSocketPath, OPERATIONS } from '../../../admin/index.ts';
import {
  type BackUpOptions,
  BackupError,
  type BackupReport,
  backUp,
  copyOwnRecords,
  copySnapshot,
} from '../../../backup/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { progressDisplay } from '../../progress-display.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatBeside, formatCopyLine, formatHosted, formatProblems } from './copy-text.ts';

/** The options of `entrepot backup`. */
export interface BackupOptions extends CommandOptions {
  readonly directory: string;
  readonly prune?: boolean;
}

/** Renewals within the time that a pause lasts: some may be late. */
const RENEWALS = 4;

/** Milliseconds that a backup waits for another command that has the directory. */
const TURN_LIMIT = 5000;

type Copy = (options: Pick<BackUpOptions, 'cacheDir' | 'copyRecords' | 'confirm' | 'signal'>) => Promise<BackupReport>;

/**
 * `entrepot backup`: copies all that no upstream has. A running server copies its records and keeps their files meanwhile; without one, the
 * command owns the directory.
 *
 * @returns the exit code: failure where something could not be copied
 */
export async function backup(options: BackupOptions, surroundings: Surroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stderr.isTTY, interrupt } = surroundings;
  const { flags, directory, json = false, prune = false } = options;
  const startedAt = Date.now();
  const how = json ? 'quiet' : isTerminal ? 'in place' : 'by line';
  const display = progressDisplay(output, how, (progress: Parameters<typeof formatCopyLine>[0], now) =>
    formatCopyLine(progress, startedAt, now),
  );
  const copy: Copy = (how) =>
    backUp({ ...how, directory, prune, onProgress: (progress) => display.show(progress) }).finally(() => display.end());
  return withInterrupt(interrupt, async (signal) => {
    let report: BackupReport | undefined;
    try {
      return await runServerCommand(
        {
          flags,
          operation: OPERATIONS.backupBegin,
          input: {},
          turnLimit: TURN_LIMIT,
          // Whole while the directory is owned; what follows only shows it.
          alone: async ({ loaded: { config } }) => {
            if (config.cache === 'off') throw new Error('a command owns a directory only where there is a cache');
            const { dir } = config.cache;
            report = await copy({ cacheDir: dir, copyRecords: copyOwnRecords(dir), signal });
            return { id: '', lease: 0 };
          },
          show: async (begun, dir) => {
            const done = report ?? (await besideServer(begun, { dir, signal, copy }));
            output.out(json ? formatJson(jsonOf(directory, done)) : formatBackup(directory, done));
            return done.problems === 0 ? EXIT.ok : EXIT.failure;
          },
        },
        output,
      );
    } catch (error) {
      if (!signal.aborted) throw error;
      output.err(`Interrupted. What was copied stays: the same command goes on where it was.\n`);
      return EXIT.interrupted;
    }
  });
}

/** Copies while a running server deletes no file, and tells it that the copying goes on. */
async function besideServer(
  { id, lease, snapshot }: BackupBegun,
  { dir, signal, copy }: { readonly dir: string; readonly signal: AbortSignal; readonly copy: Copy },
): Promise<BackupReport> {
  const socket = controlSocketPath(dir);
  const lost = new AbortController();
  const renew = async (): Promise<void> => {
    const { on } = await callControl(socket, OPERATIONS.backupRenew, { input: { id }, timeoutMs: lease });
    if (!on)
      throw new BackupError(
        'The server has ended the backup, as it lasted too long. Run it again: it goes on where it was.',
      );
  };
  const timer = setInterval(() => {
    renew().catch((error: unknown) => lost.abort(error));
  }, lease / RENEWALS);
  try {
    return await copy({
      cacheDir: dir,
      copyRecords: copySnapshot(snapshot === undefined ? undefined : join(dir, snapshot)),
      confirm: renew,
      signal: AbortSignal.any([signal, lost.signal]),
    });
  } finally {
    clearInterval(timer);
    // A server that has stopped has nothing to end.
    await callControl(socket, OPERATIONS.backupEnd, { input: { id } }).catch(() => undefined);
  }
}

function jsonOf(directory: string, { list, ...report }: BackupReport): unknown {
  return { directory, ...report, problemCount: report.problems, problems: list };
}

function formatBackup(directory: string, report: BackupReport): string {
  const { repositories, copiedBlobs, copiedBytes, problems, list, pruned } = report;
  const lines = [...formatProblems(list, problems)];
  const beside = formatBeside(report);
  if (repositories === undefined && beside === undefined) {
    lines.push(
      `There is nothing to back up: nothing was pushed to this server, and it stores no users, tokens or keys.`,
    );
  }
  if (repositories !== undefined) {
    lines.push(`Backed up to ${directory}: ${formatHosted(report)}.`);
    lines.push(
      `${count(copiedBlobs, 'blob')} (${formatBytes(copiedBytes)}) copied now, ${report.blobs - copiedBlobs - problems} were there.`,
    );
  }
  if (beside !== undefined) lines.push(`Backed up to ${directory}: ${beside}.`);
  if (pruned > 0) lines.push(`${count(pruned, 'blob')} removed from the backup: no repository has them any more.`);
  if (problems > 0) {
    lines.push(
      `${count(problems, 'blob')} could not be copied. Push the images that have them again, and run the backup again; everything else is in the backup.`,
    );
  }
  lines.push('Not in a backup: the configuration with its secrets, mirrored images, uploads under way.');
  return `${lines.join('\n')}\n`;
}
