import { isDeepStrictEqual } from 'node:util';
import { formatKey } from '../problems.ts';
import type { Config } from '../schema/index.ts';
import { type Path, scalarsOf, type Tree } from '../tree.ts';

type Note = (path: Path, message: string) => void;

/** Entries of lists that stand there a second time: where a list is tried in order, the same is tried twice. Pure. */
export function noteRepeated(config: Config, settings: Tree | undefined, note: Note): void {
  for (const [name, { upstreams = [] }] of Object.entries(config.registries)) {
    const path = ['registries', name, 'upstreams'];
    // Two entries with different credentials or capabilities are two upstreams, whatever they are called.
    const places = upstreams.map((upstream) => ({ ...upstream, name: undefined }));
    for (const [at, first] of repeatedIn(places)) {
      note(
        [...path, at],
        `${places[at]?.url} is upstreams[${first}] already: where it fails, it would be asked twice. Remove one of the two, or give each settings of its own`,
      );
    }
    for (const [at, { credentials }] of upstreams.entries()) {
      if (!Array.isArray(credentials)) continue;
      for (const [index, first] of repeatedIn(credentials)) {
        note(
          [...path, at, 'credentials', index],
          `it is the same as credentials[${first}], and has no pull limit of its own. Remove one of the two`,
        );
      }
    }
  }
  const lists = new Map<string, { readonly at: Path; readonly value: unknown }[]>();
  for (const { path, value } of scalarsOf(settings)) {
    if (typeof path.at(-1) !== 'number' || path.at(-2) === 'upstreams') continue;
    const key = formatKey(path.slice(0, -1));
    lists.set(key, [...(lists.get(key) ?? []), { at: path, value }]);
  }
  for (const entries of lists.values()) {
    for (const [at, first] of repeatedIn(entries.map(({ value }) => value))) {
      const { at: path = [], value } = entries[at] ?? {};
      note(path, `${JSON.stringify(value)} stands in this list already, at [${first}]. Remove one of the two`);
    }
  }
}

/** The indices of entries that are equal to an earlier one, each with that of the first. */
function repeatedIn(list: readonly unknown[]): readonly (readonly [at: number, first: number])[] {
  return list.flatMap((entry, at) => {
    const first = list.findIndex((other) => isDeepStrictEqual(other, entry));
    return first === at ? [] : [[at, first] as const];
  });
}
