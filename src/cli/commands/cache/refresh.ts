import type { RefreshAnswer } from '../../../admin/index.ts';
import { runCacheCommand } from '../../cache-command.ts';
import type { StatusOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatTable, shortDigest } from '../../table.ts';

/** What `entrepot refresh` was asked for. */
export interface RefreshOptions extends StatusOptions {
  readonly patterns: readonly string[];
}

/**
 * `entrepot refresh`: asks the upstreams where tags point to now, and fetches the manifests that moved.
 *
 * @returns the exit code: failure where a tag could not be refreshed, or none fitted
 */
export function refresh({ flags, json, patterns }: RefreshOptions, output: Output = processOutput): Promise<number> {
  return runCacheCommand<RefreshAnswer>(
    {
      flags,
      operation: 'refresh',
      input: { patterns },
      isAnswer,
      show(answer) {
        output.out(json ? `${JSON.stringify(answer, null, 2)}\n` : formatRefreshed(answer));
        const isDone = answer.tags.length > 0 && answer.tags.every(({ outcome }) => outcome !== 'failed');
        return isDone ? EXIT.ok : EXIT.failure;
      },
    },
    output,
  );
}

/** What `entrepot refresh` prints. */
export function formatRefreshed({ patterns, tags }: RefreshAnswer): string {
  if (tags.length === 0) {
    return `Nothing is known of the tags of ${patterns.join(', ')}; name one whole, such as …:latest, to fetch it.\n`;
  }
  const rows = tags.map(({ image, outcome, before, after, error }) => {
    const digests = [before, after].filter((digest) => digest !== undefined).map(shortDigest);
    const change = outcome === 'unchanged' ? digests.slice(0, 1) : digests;
    return [image, outcome, outcome === 'failed' ? (error ?? '') : change.join(' → ')];
  });
  return `${formatTable([['TAG', 'OUTCOME', 'DIGEST'], ...rows]).join('\n')}\n`;
}

function isAnswer(value: unknown): value is RefreshAnswer {
  return (
    typeof value === 'object' &&
    value !== null &&
    'tags' in value &&
    Array.isArray(value.tags) &&
    'patterns' in value &&
    Array.isArray(value.patterns)
  );
}
