import { collectGarbage, type GcAnswer } from '../../../admin/index.ts';
import { cacheOptionsOf } from '../../../app/index.ts';
import { collectOffline } from '../../../cache/index.ts';
import { parseSize } from '../../../config/index.ts';
import { formatBytes, Telemetry } from '../../../telemetry/index.ts';
import { runCacheCommand } from '../../cache-command.ts';
import type { StatusOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatTable, shortDigest } from '../../table.ts';

/** What `entrepot gc` was asked for. */
export interface GcOptions extends StatusOptions {
  readonly dryRun: boolean;
  /** What to come down to, as it was written. */
  readonly maxSize?: string;
}

/** Blobs shown; `--json` has more. */
const MAX_SHOWN = 50;

/**
 * `entrepot gc`: evicts what is too much, or shows what would go.
 *
 * @returns the exit code: failure where as much as is wanted could not go
 */
export async function gc(options: GcOptions, output: Output = processOutput): Promise<number> {
  const { flags, json, dryRun } = options;
  const maxSize = options.maxSize === undefined ? undefined : parseSize(options.maxSize);
  if (options.maxSize !== undefined && maxSize === undefined) {
    output.err(`error: --max-size ${options.maxSize} is no amount of bytes; expected one such as 20GB or 512MiB\n`);
    return EXIT.usage;
  }
  const input = { dryRun, ...(maxSize === undefined ? {} : { maxSize }) };
  return runCacheCommand<GcAnswer>(
    {
      flags,
      operation: 'gc',
      input,
      isAnswer,
      alone: ({ loaded, store, metadata }) => {
        const settings = { ...cacheOptionsOf(loaded.config), store, metadata, telemetry: new Telemetry() };
        return collectGarbage({ collect: (how) => collectOffline(settings, how) }, input, { metadata });
      },
      show(answer) {
        output.out(json ? `${JSON.stringify(answer, null, 2)}\n` : formatCollected(answer, Date.now()));
        return answer.freed >= answer.wanted ? EXIT.ok : EXIT.failure;
      },
    },
    output,
  );
}

/** What `entrepot gc` prints. @param now milliseconds since 1970 */
export function formatCollected(answer: GcAnswer, now: number): string {
  const { dryRun, stored, wanted, freed, blobs, evicted } = answer;
  if (wanted === 0) return `Nothing to do: the cache holds ${formatBytes(stored)}, which is within its limits.\n`;
  const rows = evicted
    .slice(0, MAX_SHOWN)
    .map(({ digest, size, readAt, repositories }) => [
      shortDigest(digest),
      formatBytes(size),
      formatAge(now - readAt),
      repositories.join(', ') || '-',
    ]);
  const lines = rows.length === 0 ? [] : formatTable([['DIGEST', 'SIZE', 'LAST READ', 'OF'], ...rows]);
  if (blobs > rows.length) lines.push(`and ${blobs - rows.length} more`);
  const verb = dryRun ? 'would go' : 'went';
  lines.push(
    `${blobs === 1 ? '1 blob' : `${blobs} blobs`} ${verb}, ${formatBytes(freed)} of ${formatBytes(stored)}; nothing that is in use, pinned or of a fresh tag.`,
  );
  if (freed < wanted) {
    lines.push(`That is less than the ${formatBytes(wanted)} wanted: what is left is in use, pinned or of fresh tags.`);
  }
  return `${lines.join('\n')}\n`;
}

function formatAge(milliseconds: number): string {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} d ago`;
}

function isAnswer(value: unknown): value is GcAnswer {
  return (
    typeof value === 'object' &&
    value !== null &&
    'evicted' in value &&
    Array.isArray(value.evicted) &&
    'freed' in value &&
    'wanted' in value
  );
}
