import { OPERATIONS, type SuggestAnswer } from '../../../admin/index.ts';
import { catalogueOf, openOwnObservations, suggestAccess } from '../../../app/index.ts';
import { parseDuration } from '../../../config/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatMinute, formatSuggestion } from './suggestion-yaml.ts';

/** The options of `entrepot access suggest`. */
export interface SuggestOptions extends CommandOptions {
  /** How far back, as written: `30d`. */
  readonly since?: string;
  readonly generalize?: boolean;
}

/**
 * `entrepot access suggest`: writes the rules that the observed requests would have needed.
 *
 * @returns the exit code: failure where nothing was observed
 */
export async function suggest(options: SuggestOptions, output: Output = processOutput): Promise<number> {
  const { flags, json, since = '30d', generalize = false } = options;
  const within = parseDuration(since);
  if (within === undefined || within === 0) {
    output.err(
      `error: --since ${since} cannot be looked back; expected a duration above 0 and of at most a hundred years, such as 30d or 12h\n`,
    );
    return EXIT.usage;
  }
  const operation = OPERATIONS.suggest;
  const input = { within, generalize };
  return runServerCommand(
    {
      flags,
      operation,
      input,
      whereOff: 'A server without a cache directory has no control socket, so what it observes cannot be asked for.',
      alone: async ({ loaded: { config }, metadata }) => {
        // A directory of this command's own: `cache: off` has none.
        const dir = config.cache === 'off' ? undefined : config.cache.dir;
        const warn = (message: string): void => output.err(`${message}\n`);
        const store = dir === undefined ? undefined : await openOwnObservations(dir, warn);
        const observations = store === undefined ? undefined : { store, unwritten: [] };
        try {
          return await suggestAccess(input, { config, catalogue: await catalogueOf(config), metadata, observations });
        } finally {
          await store?.close();
        }
      },
      show(answer) {
        if (json) output.out(formatJson(answer));
        else if (isEmpty(answer)) output.err(formatNothing(answer, since));
        else output.out(formatSuggestion(answer, since));
        return isEmpty(answer) ? EXIT.failure : EXIT.ok;
      },
    },
    output,
  );
}

function isEmpty({ observed }: SuggestAnswer): boolean {
  if (observed === null) return true;
  const { rules, refusedCount, leftCount, unnamed } = observed;
  return rules.length + refusedCount + leftCount + unnamed.answered + unnamed.denied === 0;
}

const BEGIN = 'Set `access: {audit: true}`, let clients pull as usual for some days, and ask again.\n';

function formatNothing({ observed, audit }: SuggestAnswer, since: string): string {
  if (observed === null) {
    return `Nothing is observed: entrepot observes requests while it serves with \`access:\`.\n${BEGIN}`;
  }
  const begun =
    observed.since > observed.from ? `since ${formatMinute(observed.since)}, when observing began` : `for ${since}`;
  return `No request was observed ${begun}.\n${audit ? 'Let clients pull as usual, and ask again.\n' : BEGIN}`;
}
