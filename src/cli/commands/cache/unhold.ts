import { OPERATIONS, OPERATOR, type UnholdAnswer } from '../../../admin/index.ts';
import { composeRegistries } from '../../../app/index.ts';
import { TagHolds } from '../../../cache/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import type { ImageOptions } from './history.ts';
import { describeHold } from './hold-text.ts';

/**
 * `entrepot unhold`: ends the hold of a tag.
 *
 * @returns the exit code: failure where the tag is not held
 */
export function unhold({ flags, json, image }: ImageOptions, output: Output = processOutput): Promise<number> {
  const operation = OPERATIONS.unhold;
  const input = { image };
  return runServerCommand(
    {
      flags,
      operation,
      input,
      alone: ({ loaded, metadata }) => {
        const holds = new TagHolds({ metadata, telemetry: new Telemetry(), now: Date.now });
        return operation.handle(
          input,
          {
            cache: { unhold: (repository, tag) => holds.end(repository, tag) },
            catalogue: composeRegistries(loaded.config),
          },
          OPERATOR,
        );
      },
      show(answer) {
        output.out(json ? formatJson(answer) : formatEnded(answer));
        return answer.ended === undefined ? EXIT.failure : EXIT.ok;
      },
    },
    output,
  );
}

function formatEnded({ image, ended }: UnholdAnswer): string {
  if (ended === undefined) return `${image} is not held; \`entrepot status\` lists the held tags.\n`;
  return `${image} was ${describeHold(ended)}.\nThe tag follows its upstream again.\n`;
}
