import type { CommandOptions, Surroundings } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { withCarrier } from './carrier.ts';
import { formatLacks, lacksOf } from './carry-text.ts';
import { type FilePlaces, type ImageOptions, readImageNames } from './image-names.ts';

/** The options of `entrepot missing`. */
export interface MissingOptions extends CommandOptions, ImageOptions {
  readonly platform?: readonly string[];
}

/**
 * `entrepot missing`: says what of images is not stored here, so that a site without upstreams lacks it.
 *
 * @returns the exit code: failure where something is missing
 */
export function missing(options: MissingOptions, surroundings: Surroundings & FilePlaces = {}): Promise<number> {
  const { output = processOutput, interrupt } = surroundings;
  const { flags, json = false, platform = [] } = options;
  return withInterrupt(interrupt, (signal) =>
    reportErrors(output, async () => {
      const names = await readImageNames(options, output, surroundings);
      return await withCarrier({ flags, output, signal }, async (carrier) => {
        const planned = await carrier.plan(names, platform);
        const lacks = lacksOf(planned);
        if (json) output.out(formatJson({ images: planned.length, missing: lacks }));
        else {
          const whole = planned.length - lacks.length;
          const lines = formatLacks(lacks);
          output.out(
            `${[...lines, `${whole} of ${count(planned.length, 'image')} can be pulled here without an upstream.`].join('\n')}\n`,
          );
        }
        return lacks.length === 0 ? EXIT.ok : EXIT.failure;
      });
    }),
  );
}
