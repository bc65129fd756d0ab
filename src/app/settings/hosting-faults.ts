import type { Config } from '../../config/index.ts';
import { formatKey } from '../../config/index.ts';
import { globCovers, globsMeet } from '../../lib/index.ts';
import { type Catalogue, KNOWN_REGISTRIES, parseRepositoryPattern } from '../../routing/index.ts';

type Rule = NonNullable<Config['access']>['rules'][number];

/**
 * What is probably not meant of repositories that are pushed to: rules that let a client push nowhere, or not pull what
 * it pushed, and patterns that are for no repository that is pushed.
 */
export function hostingFaultsOf(config: Config, catalogue: Catalogue): readonly string[] {
  return [
    ...rulesWithoutTarget(config, catalogue),
    ...rulesWithoutPull(config, catalogue),
    ...anonymousWithoutPrivate(config, catalogue),
    ...officialNamesIn(config, catalogue),
    ...foreignPatternsIn(config, catalogue),
    ...tagsWithoutRepository(config, catalogue),
    ...emptiedIn(config, catalogue),
  ];
}

/** Patterns of all that can be pushed to, with the registry in front. */
export function pushTargetsOf(catalogue: Catalogue): readonly string[] {
  return catalogue
    .list()
    .flatMap(({ name, hosting }) =>
      [...(hosting?.hosted ?? []), ...(hosting?.push ?? [])].map((pattern) => `${name}/${pattern}`),
    );
}

/** Patterns of a rule for pushes under which nothing is hosted or pushed through. */
function rulesWithoutTarget({ access }: Config, catalogue: Catalogue): readonly string[] {
  const targets = pushTargetsOf(catalogue);
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

/** Rules by which every client is to pull what is hosted, which is private: they allow nothing. */
function anonymousWithoutPrivate({ access }: Config, catalogue: Catalogue): readonly string[] {
  const hosted = catalogue
    .list()
    .flatMap(({ name, hosting }) => (hosting?.hosted ?? []).map((pattern) => `${name}/${pattern}`));
  return (access?.rules ?? []).flatMap(({ who, may, on, private: coversPrivate }, at) => {
    if (coversPrivate || !may.includes('pull') || !who.includes('anonymous')) return [];
    return on.flatMap((text, index) => {
      const { pattern } = parseRepositoryPattern(catalogue, text);
      if (!hosted.some((wide) => globCovers(wide, pattern))) return [];
      return [
        `access.rules[${at}].on[${index}]: ${text} is hosted here, and so private: the rule lets anonymous pull nothing of it. Write private: true, or leave it out`,
      ];
    });
  });
}

/** Names that Docker Hub reads as official images: `acme`, where `acme/**` is hardly not meant. */
function officialNamesIn({ registries }: Config, catalogue: Catalogue): readonly string[] {
  return Object.entries(registries).flatMap(([key, { hosted = [], push }]) => {
    const registry = catalogue.byName(key);
    if (registry?.library !== true) return [];
    return Object.entries({ hosted, push }).flatMap(([option, patterns]) =>
      patterns.flatMap((text, at) =>
        text.includes('/') || text.includes('*')
          ? []
          : [
              `${formatKey(['registries', key])}.${option}[${at}]: ${text} is read as the one repository library/${text}. Write ${text}/** for the repositories of ${text}, or library/${text} if it is meant`,
            ],
      ),
    );
  });
}

/** Patterns of a registry that begin with the name of another one: `ghcr.io/acme/**` under docker.io. */
function foreignPatternsIn({ registries }: Config, catalogue: Catalogue): readonly string[] {
  return Object.entries(registries).flatMap(([key, { hosted = [], push }]) => {
    const own = catalogue.byName(key)?.name ?? key;
    return Object.entries({ hosted, push }).flatMap(([option, patterns]) =>
      patterns.flatMap((text, at) => {
        const [first = ''] = text.split('/', 1);
        if (!first.includes('.') || !text.includes('/')) return [];
        const named = catalogue.byName(first)?.name;
        // The registry itself in front is read as such.
        if (named === undefined || named === own) return [];
        const rest = text.slice(first.length + 1);
        return [
          `${formatKey(['registries', key])}.${option}[${at}]: ${text} is read as a repository of ${own}, and ${first} is a registry; put ${rest} under ${formatKey(['registries', named])}`,
        ];
      }),
    );
  });
}

/** `web:v*` where no repository web is pushed. */
function tagsWithoutRepository({ registries }: Config, catalogue: Catalogue): readonly string[] {
  return Object.entries(registries).flatMap(([key, { immutableTags }]) => {
    const hosting = catalogue.byName(key)?.hosting;
    if (hosting === undefined) return [];
    return hosting.immutableTags.flatMap((pattern, at) => {
      const colon = pattern.indexOf(':');
      const repository = pattern.slice(0, colon);
      if (colon === -1 || [...hosting.hosted, ...hosting.push].some((other) => globsMeet(other, repository))) return [];
      return [
        `${formatKey(['registries', key])}.immutable_tags[${at}]: ${immutableTags[at]} has no effect: nothing is pushed to ${repository} of this registry. Write the whole name of the repository, or the tag alone for all of them`,
      ];
    });
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
