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
      const code = answer.allowed ? EXIT.ok : EXIT.failure;
      if (json) {
        output.out(formatJson({ allowed: answer.allowed, rule: answer.rule ?? null }));
        return code;
      }
      if (answer.rule === undefined) {
        output.out(`refused: ${answer.text}\n  no rule allows it; add one under access.rules\n`);
        return code;
      }
      const [place] = locateProblems(loaded, [`access.rules[${answer.rule}]: decides`]).problems;
      output.out(`allowed: ${answer.text}\n  ${place === undefined ? '' : formatProblem(place)}\n`);
      return code;
    } catch (error) {
      throw error instanceof SettingsError ? locateProblems(loaded, error.problems) : error;
    }
  });
}
