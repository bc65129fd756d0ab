import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';
import { isGroup, type Keys, keysOf, type Texts, withoutKeys } from '../ui/src/words/keyed.ts';

/** Of each language, the module and the name of its texts. */
const LANGUAGES = { en: 'EN', zh: 'ZH' } as const;

/** The texts of every language. */
export async function readTexts(folder: string): Promise<ReadonlyMap<string, Texts>> {
  const entries = Object.entries(LANGUAGES).map(async ([language, name]) => {
    const module = (await import(pathToFileURL(join(folder, `${language}.ts`)).href)) as Readonly<
      Record<string, Texts>
    >;
    return [language, module[name] ?? {}] as const;
  });
  return new Map(await Promise.all(entries));
}

/**
 * Puts the names of the texts into the page once, and each language without them into a file. It takes the place of
 * ui/src/words/load.ts.
 *
 * @param folder ui/src/words
 * @param names which texts are called by short names
 */
export function keylessTexts(
  folder: string,
  { texts, names }: { readonly texts: ReadonlyMap<string, Texts>; readonly names: ShortNames },
): Plugin {
  const keys = keysOf(texts.get('en') ?? {});
  const packed = names.pack(keys);
  return {
    name: 'keyless-texts',
    setup(build) {
      build.onLoad({ filter: /[\\/]words[\\/]load\.ts$/ }, () => ({ contents: loader(packed), resolveDir: folder }));
      build.onResolve({ filter: /^texts:/ }, ({ path }) => ({ path: path.slice('texts:'.length), namespace: 'texts' }));
      build.onLoad({ filter: /.*/, namespace: 'texts' }, ({ path }) => ({
        contents: `export default [${withoutKeys(keys, texts.get(path) ?? {})
          .map(sourceOf)
          .join(',\n')}];`,
      }));
    },
  };
}

/** How the page reads a text: of a section that it calls `w`, or by the section's name. */
const READS = /(\bw|\bwords\.value\.\w+)\.(\w+)\b/g;

/** Short names of texts, as the page is built with them. */
export class ShortNames {
  readonly #short = new Map<string, string>();
  readonly #names: ReadonlySet<string>;

  /** @param names the texts that get one */
  constructor(names: ReadonlySet<string>) {
    this.#names = names;
  }

  /**
   * What of the keys is in the page: of short names that follow each other their number. Groups in a section keep their names, and so
   * do the texts in them: which of them is read, the server may say.
   */
  pack(keys: Keys): Keys {
    const packs = Object.entries(keys).map(([section, each]) => {
      if (typeof each === 'string') return [section, this.#packNames(each)];
      const { '': names } = each;
      return [section, typeof names === 'string' ? { ...each, '': this.#packNames(names) } : each];
    });
    return Object.fromEntries(packs) as Keys;
  }

  #packNames(names: string): string {
    const packed: (string | number)[] = [];
    for (const name of names.split(' ')) {
      const known = this.#short.get(name);
      if (!this.#names.has(name) || known !== undefined) {
        packed.push(known ?? name);
        continue;
      }
      this.#short.set(name, `$${this.#short.size.toString(36)}`);
      const last = packed.at(-1);
      if (typeof last === 'number') packed.splice(-1, 1, last + 1);
      else packed.push(1);
    }
    return packed.join(' ');
  }

  /** What a module reads, by the short names. To be called after {@link pack}. */
  inSource(source: string): string {
    return source.replaceAll(READS, (read, of: string, name: string) => {
      const short = this.#short.get(name);
      return short === undefined ? read : `${of}.${short}`;
    });
  }
}

/**
 * The texts that can have short names: the page reads them as `w.name` or `words.value.section.name`, and in no other way. Those of a
 * section that it reads by other means stay, and so do the names of groups: what a name chooses is in a group.
 *
 * @param own the modules of the page, without those of the texts
 * @throws {TypeError} for a text of `w` that is not read by its name
 */
export function namesToShorten(texts: Texts, own: readonly string[]): ReadonlySet<string> {
  const page = own.join('\n');
  const unnamed = /\bw\[[^\n]*|[^\n]*\} = w\b/.exec(page);
  if (unnamed !== null) throw new TypeError(`${unnamed[0]}: texts that a name chooses belong in a group`);
  const stays = new Set(
    Array.from(page.matchAll(/\bwords\.value\.(\w+)\[/g), ([, section]) => section ?? '').flatMap(namesIn),
  );
  for (const [, list = '', section] of page.matchAll(/\{([^{}]*)\} = words\.value(?:\.(\w+))?/g)) {
    for (const part of list.split(',').map((each) => each.trim())) {
      const [name = ''] = part.split(':', 1);
      const others = section !== undefined ? [name] : part.endsWith(': w') ? [] : namesIn(name);
      for (const each of others) stays.add(each);
    }
  }
  const sections = Object.values(texts).filter(isGroup);
  for (const section of sections) for (const name of Object.keys(section)) if (isGroup(section[name])) stays.add(name);
  const read = Array.from(page.matchAll(READS), ([, , name]) => name ?? '');
  const names = new Set(sections.flatMap((section) => Object.keys(section)));
  return new Set(read.filter((name) => names.has(name) && !stays.has(name)));

  function namesIn(section: string): readonly string[] {
    return Object.keys(texts[section] ?? {});
  }
}

function loader(packed: Keys): string {
  const entries = Object.keys(LANGUAGES).map(
    (language) => `${language}: async () => keyed(KEYS, (await import('texts:${language}')).default),`,
  );
  return [
    "import { keyed } from './keyed.ts';",
    `const KEYS = ${JSON.stringify(packed)};`,
    'export const LOADERS = {',
    ...entries,
    '};',
  ].join('\n');
}

/** @throws {TypeError} for what is no text, and for a function that is not written as an arrow */
export function sourceOf(text: unknown): string {
  if (typeof text === 'string') return JSON.stringify(text);
  if (typeof text !== 'function' || !String(text).startsWith('(')) throw new TypeError(`${String(text)} is no text`);
  return String(text);
}
