import { catalogueOf, explainAccess, faultOfQuestion, SettingsError, wordExplanation } from '../../../app/index.ts';
import { formatProblem, loadConfig, locateProblems } from '../../../config/index.ts';
import type { CommandOptions } from '../../command.ts';
import { reportErrors, UsageError } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';

/** The actions that a rule can allow. */
export type RuleAction = 'pull' | 'catalog' | 'push' | 'delete' | 'status' | 'proxy';

interface ExplainOptions extends CommandOptions {
  readonly who: string;
  readonly action: RuleAction;
  readonly image: string | undefined;
}

/** `entrepot access explain`: says which rule allows something, or that none does. Exits with 1 where it is refused. */
export function explain({ flags, json = false, who, action, image }: ExplainOptions, output: Output): Promise<number> {
  return reportErrors(output, async () => {
    const fault = faultOfQuestion({ who, action, image });
    if (fault !== undefined) throw new UsageError(fault);
    const loaded = await loadConfig({ flags, checkReferences: false });
    try {
      const answer = await explainAccess(loaded.config, await catalogueOf(loaded.config), { who, action, image });
      const { verdict, rule, refusal, unread } = answer;
      const code = verdict === 'refused' ? EXIT.failure : EXIT.ok;
      if (json) {
        const allowed = verdict !== 'refused';
        const shown = {
          allowed,
          onlyPublic: verdict === 'if-public',
          rule: rule ?? null,
          refusal: refusal ?? null,
          unread: unread ?? null,
        };
        output.out(formatJson(shown));
        return code;
      }
      const words = wordExplanation(answer, { ...loaded, action });
      for (const note of words.notes) output.err(`note: ${note}\n`);
      const reasons = [words.rule === undefined ? words.why : formatProblem(words.rule), words.audit];
      output.out([words.said, ...reasons.flatMap((each) => (each === undefined ? [] : [`  ${each}`])), ''].join('\n'));
      return code;
    } catch (error) {
      if (error instanceof SettingsError) throw locateProblems(loaded, error.problems);
      // To a script, the exit code of a failure would say that the rules refuse it.
      throw error instanceof Error && error.name === 'OciError' ? new UsageError(error.message) : error;
    }
  });
}
