import { type ConfigProblem, formatKey, type LoadedConfig, locateProblems } from '../../config/index.ts';
import { faultOfLook } from '../../lib/index.ts';
import type { explainAccess, Question } from './access-explanation.ts';

/** What the rules say to a question, in words. */
interface AccessAnswer {
  /** `allowed: pull on docker.io/library/nginx by alice` */
  readonly said: string;
  /** The rule that decides, with its place, and in its message how it decides; undefined where none does. */
  readonly rule: ConfigProblem | undefined;
  /** Why it is refused where no rule decides, or in spite of one. */
  readonly why: string | undefined;
  /** What else the client may find. */
  readonly audit: string | undefined;
  /** What the answer leaves out, and what it supposes. */
  readonly notes: readonly string[];
}

/** Puts an explanation in words, for the command and for the API. */
export function wordExplanation(
  { verdict, rule, refusal, missing, unread, text }: Awaited<ReturnType<typeof explainAccess>>,
  { config, settings, action }: Pick<LoadedConfig, 'config' | 'settings'> & { readonly action: Question['action'] },
): AccessAnswer {
  const notes = [
    ...(unread === undefined ? [] : [`stored users and tokens are left out of this answer. ${unread}`]),
    ...(missing === undefined ? [] : [`there is no token called ${missing}; \`entrepot tokens list\` shows them`]),
  ];
  const said = `${SAID[verdict]}: ${text}`;
  if (rule === undefined || refusal !== undefined) {
    const isAudited = refusal === undefined && config.access?.audit === true && action === 'pull';
    const audit = isAudited ? 'access.audit lets it through if its repository is public' : undefined;
    const why = refusal ?? 'no rule allows it; add one under access.rules';
    return { said: `${SAID.refused}: ${text}`, rule: undefined, why, audit, notes };
  }
  const [located] = locateProblems({ settings }, [
    `${formatKey(['access', 'rules', rule])}: ${DECIDES[verdict]}`,
  ]).problems;
  return { said, rule: located, why: undefined, audit: undefined, notes };
}

/** Why a question has no answer: it would be refused, or allowed, whatever the rules are. Pure. */
export function faultOfQuestion({ who, action, image }: Question): string | undefined {
  if (who.startsWith('@')) return `${who} is a group, and no client; ask for one of its members`;
  if (!/^(token:)?[^:\s\p{Cc}]{1,128}$/u.test(who)) {
    return `found ${JSON.stringify(who)}, expected the name of a user, token:NAME or anonymous`;
  }
  const look = faultOfLook(who);
  if (look !== undefined) return `no user has the name ${JSON.stringify(who)}: ${look}`;
  const concernsImage = !OF_SERVER.has(action);
  if (image === undefined && concernsImage) {
    return `${action} concerns an image; name one, such as ${EXAMPLES[action] ?? 'docker.io/library/nginx'}`;
  }
  if (image !== undefined && !concernsImage) {
    return `${action} concerns no image; leave ${JSON.stringify(image)} out`;
  }
  return undefined;
}

/** Actions that concern no repository. */
const OF_SERVER: ReadonlySet<Question['action']> = new Set<Question['action']>(['status', 'admin', 'proxy']);

const EXAMPLES: Readonly<Partial<Record<Question['action'], string>>> = { push: 'apps/web', delete: 'apps/web' };

const SAID = { allowed: 'allowed', 'if-public': 'allowed if it is public', refused: 'refused' } as const;
const DECIDES = {
  allowed: 'decides',
  'if-public':
    'allows it if the upstreams show the repository without a credential; private: true allows it in any case',
  refused:
    'covers only what is public, and this is private: a credential of this server reads it, or it is hosted here; private: true would allow it',
} as const;
