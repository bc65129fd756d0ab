import { OPERATIONS, OPERATOR, type PurgeAnswer } from '../../../admin/index.ts';
import { composeRegistries } from '../../../app/index.ts';
import { purge as purgeCache } from '../../../cache/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson, formatList, shortDigest } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import { runServerCommand } from '../../server-command.ts';
import { describeHold } from './hold-text.ts';
import type { RefreshOptions } from './refresh.ts';

/** The options of `entrepot purge`. */
export interface PurgeCommandOptions extends RefreshOptions {
  readonly dryRun?: boolean;
}

/**
 * `entrepot purge`: forgets images, tags, digests or answers of mirrored sites, and removes the blobs that only they have.
 *
 * @returns the exit code: failure where no pattern matched
 */
export function purge(options: PurgeCommandOptions, output: Output = processOutput): Promise<number> {
  const { flags, json, dryRun = false, patterns } = options;
  const operation = OPERATIONS.purge;
  const input = { patterns, dryRun };
  return runServerCommand(
    {
      flags,
      operation,
      input,
      alone: ({ loaded, store, metadata }) =>
        withOwnHosting({ loaded, store }, (hosted) =>
          operation.handle(
            input,
            {
              cache: { purge: (selections, how) => purgeCache(selections, { store, metadata, ...how }) },
              catalogue: composeRegistries(loaded.config),
              hosted,
            },
            OPERATOR,
          ),
        ),
      show(answer) {
        output.out(json ? formatJson(answer) : formatPurged(answer));
        return isEmpty(answer) ? EXIT.failure : EXIT.ok;
      },
    },
    output,
  );
}

function isEmpty({ tagCount, members, urls = 0, blobs }: PurgeAnswer): boolean {
  return tagCount + members + urls + blobs === 0;
}

function formatPurged(answer: PurgeAnswer): string {
  const { dryRun, patterns, tags, tagCount, held = [], pins = 0, hosted, members } = answer;
  const { urls = 0, blobs, freed } = answer;
  const purged = patterns.join(', ');
  const kept = held.map((each) => `${each.image} is kept: it is ${describeHold(each)}.`);
  if (kept.length > 0) kept.push('To purge a held tag, end its hold first with `entrepot unhold`.');
  if (hosted !== undefined) {
    const more = hosted.count > hosted.names.length ? `, and ${hosted.count - hosted.names.length} more` : '';
    kept.push(
      `Hosted here, and kept: ${hosted.names.join(', ')}${more}. Delete what is hosted as a client: crane delete IMAGE@sha256:…`,
    );
  }
  if (isEmpty(answer))
    return `${[...kept, `Nothing is cached of ${purged}${kept.length > 0 ? ' besides' : ''}.`].join('\n')}\n`;
  const rows = tags.map(({ image, digest }) => [image, shortDigest(digest)]);
  const lines = formatList(['TAG', 'DIGEST'], rows, tagCount);
  const forgotten = [
    ...(urls === 0 || tagCount + members > 0 ? [`${count(tagCount, 'tag')} and ${count(members, 'digest')}`] : []),
    ...(urls === 0 ? [] : [count(urls, 'URL')]),
  ];
  const were = dryRun ? 'would be' : 'were';
  const was = dryRun ? 'would be' : 'was';
  lines.push(
    `${purged}: ${forgotten.join(', ')} ${were} forgotten, ` +
      `${count(blobs, 'blob')} (${formatBytes(freed)}) that nothing else has ${were} removed.`,
    ...(pins === 0 ? [] : [`${count(pins, 'pin')} of these tags ${pins === 1 ? was : were} ended with them.`]),
    ...kept,
  );
  return `${lines.join('\n')}\n`;
}
