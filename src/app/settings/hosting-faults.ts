import type { Config } from '../../config/index.ts';
import { formatKey } from '../../config/index.ts';
import { globsMeet } from '../../lib/index.ts';
import { type Catalogue, KNOWN_REGISTRIES, parseRepositoryPattern } from '../../routing/index.ts';

type Rule = NonNullable<Config['access']>['rules'][number];

/** What is probably not meant of repositories that are pushed to: rules that let a client push nowhere, or not pull what it pushed. */
export function hostingFaultsOf(config: Config, catalogue: Catalogue): readonly string[] {
  return [
    ...rulesWithoutTarget(config, catalogue),
    ...rulesWithoutPull(config, catalogue),
    ...emptiedIn(config, catalogue),
  ];
}

/** Patterns of a rule for pushes under which nothing is hosted or pushed through. */
function rulesWithoutTarget({ access }: Config, catalogue: Catalogue): readonly string[] {
  const targets = catalogue
    .list()
    .flatMap(({ name, hosting }) =>
      [...(hosting?.hosted ?? []), ...(hosting?.push ?? [])].map((pattern) => `${name}/${pattern}`),
    );
  return (access?.rules ?? []).flatMap(({ may, on }, at) => {
    const writing = may.filter((action) => action === 'push' || action === 'delete');
    if (writing.length === 0) return [];
    return on.flatMap((text, index) => {
      const { pattern, fault } = parseRepositoryPattern(catalogue, text);
      // What matches no repository at all is a problem, which is reported elsewhere.
      if (fault !== undefined || targets.some((target) => globsMeet(target, pattern))) return [];
      return [
        `access.rules[${at}].on[${index}]: no repository of ${text} is hosted here or pushed through, so the rule allows no ${writing.join(' and no ')} there. Set hosted or push under the registry, or leave ${writing.join(' and ')} out`,
      ];
    });
  });
}

/** Clients ask whether a manifest or blob is there before they push it. */
function rulesWithoutPull({ access }: Config, catalogue: Catalogue): readonly string[] {
  if (access === undefined) return [];
  const { rules, groups } = access;
  const canonical = (text: string): string => parseRepositoryPattern(catalogue, text).pattern;
  const mayPull = (name: string, pattern: string): boolean =>
    rules.some(
      (rule) =>
        rule.may.includes('pull') &&
        isFor(rule, name, groups) &&
        rule.on.some((other) => globsMeet(canonical(other), pattern)),
    );
  return rules.flatMap(({ who, may, on }, at) => {
    if (!may.includes('push') || may.includes('pull')) return [];
    const found = who.find((name) => on.some((text) => !mayPull(name, canonical(text))));
    if (found === undefined) return [];
    return [
      `access.rules[${at}].may: ${found} may push and not pull, and clients look whether an image is there before they push it, so their pushes fail. Write may: [pull, ${may.join(', ')}]`,
    ];
  });
}

/** Whether a rule is for a name as another rule writes it. What is hosted is private, so a rule for every client must say that it covers that. */
function isFor(
  { who, private: coversPrivate }: Rule,
  name: string,
  groups: Readonly<Record<string, readonly string[]>>,
): boolean {
  return who.some(
    (each) =>
      each === name ||
      (each === 'anonymous' && coversPrivate) ||
      (each.startsWith('@') && Object.hasOwn(groups, each.slice(1)) && groups[each.slice(1)]?.includes(name) === true),
  );
}

/** Public registries of which nothing is pulled any more. */
function emptiedIn({ registries }: Config, catalogue: Catalogue): readonly string[] {
  return Object.entries(registries).flatMap(([key, { hosted = [] }]) => {
    const name = catalogue.byName(key)?.name ?? key;
    if (!hosted.includes('**') || !KNOWN_REGISTRIES.some((known) => known.name === name)) return [];
    return [
      `${formatKey(['registries', key])}.hosted: every repository of ${name} is hosted here, so none is pulled from ${name} any more. For some of them write hosted: [acme/**]`,
    ];
  });
}
