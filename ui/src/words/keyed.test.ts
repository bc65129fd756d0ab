import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EN } from './en.ts';
import { keyed, keysOf, withoutKeys } from './keyed.ts';
import { ZH } from './zh.ts';

test('the keys of texts are names, and groups of them', () => {
  assert.deepEqual(keysOf({ b: '1', a: { x: '2', y: '3' }, c: '4' }), { '': 'b c', a: 'x y' });
  assert.equal(keysOf({ b: '1', a: '2' }), 'b a');
});

test('a number stands for as many short names', () => {
  const texts = Array.from({ length: 40 }, (_, at) => String(at));
  const built = keyed({ '': '2 name', a: '36 $1' }, texts);
  assert.deepEqual({ ...built, a: undefined }, { $0: '0', $1: '1', name: '2', a: undefined });
  const { a } = built;
  assert.deepEqual(
    [
      Object.keys(a as object).length,
      ...Object.entries(a as object)
        .filter(([name]) => ['$2', '$11', '$1'].includes(name))
        .flat(),
    ],
    [37, '$2', '3', '$11', '38', '$1', '39'],
  );
});

for (const [language, texts] of Object.entries({ en: EN, zh: ZH })) {
  test(`the texts in ${language} are the same when their keys are taken off by those of English and put back`, () => {
    const keys = keysOf(EN);
    const plain = withoutKeys(keys, texts);
    assert.ok(plain.every((text) => typeof text === 'string' || typeof text === 'function'));
    assert.deepEqual(keyed(keys, plain), texts);
  });
}
