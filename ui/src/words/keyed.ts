// The texts of a language without their keys. Both languages have the same keys, so that the page holds them once: the build
// (scripts/console-words.ts) takes them off, and the page puts them back.

/**
 * The names of texts, with a space between them; or groups of names, and under `''` the texts beside them. A number stands for as
 * many short names, which are `$0`, `$1` and so on, in base 36.
 */
export type Keys = string | { readonly [group: string]: Keys };

/** Texts by their names, and groups of them. */
export interface Texts {
  readonly [key: string]: unknown;
}

/** The keys of some texts. */
export function keysOf(texts: Texts): Keys {
  const names = Object.keys(texts).filter((key) => !isGroup(texts[key]));
  const groups = Object.entries(texts).flatMap(([key, each]) => (isGroup(each) ? [[key, keysOf(each)] as const] : []));
  if (groups.length === 0) return names.join(' ');
  return Object.fromEntries(names.length === 0 ? groups : [['', names.join(' ')] as const, ...groups]);
}

/** The texts alone, in the order of their keys. */
export function withoutKeys(keys: Keys, texts: Texts): readonly unknown[] {
  if (typeof keys === 'string') return keys.split(' ').map((key) => texts[key]);
  return Object.entries(keys).flatMap(([group, each]) =>
    withoutKeys(each, group === '' ? texts : (texts[group] as Texts)),
  );
}

/** Undoes {@link withoutKeys}. */
export function keyed(keys: Keys, texts: readonly unknown[]): Texts {
  let at = 0;
  let short = 0;
  const build = (of: Keys): Texts => {
    const built: Record<string, unknown> = {};
    if (typeof of === 'string') {
      const add = (key: string): void => {
        built[key] = texts[at];
        at += 1;
      };
      for (const key of of.split(' ')) {
        const more = Number(key);
        // A name is no number.
        if (Number.isNaN(more)) add(key);
        else for (const end = short + more; short < end; short += 1) add(`$${short.toString(36)}`);
      }
    } else {
      for (const group in of) {
        const made = build(of[group] ?? '');
        if (group === '') Object.assign(built, made);
        else built[group] = made;
      }
    }
    return built;
  };
  return build(keys);
}

export function isGroup(value: unknown): value is Texts {
  return typeof value === 'object' && value !== null;
}
