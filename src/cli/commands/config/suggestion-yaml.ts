import type { SuggestAnswer } from '../../../admin/index.ts';
import { count } from '../../format.ts';

type Observed = NonNullable<SuggestAnswer['observed']>;
type Rule = Observed['rules'][number];
type Pattern = Rule['on'][number];
type Unruled = Observed['refused'][number];

/** Rows of a list of what no rule is suggested for; `--json` has more. */
const MAX_SHOWN = 50;

/** The rules as YAML for the place under `access:`, with comments on where each comes from. Pure. */
export function formatSuggestion({ observed }: SuggestAnswer, since: string): string {
  if (observed === null) return '';
  const { rules } = observed;
  const lines = [
    `# The rules that the requests of ${since} needed, from ${formatDay(observed.from)} to ${formatDay(observed.to)}.`,
    ...(observed.since > observed.from ? [`# Observing began at ${formatMinute(observed.since)}.`] : []),
    '# Read them, put them under access:, and run `entrepot config validate`.',
    ...(rules.length === 0 ? ['  rules: []'] : ['  rules:', ...rules.flatMap(formatRule)]),
    ...formatRemarks(observed),
  ];
  return `${lines.join('\n')}\n`;
}

function formatRule(rule: Rule): readonly string[] {
  const { who, may, on, private: isPrivate } = rule;
  return [
    `    # ${describe(rule)}`,
    `    - who: ${who.length === 1 ? name(who[0] ?? '') : `[${who.map(name).join(', ')}]`}`,
    `      may: [${may.join(', ')}]`,
    ...(isPrivate === true ? ['      private: true'] : []),
    ...(on.length === 0 ? [] : ['      on:', ...on.map(formatPattern)]),
  ];
}

/** `1204 requests of 2 repositories, the last on 2026-11-28; without audit mode, 3 would be refused` */
function describe({ on, requests, audited, lastAt }: Rule): string {
  const repositories = on.reduce((sum, pattern) => sum + (pattern.repositories ?? 1), 0);
  const of = on.length === 0 ? '' : ` of ${repositories} ${repositories === 1 ? 'repository' : 'repositories'}`;
  const would =
    audited === 0 ? '' : `; ${audited === requests ? 'all' : audited} would have been refused without audit mode`;
  return `${count(requests, 'request')}${of}, the last on ${formatDay(lastAt)}${would}`;
}

function formatPattern({ pattern, repositories, refusedAt }: Pattern): string {
  const remarks = [
    ...(repositories === undefined ? [] : [`stands for ${repositories} repositories`]),
    ...(refusedAt === undefined ? [] : [`refused since, the last time on ${formatDay(refusedAt)}`]),
  ];
  return `        - ${scalar(pattern)}${remarks.length === 0 ? '' : ` # ${remarks.join('; ')}`}`;
}

function formatRemarks({ refused, refusedCount, left, leftCount, cut, unnamed }: Observed): readonly string[] {
  const lines: string[] = [];
  if (cut > 0) {
    lines.push(`    # ${count(cut, 'more pattern')} did not fit. Use --generalize, or a shorter --since.`);
  }
  if (refusedCount > 0) {
    lines.push('    # Refused, and allowed by no rule above. Add what is meant:');
    lines.push(...listed(refused, refusedCount, describeUnruled));
  }
  if (leftCount > 0) {
    lines.push('    # Answered, but no rule can be made for it:');
    lines.push(...listed(left, leftCount, (each) => `${describeUnruled(each)}: ${each.reason}`));
  }
  const { answered, denied } = unnamed;
  if (answered + denied > 0) {
    lines.push(
      `    # Counted without their names, because there were too many or no pattern can name them: ${answered} answered, ${denied} refused.`,
    );
  }
  return lines;
}

function listed<T extends Unruled>(rows: readonly T[], total: number, format: (row: T) => string): readonly string[] {
  const shown = rows.slice(0, MAX_SHOWN).map((row) => `    #   ${format(row)}`);
  return total > shown.length ? [...shown, `    #   and ${total - shown.length} more`] : shown;
}

function describeUnruled({ principal, action, target, requests, lastAt }: Unruled): string {
  const what = target === '' ? action : `${action} ${printable(target)}`;
  return `${printable(principal)} ${what}: ${count(requests, 'request')}, the last on ${formatDay(lastAt)}`;
}

/** Words that YAML, of any version, reads as something else than text. */
const KEYWORD = /^(?:true|false|yes|no|on|off|null|y|n)$/i;

function name(text: string): string {
  return /^[a-z][\w-]*$/i.test(text) && !KEYWORD.test(text) ? text : quote(text);
}

/** Patterns have a slash, so that none is a number or a keyword. */
function scalar(pattern: string): string {
  return /^[a-z0-9][\w./:-]*\/[\w./-]*(?:\/\*\*)?$/i.test(pattern) ? pattern : quote(pattern);
}

/** What would end a line, or turn the text around it on a terminal. */
const UNPRINTABLE = /[^\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}]/gu;

/** A double-quoted text, of JSON and YAML alike. */
function quote(text: string): string {
  return JSON.stringify(text).replace(UNPRINTABLE, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** For comments: as it stands where that is safe. */
function printable(text: string): string {
  return /^[\x21-\x7e]+$/.test(text) ? text : quote(text);
}

function formatDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** `2026-11-29 10:00 UTC` */
export function formatMinute(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
