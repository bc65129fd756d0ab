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
 * @param shorter what to call names instead
 */
export function keylessTexts(
  folder: string,
  {
    texts,
    shorter,
  }: { readonly texts: ReadonlyMap<string, Texts>; readonly shorter: Readonly<Record<string, string>> },
): Plugin {
  const keys = keysOf(texts.get('en') ?? {});
  return {
    name: 'keyless-texts',
    setup(build) {
      build.onLoad({ filter: /[\\/]words[\\/]load\.ts$/ }, () => ({
        contents: loader(renamed(keys, shorter)),
        resolveDir: folder,
      }));
      build.onResolve({ filter: /^texts:/ }, ({ path }) => ({ path: path.slice('texts:'.length), namespace: 'texts' }));
      build.onLoad({ filter: /.*/, namespace: 'texts' }, ({ path }) => ({
        contents: `export default [${withoutKeys(keys, texts.get(path) ?? {})
          .map(sourceOf)
          .join(',\n')}];`,
      }));
    },
  };
}

function renamed(keys: Keys, shorter: Readonly<Record<string, string>>): Keys {
  if (typeof keys === 'string') {
    return keys
      .split(' ')
      .map((key) => shorter[key] ?? key)
      .join(' ');
  }
  return Object.fromEntries(Object.entries(keys).map(([group, each]) => [group, renamed(each, shorter)]));
}

/**
 * Short names for the texts that the page reads as `w.name` and in no other way. A name that stands anywhere else may be one of the API,
 * of the document or of a list by which texts are chosen, and stays.
 *
 * @param own the modules of the page, without those of the texts
 * @param foreign those of packages
 */
export function shortNames(
  texts: Texts,
  { own, foreign }: { readonly own: readonly string[]; readonly foreign: readonly string[] },
): Readonly<Record<string, string>> {
  const page = own.join('\n');
  const read = new Set(Array.from(page.matchAll(/\bw\.(\w+)/g), ([, name]) => name ?? ''));
  const others = new Set([page.replaceAll(/\bw\.\w+/g, ''), ...foreign].flatMap((text) => text.match(/[\w$]+/g) ?? []));
  const sections = Object.values(texts).filter(isGroup);
  // Groups keep their names, and so do the texts in them: which of them is read, the server may say.
  for (const [group, texts] of sections.flatMap(Object.entries)) {
    if (isGroup(texts)) for (const name of [group, ...Object.keys(texts)]) others.add(name);
  }
  const names = new Set(sections.flatMap(Object.keys).filter((name) => read.has(name) && !others.has(name)));
  return Object.fromEntries([...names].map((name, at) => [name, `$${at.toString(36)}`]));
}

function loader(keys: Keys): string {
  const entries = Object.keys(LANGUAGES).map(
    (language) => `${language}: async () => keyed(KEYS, (await import('texts:${language}')).default),`,
  );
  return [
    "import { keyed } from './keyed.ts';",
    `const KEYS = ${JSON.stringify(keys)};`,
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
