import { type HistoryAnswer, OPERATIONS, OPERATOR } from '../../../admin/index.ts';
import { composeRegistries } from '../../../app/index.ts';
import { tagHistory } from '../../../cache/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatInstant, formatJson, formatTable } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import { runServerCommand } from '../../server-command.ts';
import { describeHold } from './hold-text.ts';

/** The options of a command on one image. */
export interface ImageOptions extends CommandOptions {
  readonly image: string;
}

/**
 * `entrepot history`: shows where the tags of an image pointed, newest first.
 *
 * @returns the exit code: failure where nothing is recorded of the image
 */
export function history({ flags, json, image }: ImageOptions, output: Output = processOutput): Promise<number> {
  const operation = OPERATIONS.history;
  const input = { image };
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
              cache: { history: (selection) => tagHistory(selection, { store, metadata, now: Date.now() }) },
              catalogue: composeRegistries(loaded.config),
              hosted,
            },
            OPERATOR,
          ),
        ),
      show(answer) {
        output.out(json ? formatJson(answer) : formatHistory(answer));
        return answer.tags.length === 0 ? EXIT.failure : EXIT.ok;
      },
    },
    output,
  );
}

function formatHistory({ image, tags, omitted }: HistoryAnswer): string {
  if (tags.length === 0)
    return `Nothing is recorded of ${image}: no client has pulled it through this server, or pushed it here.\n`;
  const blocks = tags.map(({ image, hold, moves }) => {
    const head = hold === undefined ? [image] : [image, `  ${describeHold(hold)}`];
    const rows = moves.map(({ seenAt, digest, upstream, by, current, held, parts }) => [
      formatInstant(seenAt),
      digest === '' ? 'deleted' : digest,
      digest === '' ? '' : describeParts(parts),
      by ?? upstream,
      [...(current ? ['current'] : []), ...(held ? ['held'] : [])].join(', '),
    ]);
    const isHosted = moves.some(({ by }) => by !== undefined);
    const titles = isHosted
      ? ['MOVED', 'DIGEST', 'STORED', 'BY', '']
      : ['FIRST SEEN', 'DIGEST', 'STORED', 'UPSTREAM', ''];
    const table = rows.length === 0 ? [] : formatTable([titles, ...rows]);
    return [...head, ...table.map((line) => `  ${line}`)].join('\n');
  });
  const more = omitted === 0 ? [] : [`and ${count(omitted, 'tag')} more; name one to see it`];
  return `${[...blocks, ...more].join('\n\n')}\n`;
}

/** `all`, `manifest, 3 of 21 parts`, `no` */
function describeParts({ manifest, stored, named }: HistoryAnswer['tags'][number]['moves'][number]['parts']): string {
  if (!manifest) return 'no';
  return stored === named ? 'all' : `manifest, ${stored} of ${named} parts`;
}
