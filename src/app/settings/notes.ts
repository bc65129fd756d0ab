import { type Config, type ConfigProblem, findNotes, type LoadedConfig, locateProblems } from '../../config/index.ts';
import { type Catalogue, parseTagPattern } from '../../routing/index.ts';

type CacheOn = Exclude<Config['cache'], 'off'>;

/** The cache's patterns of tags as `entrepot purge` reads them: `nginx` is docker.io/library/nginx, every tag of it. */
export function tagPatternsOf({ pin, tags }: CacheOn, catalogue: Catalogue): Pick<CacheOn, 'pin' | 'tags'> {
  const patternOf = (text: string): string => parseTagPattern(catalogue, text).pattern;
  if (tags === 'never') return { pin: pin.map(patternOf), tags };
  const rules = tags.rules.map(({ match, freshFor }) => ({ match: patternOf(match), freshFor }));
  return { pin: pin.map(patternOf), tags: { ...tags, rules } };
}

/**
 * What is dangerous in a configuration, and what has no effect. @param catalogue without it, no pattern is checked
 */
export function notesOf(
  { config, settings }: Pick<LoadedConfig, 'config' | 'settings'>,
  catalogue: Catalogue | undefined,
): readonly ConfigProblem[] {
  const faults = catalogue === undefined ? [] : patternFaultsOf(config, catalogue);
  return [...findNotes(config, settings), ...locateProblems({ settings }, faults).problems];
}

function patternFaultsOf({ cache }: Config, catalogue: Catalogue): readonly string[] {
  if (cache === 'off') return [];
  const rules = cache.tags === 'never' ? [] : cache.tags.rules;
  const patterns = [
    ...cache.pin.map((text, at) => ({ option: `cache.pin[${at}]`, text })),
    ...rules.map(({ match }, at) => ({ option: `cache.tags.rules[${at}].match`, text: match })),
  ];
  return patterns.flatMap(({ option, text }) => {
    const { fault } = parseTagPattern(catalogue, text);
    return fault === undefined ? [] : [`${option}: ${JSON.stringify(text)} matches nothing: ${fault}`];
  });
}
