import { type PurgeAnswer, purgePatterns } from '../../../admin/index.ts';
import { composeRegistries } from '../../../app/index.ts';
import { purge as purgeCache } from '../../../cache/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { runCacheCommand } from '../../cache-command.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatTable, shortDigest } from '../../table.ts';
import type { RefreshOptions } from './refresh.ts';

/** What `entrepot purge` was asked for. */
export interface PurgeCommandOptions extends RefreshOptions {
  readonly dryRun: boolean;
}

/** Tags shown; `--json` has more. */
const MAX_SHOWN = 50;

/**
 * `entrepot purge`: forgets images, tags or digests, and removes what no other image has.
 *
 * @returns the exit code: failure where nothing fitted
 */
export function purge(options: PurgeCommandOptions, output: Output = processOutput): Promise<number> {
  const { flags, json, dryRun, patterns } = options;
  const input = { patterns, dryRun };
  return runCacheCommand<PurgeAnswer>(
    {
      flags,
      operation: 'purge',
      input,
      isAnswer,
      alone: ({ loaded, store, metadata }) =>
        purgePatterns({ purge: (selections, how) => purgeCache(selections, { store, metadata, ...how }) }, input, {
          catalogue: composeRegistries(loaded.config),
        }),
      show(answer) {
        output.out(json ? `${JSON.stringify(answer, null, 2)}\n` : formatPurged(answer));
        return answer.tagCount + answer.members + (answer.urls ?? 0) + answer.blobs > 0 ? EXIT.ok : EXIT.failure;
      },
    },
    output,
  );
}

/** What `entrepot purge` prints. */
export function formatPurged(answer: PurgeAnswer): string {
  const { dryRun, patterns, tags, tagCount, members, urls = 0, blobs, freed } = answer;
  const metadata = patterns.join(', ');
  if (tagCount + members + urls + blobs === 0) return `Nothing is cached of ${metadata}.\n`;
  const rows = tags.slice(0, MAX_SHOWN).map(({ image, digest }) => [image, shortDigest(digest)]);
  const lines = rows.length === 0 ? [] : formatTable([['TAG', 'DIGEST'], ...rows]);
  if (tagCount > rows.length) lines.push(`and ${tagCount - rows.length} more`);
  const images = `${count(tagCount, 'tag')} and ${count(members, 'digest')}`;
  const forgotten =
    urls === 0 ? images : tagCount + members === 0 ? count(urls, 'URL') : `${images}, ${count(urls, 'URL')}`;
  const others = urls === 0 ? 'no other image has' : 'nobody else has';
  lines.push(
    `${metadata}: ${forgotten} ${dryRun ? 'would be' : 'were'} forgotten, ` +
      `${count(blobs, 'blob')} (${formatBytes(freed)}) that ${others} ${dryRun ? 'would be' : 'were'} removed.`,
  );
  return `${lines.join('\n')}\n`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function isAnswer(value: unknown): value is PurgeAnswer {
  return (
    typeof value === 'object' &&
    value !== null &&
    'tags' in value &&
    Array.isArray(value.tags) &&
    'patterns' in value &&
    Array.isArray(value.patterns) &&
    'freed' in value
  );
}
