import { type GcAnswer, OPERATIONS, OPERATOR } from '../../../admin/index.ts';
import { cacheOptionsOf, catalogueOf } from '../../../app/index.ts';
import { collectOffline } from '../../../cache/index.ts';
import { parseUnitSize } from '../../../config/index.ts';
import { formatBytes, Telemetry } from '../../../telemetry/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson, formatList, shortDigest } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatUnknown } from './unknown-files.ts';

/** The options of `entrepot gc`. */
export interface GcOptions extends CommandOptions {
  readonly dryRun?: boolean;
  /** The size to come down to, as written: `20GB`. */
  readonly maxSize?: string;
}

/**
 * `entrepot gc`: evicts down to the limits, or shows what would be evicted.
 *
 * @returns the exit code: failure where less could be evicted than the limits ask for
 */
export async function gc(options: GcOptions, output: Output = processOutput): Promise<number> {
  const { flags, json, dryRun = false } = options;
  const maxSize = options.maxSize === undefined ? undefined : parseUnitSize(options.maxSize);
  if (options.maxSize !== undefined && maxSize === undefined) {
    output.err(
      `error: --max-size ${options.maxSize} is not a size; expected a number with its unit such as 20GB or 512MiB (bytes are written 50B)\n`,
    );
    return EXIT.usage;
  }
  const operation = OPERATIONS.gc;
  const input = { dryRun, maxSize };
  return runServerCommand(
    {
      flags,
      operation,
      input,
      alone: async ({ loaded, store, metadata }) => {
        const { config } = loaded;
        // Without the registry map, pins could mean other registries.
        const settings = {
          ...cacheOptionsOf(config, await catalogueOf(config)),
          store,
          metadata,
          telemetry: new Telemetry(),
        };
        return withOwnHosting({ loaded, store }, (hosted) =>
          operation.handle(
            input,
            { cache: { collect: (how) => collectOffline(settings, how) }, metadata, hosted },
            OPERATOR,
          ),
        );
      },
      show(answer) {
        output.out(json ? formatJson(answer) : formatCollected(answer, Date.now()));
        return answer.freed >= answer.wanted ? EXIT.ok : EXIT.failure;
      },
    },
    output,
  );
}

/** @param now milliseconds since 1970 */
function formatCollected(answer: GcAnswer, now: number): string {
  const { dryRun, stored, wanted, freed, blobs, partials = 0, evicted } = answer;
  const unknown = [...formatHosted(answer), ...formatUnknown(answer.unknown)];
  if (wanted === 0) {
    const calm = `Nothing to do: the cache holds ${formatBytes(stored)}, which is within its limits.`;
    return `${[calm, ...unknown].join('\n')}\n`;
  }
  const rows = evicted.map(({ digest, size, readAt, repositories }) => [
    shortDigest(digest),
    formatBytes(size),
    formatAge(now - readAt),
    repositories.join(', ') || '-',
  ]);
  const lines = formatList(['DIGEST', 'SIZE', 'LAST READ', 'OF'], rows, blobs);
  const verb = dryRun ? 'would be evicted' : blobs === 1 && partials === 0 ? 'was evicted' : 'were evicted';
  const first = partials === 0 ? '' : ` and what had come of ${count(partials, 'other')}`;
  lines.push(`${count(blobs, 'blob')}${first} ${verb}, ${formatBytes(freed)} of ${formatBytes(stored)}.`);
  if (freed < wanted) {
    lines.push(
      `That is less than the ${formatBytes(wanted)} over the limit: the rest is in use, pinned or has a fresh tag.`,
    );
  }
  lines.push(...unknown);
  return `${lines.join('\n')}\n`;
}

/** What became of hosted content; no line where nothing is hosted. */
function formatHosted({ hosted, dryRun }: GcAnswer): readonly string[] {
  if (hosted === undefined || dryRun) return [];
  const { records, files, bytes, paused = false } = hosted;
  if (paused) return ['Hosted repositories were not looked at: a backup is copying their files.'];
  if (records + files === 0) return ['Hosted repositories: nothing to remove.'];
  const removed = `${count(records, 'record')} of blobs and manifests that nothing names (${formatBytes(bytes)})`;
  return [`Hosted repositories: removed ${removed}, and deleted ${count(files, 'file')}.`];
}

function formatAge(milliseconds: number): string {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} d ago`;
}
