import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';
import { type Keys, keysOf, withoutKeys } from '../ui/src/words/keyed.ts';

/** Of each language, the module and the name of its texts. */
const LANGUAGES = { en: 'EN', zh: 'ZH' } as const;

/**
 * Puts the keys of the texts into the page once, and each language without them into a file: a quarter of the texts less. It takes the
 * place of ui/src/words/load.ts.
 *
 * @param root the directory of the checkout, with a slash at its end
 */
export async function keylessTexts(root: string): Promise<Plugin> {
  const folder = join(root, 'ui/src/words');
  const read = async (language: keyof typeof LANGUAGES): Promise<Texts> => {
    const module = (await import(pathToFileURL(join(folder, `${language}.ts`)).href)) as Readonly<
      Record<string, Texts>
    >;
    return module[LANGUAGES[language]] as Texts;
  };
  const keys = keysOf(await read('en'));
  const texts = new Map<string, string>();
  for (const language of Object.keys(LANGUAGES) as (keyof typeof LANGUAGES)[]) {
    texts.set(
      language,
      `export default [${withoutKeys(keys, await read(language))
        .map(sourceOf)
        .join(',\n')}];`,
    );
  }
  return {
    name: 'keyless-texts',
    setup(build) {
      build.onLoad({ filter: /[\\/]words[\\/]load\.ts$/ }, () => ({
        contents: loader(keys),
        resolveDir: folder,
        watchFiles: [...texts.keys()].map((language) => join(folder, `${language}.ts`)),
      }));
      build.onResolve({ filter: /^texts:/ }, ({ path }) => ({ path: path.slice('texts:'.length), namespace: 'texts' }));
      build.onLoad({ filter: /.*/, namespace: 'texts' }, ({ path }) => ({ contents: texts.get(path) ?? '' }));
    },
  };
}

type Texts = Readonly<Record<string, unknown>>;

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
  if (typeof text !== 'function' || !/^\(/.test(String(text))) throw new TypeError(`${String(text)} is no text`);
  return String(text);
}
