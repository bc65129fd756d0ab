import { ControlError, callControl, controlSocketPath, type ServerStatus } from '../../../admin/index.ts';
import { ConfigError, formatProblem, type LoadedConfig, loadConfig } from '../../../config/index.ts';
import type { StatusOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { type Output, processOutput } from '../../output.ts';
import { formatStatus } from './status-table.ts';

/**
 * `entrepot status`: asks the server that runs on the configured cache directory how it fares.
 *
 * @returns the exit code: failure where no server answers
 */
export async function status({ flags, json }: StatusOptions, output: Output = processOutput): Promise<number> {
  let loaded: LoadedConfig;
  try {
    // What the server needs to run (certificates, secrets) need not be there for whoever asks about it.
    loaded = await loadConfig({ flags, checkReferences: false });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) output.err(`${formatProblem(problem)}\n`);
    return EXIT.config;
  }
  const { cache } = loaded.config;
  if (cache === 'off') {
    output.err(
      'A server without a cache directory has no control socket; its /metrics and /readyz tell how it fares. ' +
        'If one runs with a cache elsewhere, name it with --cache-dir.\n',
    );
    return EXIT.failure;
  }
  try {
    const answer = await callControl(controlSocketPath(cache.dir), 'status');
    if (!isServerStatus(answer))
      throw new ControlError('failed', 'The server answered in a form this version does not know.');
    output.out(json ? `${JSON.stringify(answer, null, 2)}\n` : formatStatus(answer, Date.now()));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    output.err(`${explain(error, cache.dir)}\n`);
    return EXIT.failure;
  }
}

function explain(error: ControlError, directory: string): string {
  if (error.code !== 'not-running') return error.message;
  return `No server runs on the cache directory ${directory}; start one with \`entrepot serve\`, or name another directory with --cache-dir.`;
}

/** The server may be of another version than this command: only what is printed is relied on. */
function isServerStatus(answer: unknown): answer is ServerStatus {
  if (typeof answer !== 'object' || answer === null) return false;
  return (
    'version' in answer &&
    'uptimeSeconds' in answer &&
    'listeners' in answer &&
    Array.isArray(answer.listeners) &&
    'cache' in answer &&
    'transfers' in answer &&
    Array.isArray(answer.transfers)
  );
}
