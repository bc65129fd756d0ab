import { catalogueOf, explainAccess, SettingsError } from '../../../app/index.ts';
import { formatProblem, loadConfig, locateProblems } from '../../../config/index.ts';
import type { CommandOptions } from '../../command.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';

/** The actions that a rule can allow. */
export type RuleAction = 'pull' | 'catalog' | 'status' | 'proxy';

interface ExplainOptions extends CommandOptions {
  readonly who: string;
  readonly action: RuleAction;
  readonly image: string | undefined;
}

/** `entrepot access explain`: says which rule allows something, or that none does. Exits with 1 where it is refused. */
export function explain({ flags, json = false, who, action, image }: ExplainOptions, output: Output): Promise<number> {
  if (image === undefined && (action === 'pull' || action === 'catalog')) {
    output.err(`${action} concerns an image: entrepot access explain ${who} ${action} docker.io/library/nginx\n`);
    return Promise.resolve(EXIT.usage);
  }
  return reportErrors(output, async () => {
    const loaded = await loadConfig({ flags, checkReferences: false });
    try {
      const answer = await explainAccess(loaded.config, await catalogueOf(loaded.config), { who, action, image });
      const { verdict, rule, refusal, text } = answer;
      const code = verdict === 'refused' ? EXIT.failure : EXIT.ok;
      if (json) {
        const allowed = verdict !== 'refused';
        const shown = { allowed, onlyPublic: verdict === 'if-public', rule: rule ?? null, refusal: refusal ?? null };
        output.out(formatJson(shown));
        return code;
      }
      if (rule === undefined || refusal !== undefined) {
        const why = refusal ?? 'no rule allows it; add one under access.rules';
        const isAudited = refusal === undefined && loaded.config.access?.audit === true && action === 'pull';
        const audit = isAudited ? '  access.audit lets it through if its repository is public\n' : '';
        output.out(`refused: ${text}\n  ${why}\n${audit}`);
        return code;
      }
      const [place] = locateProblems(loaded, [`access.rules[${rule}]: ${EXPLAINED[verdict]}`]).problems;
      output.out(`${SAID[verdict]}: ${text}\n  ${place === undefined ? '' : formatProblem(place)}\n`);
      return code;
    } catch (error) {
      throw error instanceof SettingsError ? locateProblems(loaded, error.problems) : error;
    }
  });
}

const SAID = { allowed: 'allowed', 'if-public': 'allowed if it is public', refused: 'refused' } as const;
const EXPLAINED = {
  allowed: 'decides',
  'if-public':
    'allows it if the upstreams show the repository without a credential; private: true allows it in any case',
  refused: 'covers only what is public, and a credential of this server reads this; private: true would allow it',
} as const;
