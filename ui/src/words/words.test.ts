import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EN } from './en.ts';
import { languageOf } from './language.ts';
import { ZH } from './zh.ts';

type Entry = readonly [path: string, text: string];

/** Every text with its place; one that is made of others is made of words that no text has. */
function textsOf(value: unknown, path: string): readonly Entry[] {
  if (typeof value === 'string') return [[path, value]];
  if (typeof value === 'function') {
    // A plural depends on the first argument, where it is a number.
    const make = value as (...parts: unknown[]) => unknown;
    return [make('«1»', '«2»', '«3»'), make(1, '«2»', '«3»')].map((text, at) => [`${path}#${at}`, String(text)]);
  }
  return Object.entries(value as object).flatMap(([key, each]) => textsOf(each, `${path}.${key}`));
}

const english = new Map(textsOf(EN, ''));
const chinese = new Map(textsOf(ZH, ''));

/** The same in both: names, and what stands in a file or a header. */
const SAME = /^(?:YAML|API|URL|JSON|TLS|DNS|TCP|X-Request-Id|entrepot «1»|entrepot 1|[«»\d\s./%:·+—-]*)$/;

describe('the texts of the page', () => {
  test('there is one of each in both languages', () => {
    assert.deepEqual([...chinese.keys()].sort(), [...english.keys()].sort());
    assert.ok(english.size > 200, `${english.size} texts`);
  });

  test('where one says something, so does the other', () => {
    const isSilent = (text = ''): boolean => text.trim() === '';
    const half = [...english].filter(([path, text]) => isSilent(text) !== isSilent(chinese.get(path)));
    assert.deepEqual(half, []);
  });

  test('none is the same in both by mistake', () => {
    const same = [...english].filter(([path, text]) => chinese.get(path) === text && !SAME.test(text));
    assert.deepEqual(same, []);
  });

  test('what a text is made of is in it in both languages', () => {
    const parts = (text = ''): string => [...new Set(text.match(/«\d»/g))].sort().join();
    const different = [...english]
      .filter(([path]) => path.endsWith('#0'))
      .filter(([path, text]) => parts(text) !== parts(chinese.get(path)))
      .map(([path]) => path);
    assert.deepEqual(different, []);
  });

  test('code stands in pairs of backticks, and is the same in both', () => {
    const codeOf = (text = ''): string =>
      text
        .split('`')
        .filter((_, at) => at % 2 === 1)
        .sort()
        .join();
    for (const [path, text] of english) {
      assert.equal(text.split('`').length % 2, 1, path);
      assert.equal(codeOf(chinese.get(path)), codeOf(text), path);
    }
  });
});

describe('languageOf', () => {
  for (const [preferred, expected] of [
    [['zh-CN', 'en'], 'zh'],
    [['zh-Hant-TW'], 'zh'],
    [['de', 'zh'], 'zh'],
    [['en-GB', 'zh'], 'en'],
    [['fr'], 'en'],
    [[], 'en'],
  ] as const) {
    test(`${preferred.join()}: ${expected}`, () => assert.equal(languageOf(preferred), expected));
  }
});
