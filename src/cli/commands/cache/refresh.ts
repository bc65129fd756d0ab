import { OPERATIONS, type RefreshAnswer } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson, formatTable, shortDigest } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';

/** The options of `entrepot refresh`. */
export interface RefreshOptions extends CommandOptions {
  readonly patterns: readonly string[];
}

/**
 * `entrepot refresh`: asks the upstreams for the current digests of tags, and fetches the manifests that moved.
 *
 * @returns the exit code: failure where a tag could not be refreshed, or no pattern matched
 */
export function refresh({ flags, json, patterns }: RefreshOptions, output: Output = processOutput): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.refresh,
      input: { patterns },
      show(answer) {
        output.out(json ? formatJson(answer) : formatRefreshed(answer));
        const isDone = answer.tags.length > 0 && answer.tags.every(({ outcome }) => outcome !== 'failed');
        return isDone ? EXIT.ok : EXIT.failure;
      },
    },
    output,
  );
}

function formatRefreshed({ patterns, tags }: RefreshAnswer): string {
  if (tags.length === 0) {
    return `No tag of ${patterns.join(', ')} is cached; to fetch one, name it whole, such as …:latest.\n`;
  }
  const hasErrors = tags.some(({ error }) => error !== undefined);
  const rows = tags.map(({ image, outcome, before, after, error }) => {
    const digests = [before, after].filter((digest) => digest !== undefined).map(shortDigest);
    const change = outcome === 'unchanged' ? digests.slice(0, 1) : digests;
    return [image, outcome, outcome === 'failed' ? '' : change.join(' → '), ...(hasErrors ? [error ?? ''] : [])];
  });
  return `${formatTable([['TAG', 'OUTCOME', 'DIGEST', ...(hasErrors ? ['ERROR'] : [])], ...rows]).join('\n')}\n`;
}
