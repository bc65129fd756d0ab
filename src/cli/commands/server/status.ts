import { OPERATIONS } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatStatus } from './status-table.ts';

/**
 * `entrepot status`: shows the server that runs on the configured cache directory.
 *
 * @returns the exit code: failure where no server answers
 */
export function status({ flags, json, signal }: CommandOptions, output: Output = processOutput): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.status,
      input: {},
      signal,
      whereOff:
        'A server without a cache directory has no control socket; see its /metrics and /readyz. ' +
        'For a server with a cache elsewhere, name the directory with --cache-dir.',
      show(answer) {
        output.out(json ? formatJson(answer) : formatStatus(answer, Date.now()));
        return EXIT.ok;
      },
    },
    output,
  );
}
