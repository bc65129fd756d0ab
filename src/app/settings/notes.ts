import type { KnownPrincipals } from '../../access/index.ts';
import {
  type Config,
  type ConfigProblem,
  findNotes,
  formatKey,
  type LoadedConfig,
  locateProblems,
} from '../../config/index.ts';
import { globCovers, mistypedFrom } from '../../lib/index.ts';
import { type Catalogue, KNOWN_REGISTRIES, parseTagPattern } from '../../routing/index.ts';
import { accessFaultsOf } from './access-faults.ts';
import { hostingFaultsOf } from './hosting-faults.ts';
import { idleSchedulesIn } from './schedules.ts';
import { idleWebhooksIn } from './webhooks.ts';

type CacheOn = Exclude<Config['cache'], 'off'>;

/** The cache's patterns of tags as `entrepot purge` reads them: `nginx` is docker.io/library/nginx, every tag of it. */
export function tagPatternsOf({ pin, tags }: CacheOn, catalogue: Catalogue): Pick<CacheOn, 'pin' | 'tags'> {
  const patternOf = (text: string): string => parseTagPattern(catalogue, text).pattern;
  if (tags === 'never') return { pin: pin.map(patternOf), tags };
  const rules = tags.rules.map(({ match, ...rule }) => ({ match: patternOf(match), ...rule }));
  return { pin: pin.map(patternOf), tags: { ...tags, rules } };
}

/**
 * What is dangerous in a configuration, and what has no effect. @param catalogue without it, no pattern is checked
 */
export function notesOf(
  { config, settings, layerNotes }: Pick<LoadedConfig, 'config' | 'settings' | 'layerNotes'>,
  catalogue: Catalogue | undefined,
  known?: KnownPrincipals,
): readonly ConfigProblem[] {
  const faults = catalogue === undefined ? [] : patternFaultsOf(config, catalogue);
  if (catalogue !== undefined) faults.push(...coveredRulesOf(config, catalogue), ...hostingFaultsOf(config, catalogue));
  if (catalogue !== undefined) {
    faults.push(...idleWebhooksIn(config, catalogue), ...idleSchedulesIn(config, catalogue));
  }
  faults.push(...mistypedNamesIn(config));
  if (known !== undefined) faults.push(...accessFaultsOf(config, known));
  return [...layerNotes, ...findNotes(config, settings), ...locateProblems({ settings }, faults).problems];
}

function patternFaultsOf({ cache }: Config, catalogue: Catalogue): string[] {
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

/** Rules that set nothing, and rules whose keys are all set by earlier ones that match whatever they match. */
function coveredRulesOf({ cache }: Config, catalogue: Catalogue): readonly string[] {
  if (cache === 'off' || cache.tags === 'never') return [];
  const rules = cache.tags.rules.map((rule) => ({ ...rule, pattern: parseTagPattern(catalogue, rule.match).pattern }));
  return rules.flatMap((rule, at) => {
    const keys = (['freshFor', 'cooldown'] as const).filter((key) => rule[key] !== undefined);
    if (keys.length === 0) return [`cache.tags.rules[${at}]: it has no effect: it sets neither fresh_for nor cooldown`];
    const deciding = keys.map((key) =>
      rules.findIndex((wide) => wide[key] !== undefined && globCovers(wide.pattern, rule.pattern)),
    );
    const first = deciding[0] ?? at;
    const written = JSON.stringify(rules[first]?.match);
    return deciding.includes(at)
      ? []
      : [
          `cache.tags.rules[${at}]: it has no effect: rules[${first}], ${written}, matches every tag that it matches, and the first rule that matches applies. Put it before rules[${first}], or remove it`,
        ];
  });
}

/** Names that are one typing error away from a known registry: each is a host of its own, which hardly exists. */
function mistypedNamesIn({ registries, defaultRegistry, forwardProxy }: Config): readonly string[] {
  const known = new Set(KNOWN_REGISTRIES.flatMap(({ name, hosts }) => [name, ...hosts]));
  const names = [
    ...Object.keys(registries).map((name) => ({ option: formatKey(['registries', name]), name })),
    ...(defaultRegistry === undefined ? [] : [{ option: 'default_registry', name: defaultRegistry }]),
    ...(forwardProxy.allowedHosts ?? []).map((name, at) => ({ option: `forward_proxy.allowed_hosts[${at}]`, name })),
  ];
  return names.flatMap(({ option, name }) => {
    const meant = known.has(name) || !name.includes('.') ? undefined : mistypedFrom(name, known);
    return meant === undefined ? [] : [`${option}: "${name}" is no known registry; did you mean ${meant}?`];
  });
}
