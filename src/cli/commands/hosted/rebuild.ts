import { join } from 'node:path';
import { loadConfig } from '../../../config/index.ts';
import { type FileRebuildReport, loadLayouts, type RebuildProgress } from '../../../hosting/index.ts';
import { lockDirectory } from '../../../store/index.ts';
import type { CommandOptions, Surroundings } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { type Output, processOutput } from '../../output.ts';

/** Problems that are listed in JSON; each is written to standard error as well. */
const MAX_LISTED = 1000;

type Problem = Omit<RebuildProgress & { readonly kind: 'problem' }, 'kind'>;

/**
 * `entrepot hosted rebuild`: makes the records of hosted repositories again from their layouts, while no server runs.
 *
 * @returns the exit code: failure where something could not be restored
 */
export function rebuildHosted(
  { flags, json = false }: CommandOptions,
  { output = processOutput, interrupt }: Surroundings = {},
): Promise<number> {
  return reportErrors(output, async () => {
    // Certificates and secrets of the server need not be readable to a command.
    const { config } = await loadConfig({ flags, checkReferences: false });
    if (config.cache === 'off') {
      output.err('The configuration has no cache; name the cache directory with --cache-dir.\n');
      return EXIT.failure;
    }
    const { dir } = config.cache;
    const problems: Problem[] = [];
    const lock = await lockDirectory(dir, { create: false });
    try {
      const { rebuildRecordsFile } = await loadLayouts();
      const report = await withInterrupt(interrupt, async (signal) => {
        try {
          return await rebuildRecordsFile({
            directory: join(dir, 'hosted'),
            signal,
            onUnknown: (message) => output.err(`note: ${message}\n`),
            onProgress: (progress) => show(progress, { output, json, problems }),
          });
        } catch (error) {
          if (signal.aborted) return undefined;
          throw error;
        }
      });
      if (report === undefined) {
        output.err('Interrupted. The records are as they were before.\n');
        return EXIT.interrupted;
      }
      output.out(json ? formatJson({ ...report, listed: problems }) : formatReport(report));
      return report.problems === 0 ? EXIT.ok : EXIT.failure;
    } finally {
      await lock.release();
    }
  });
}

function show(
  progress: RebuildProgress,
  { output, json, problems }: { readonly output: Output; readonly json: boolean; readonly problems: Problem[] },
): void {
  if (progress.kind === 'repository') {
    const { registry, repository } = progress.repository;
    if (!json) output.out(`${registry}/${repository}: ${formatCounts(progress)}\n`);
    return;
  }
  const { file, reason } = progress;
  if (problems.length < MAX_LISTED) problems.push({ file, reason });
  output.err(`${file}: ${reason}\n`);
}

function formatReport(report: FileRebuildReport): string {
  const { repositories, problems, damaged } = report;
  const lines = [
    `Restored ${repositories} ${repositories === 1 ? 'repository' : 'repositories'}: ${formatCounts(report)}.`,
    ...(problems === 0 ? [] : [`${count(problems, 'problem')}, listed above: what they name is not restored.`]),
    ...(damaged === undefined ? [] : [`The records that were there before are now ${damaged}.`]),
  ];
  return `${lines.join('\n')}\n`;
}

function formatCounts({ manifests, blobs, tags }: Pick<FileRebuildReport, 'manifests' | 'blobs' | 'tags'>): string {
  return `${count(manifests, 'manifest')}, ${count(blobs, 'blob')}, ${count(tags, 'tag')}`;
}
