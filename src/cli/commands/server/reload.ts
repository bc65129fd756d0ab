import type { ReloadAnswer } from '../../../app/index.ts';
import { runCacheCommand } from '../../cache-command.ts';
import type { StatusOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';

/**
 * `entrepot reload`: tells the running server to read its configuration again, and what came of it.
 *
 * @returns the exit code: that of a wrong configuration where the server refused it
 */
export function reload({ flags, json }: StatusOptions, output: Output = processOutput): Promise<number> {
  return runCacheCommand<ReloadAnswer>(
    {
      flags,
      operation: 'reload',
      input: {},
      isAnswer,
      whereOff: 'A server without a cache directory has no control socket; send it SIGHUP, and its log tells the rest.',
      show(answer) {
        const isRefused = answer.outcome === 'refused';
        if (json) output.out(`${JSON.stringify(answer, null, 2)}\n`);
        else if (isRefused) output.err(formatReload(answer));
        else output.out(formatReload(answer));
        return isRefused ? EXIT.config : EXIT.ok;
      },
    },
    output,
  );
}

/** What `entrepot reload` prints. */
export function formatReload({ outcome, source, changed, registries, restart, problems }: ReloadAnswer): string {
  if (outcome === 'refused') {
    const lines = problems.map((problem) => `  ${problem}`);
    return [`The server refused ${source} and goes on as before:`, ...lines, ''].join('\n');
  }
  const lines = [outcome === 'changed' ? `Took up ${source}.` : `Read ${source}: what is in effect is as it was.`];
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

function isAnswer(value: unknown): value is ReloadAnswer {
  if (typeof value !== 'object' || value === null) return false;
  return 'outcome' in value && 'changed' in value && 'registries' in value && 'restart' in value && 'problems' in value;
}
