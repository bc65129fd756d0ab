import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { languageOf } from './language.ts';

describe('languageOf()', () => {
  const rows: readonly (readonly [string | undefined, string | undefined, 'en' | 'zh'])[] = [
    [undefined, undefined, 'en'],
    ['', '', 'en'],
    [undefined, 'zh-CN,zh;q=0.9,en;q=0.8', 'zh'],
    [undefined, 'en-US,en;q=0.9,zh;q=0.8', 'en'],
    [undefined, 'de-DE,de;q=0.9', 'en'],
    [undefined, 'de, zh-Hant;q=0.5', 'zh'],
    [undefined, 'ZH', 'zh'],
    [undefined, 'en;q=0.1, zh;q=0.2', 'zh'],
    [undefined, 'zh;q=0', 'en'],
    [undefined, 'zh;q=0, *', 'en'],
    [undefined, 'zh;q=2, en;q=0.1', 'en'],
    [undefined, '*', 'en'],
    [undefined, '*;q=0.1, zh;q=0.5', 'zh'],
    [undefined, 'zhx', 'en'],
    [undefined, ';;,,q=;zh', 'en'],
    [undefined, `${'x,'.repeat(2000)}zh`, 'en'],
    ['lang=zh', 'en', 'zh'],
    ['lang=zh-CN', undefined, 'zh'],
    ['lang=zh_TW', undefined, 'zh'],
    ['a=b&lang=en', 'zh', 'en'],
    ['lang=fr', 'zh', 'zh'],
    ['lang=', 'zh', 'zh'],
    ['lang=%', undefined, 'en'],
    ['lang=__proto__', undefined, 'en'],
  ];
  for (const [query, acceptLanguage, language] of rows) {
    test(`?${query ?? ''} and ${acceptLanguage?.slice(0, 40) ?? 'nothing'}: ${language}`, () =>
      assert.equal(languageOf({ query, acceptLanguage }), language));
  }
});
