import { ControlError, OPERATIONS, type PinAnswer } from '../../../admin/index.ts';
import { OciError } from '../../../oci/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerSession } from '../../server-command.ts';
import { withOwnInventory } from './own-inventory.ts';

/** The options of a command on some images. */
export interface ImagesOptions extends CommandOptions {
  readonly images: readonly string[];
}

/**
 * `entrepot pin`: keeps the images of tags from eviction.
 *
 * @returns the exit code: failure where one of them cannot be pinned
 */
export function pin(options: ImagesOptions, output: Output = processOutput): Promise<number> {
  return changePins({ ...options, pinned: true }, output);
}

/**
 * `entrepot unpin`: ends the pins of tags.
 *
 * @returns the exit code: failure where one of them is not pinned
 */
export function unpin(options: ImagesOptions, output: Output = processOutput): Promise<number> {
  return changePins({ ...options, pinned: false }, output);
}

function changePins(
  { flags, json, images, pinned }: ImagesOptions & { readonly pinned: boolean },
  output: Output,
): Promise<number> {
  const operation = pinned ? OPERATIONS.pin : OPERATIONS.unpin;
  return runServerSession(
    {
      flags,
      alone: withOwnInventory,
      async work(ask) {
        const answers: PinAnswer[] = [];
        let code: number = EXIT.ok;
        for (const image of images) {
          try {
            const answer = await ask(operation, { image });
            answers.push(answer);
            if (!json) output.out(formatPin(answer, pinned));
            if (!pinned && !answer.changed) code = EXIT.failure;
          } catch (error) {
            // What is wrong with one image does not keep the others from it.
            const reason = error instanceof OciError ? error.message : reasonOf(error);
            if (reason === undefined) throw error;
            output.err(`${reason}\n`);
            code = EXIT.failure;
          }
        }
        if (json) output.out(formatJson({ images: answers }));
        return code;
      },
    },
    output,
  );
}

/** What a running server said of an operation that it could not do. */
export function reasonOf(error: unknown): string | undefined {
  return error instanceof ControlError ? error.reason : undefined;
}

function formatPin({ image, changed }: PinAnswer, pinned: boolean): string {
  if (pinned) return changed ? `${image} is pinned: its image is not evicted.\n` : `${image} is pinned already.\n`;
  return changed
    ? `${image} is no longer pinned: its image may be evicted.\n`
    : `${image} is not pinned by an operator; patterns are under cache.pin.\n`;
}
