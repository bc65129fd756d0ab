import { catalogueOf, explainAccess, SettingsError } from '../../../app/index.ts';
import { formatProblem, loadConfig, locateProblems } from '../../../config/index.ts';
import { faultOfLook } from '../../../lib/index.ts';
import type { CommandOptions } from '../../command.ts';
import { reportErrors, UsageError } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import type { Output } from '../../output.ts';

/** The actions that a rule can allow. */
export type RuleAction = 'pull' | 'catalog' | 'push' | 'delete' | 'status' | 'proxy';

/** Actions that concern no repository. */
const OF_SERVER: ReadonlySet<RuleAction> = new Set<RuleAction>(['status', 'proxy']);

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
      const { verdict, rule, refusal, missing, unread, text } = answer;
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
      if (unread !== undefined) output.err(`note: stored users and tokens are left out of this answer. ${unread}\n`);
      if (missing !== undefined)
        output.err(`note: there is no token called ${missing}; \`entrepot tokens list\` shows them\n`);
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
      if (error instanceof SettingsError) throw locateProblems(loaded, error.problems);
      // To a script, the exit code of a failure would say that the rules refuse it.
      throw error instanceof Error && error.name === 'OciError' ? new UsageError(error.message) : error;
    }
  });
}

/** Why a question has no answer: it would be refused, or allowed, whatever the rules are. */
function faultOfQuestion({ who, action, image }: Pick<ExplainOptions, 'who' | 'action' | 'image'>): string | undefined {
  if (who.startsWith('@')) return `${who} is a group, and no client; ask for one of its members`;
  if (!/^(token:)?[^:\s\p{Cc}]{1,128}$/u.test(who)) {
    return `found ${JSON.stringify(who)}, expected the name of a user, token:NAME or anonymous`;
  }
  const look = faultOfLook(who);
  if (look !== undefined) return `no user has the name ${JSON.stringify(who)}: ${look}`;
  const concernsImage = !OF_SERVER.has(action);
  if (image === undefined && concernsImage) {
    return `${action} concerns an image: entrepot access explain ${who} ${action} ${EXAMPLES[action]}`;
  }
  if (image !== undefined && !concernsImage) {
    return `${action} concerns no image; leave ${JSON.stringify(image)} out`;
  }
  return undefined;
}

const EXAMPLES: Readonly<Partial<Record<RuleAction, string>>> = {
  pull: 'docker.io/library/nginx',
  catalog: 'docker.io/library/nginx',
  push: 'apps/web',
  delete: 'apps/web',
};

const SAID = { allowed: 'allowed', 'if-public': 'allowed if it is public', refused: 'refused' } as const;
const EXPLAINED = {
  allowed: 'decides',
  'if-public':
    'allows it if the upstreams show the repository without a credential; private: true allows it in any case',
  refused:
    'covers only what is public, and this is private: a credential of this server reads it, or it is hosted here; private: true would allow it',
} as const;
