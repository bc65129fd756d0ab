import { OPERATIONS } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatImage, formatPull } from './explain-text.ts';

/** The options of `explain`. */
export interface ExplainOptions extends CommandOptions {
  /** The id of a request, or an image. */
  readonly of: string;
  /** For an image: `alice`, `token:ci` or `anonymous`. */
  readonly who?: string;
}

/**
 * `entrepot explain`: tells a pull step by step, or what the next pull of an image does.
 *
 * @param surroundings `columns`: of the terminal; undefined where it is none
 * @returns the exit code: failure where nothing has the id or name, and where the rules refuse the image to `who`
 */
export function explain(
  { flags, json, signal, of, who }: ExplainOptions,
  surroundings: { readonly output?: Output; readonly columns?: number | undefined } = {},
): Promise<number> {
  const { output = processOutput, columns = process.stdout.columns } = surroundings;
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.explain,
      input: { of, who },
      signal,
      whereOff:
        'A server without a cache directory has no control socket; GET /api/v1/explain?of=… answers the same. ' +
        'For a server with a cache elsewhere, name the directory with --cache-dir.',
      show(answer) {
        const { pull, image } = answer;
        const now = Date.now();
        if (json === true) output.out(formatJson(answer));
        else if (pull !== undefined) output.out(formatPull(pull));
        else if (image !== undefined) output.out(formatImage(image, { who, columns, now }));
        return image?.access?.verdict === 'refused' ? EXIT.failure : EXIT.ok;
      },
    },
    output,
  );
}
