import { OPERATIONS, type ReloadAnswer } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';

/**
 * `entrepot reload`: makes the running server read its configuration again, and shows the result.
 *
 * @returns the exit code: that of a wrong configuration where the server refused it
 */
export function reload({ flags, json }: CommandOptions, output: Output = processOutput): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.reload,
      input: {},
      whereOff:
        'A server without a cache directory has no control socket; send it SIGHUP, and read the result in its log.',
      show(answer) {
        const isRefused = answer.outcome === 'refused';
        if (json) output.out(formatJson(answer));
        else if (isRefused) output.err(formatReload(answer));
        else output.out(formatReload(answer));
        return isRefused ? EXIT.config : EXIT.ok;
      },
    },
    output,
  );
}

/** The text of an answer. */
export function formatReload({ outcome, source, changed, registries, restart, problems }: ReloadAnswer): string {
  if (outcome === 'refused') {
    const lines = problems.map((problem) => `  ${problem}`);
    return [`The server refused ${source} and keeps its configuration:`, ...lines, ''].join('\n');
  }
  const lines = [outcome === 'changed' ? `Applied ${source}.` : `Read ${source}: nothing changed.`];
  const lists = [
    ['changed', changed],
    ['registries added', registries.added],
    ['registries removed', registries.removed],
    ['registries changed', registries.changed],
    ['waiting for a restart', restart],
  ] as const;
  for (const [label, names] of lists) if (names.length > 0) lines.push(`  ${label}: ${names.join(', ')}`);
  return [...lines, ''].join('\n');
}
