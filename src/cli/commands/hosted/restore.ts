import { type RestoreReport, requireBackup, restore as restoreBackup } from '../../../backup/index.ts';
import { loadConfig } from '../../../config/index.ts';
import { lockDirectory } from '../../../store/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { progressDisplay } from '../../progress-display.ts';
import { formatBeside, formatCopyLine, formatHosted, formatProblems } from './copy-text.ts';

/** The options of `entrepot restore`. */
export interface RestoreOptions extends CommandOptions {
  readonly directory: string;
  readonly partial?: boolean;
}

/**
 * `entrepot restore`: puts a backup into a cache directory that no server uses, and that has nothing of the kind.
 *
 * @returns the exit code: failure where the backup is damaged
 */
export async function restore(options: RestoreOptions, surroundings: Surroundings = {}): Promise<number> {
  const { output = processOutput, isTerminal = process.stderr.isTTY, interrupt } = surroundings;
  const { flags, directory, json = false, partial = false } = options;
  const startedAt = Date.now();
  const how = json ? 'quiet' : isTerminal ? 'in place' : 'by line';
  const display = progressDisplay(output, how, (progress: Parameters<typeof formatCopyLine>[0], now) =>
    formatCopyLine(progress, startedAt, now),
  );
  return withInterrupt(interrupt, async (signal) => {
    try {
      return await reportErrors(output, async () => {
        const { config } = await loadConfig({ flags, checkReferences: false });
        if (config.cache === 'off') {
          output.err('The configuration has no cache; name the directory to restore into with --cache-dir.\n');
          return EXIT.failure;
        }
        const { dir } = config.cache;
        // Before a cache directory is begun for nothing.
        await requireBackup(directory);
        const lock = await lockDirectory(dir);
        try {
          const report = await restoreBackup({
            directory,
            cacheDir: dir,
            partial,
            signal,
            onProgress: (progress) => display.show(progress),
          });
          display.end();
          output.out(json ? formatJson(jsonOf(dir, report)) : formatRestored(dir, report));
          return report.problems === 0 ? EXIT.ok : EXIT.failure;
        } finally {
          display.end();
          await lock.release();
        }
      });
    } catch (error) {
      if (!signal.aborted) throw error;
      output.err('Interrupted. Nothing is in place yet: the same command goes on where it was.\n');
      return EXIT.interrupted;
    }
  });
}

function jsonOf(cacheDir: string, { list, ...report }: RestoreReport): unknown {
  return { cacheDir, ...report, problemCount: report.problems, problems: list };
}

function formatRestored(dir: string, report: RestoreReport): string {
  const { restored, problems, list, repositories, finishedAt } = report;
  const lines = [...formatProblems(list, problems)];
  const at = new Date(finishedAt).toISOString().slice(0, 19).replace('T', ' ');
  if (!restored) {
    lines.push(
      `${count(problems, 'blob')} of the backup ${problems === 1 ? 'is' : 'are'} damaged or missing, so nothing was put in place. Restore another backup, or what is right of this one with --partial.`,
    );
    return `${lines.join('\n')}\n`;
  }
  const beside = formatBeside(report);
  const parts = [
    ...(repositories === undefined ? [] : [formatHosted(report)]),
    ...(beside === undefined ? [] : [beside]),
  ];
  lines.push(`Restored into ${dir}, as of ${at} UTC: ${parts.join('; ') || 'nothing, as the backup is empty'}.`);
  if (problems > 0) {
    lines.push(
      `${count(problems, 'blob')} ${problems === 1 ? 'is' : 'are'} lost: push the images that have them again.`,
    );
  }
  lines.push(
    'The directory must belong to the user of the server. The server has to host the same registries: the configuration is not in a backup.',
  );
  return `${lines.join('\n')}\n`;
}
