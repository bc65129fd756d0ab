import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EN } from '../ui/src/words/en.ts';
import { keysOf, withoutKeys } from '../ui/src/words/keyed.ts';
import { ZH } from '../ui/src/words/zh.ts';
import { shortNames, sourceOf } from './console-words.ts';

// The build writes each text as source. One that used something beside its arguments would fail in the page alone.
for (const [language, texts] of Object.entries({ en: EN, zh: ZH })) {
  test(`each text in ${language} says the same when it is made of its source`, () => {
    for (const text of withoutKeys(keysOf(EN), texts)) {
      // What is run is the text of our own module.
      // oxlint-disable-next-line typescript/no-implied-eval -- as the page runs it
      const made: unknown = new Function(`return ${sourceOf(text)}`)();
      if (typeof text !== 'function') {
        assert.equal(made, text);
        continue;
      }
      for (const args of [
        ['«1»', '«2»', '«3»', '«4»'],
        [1, '«2»', '«3»', '«4»'],
      ]) {
        assert.equal((made as (...parts: unknown[]) => string)(...args), text(...args));
      }
    }
  });
}

test('what is no text is refused', () => {
  assert.throws(() => sourceOf(undefined), TypeError);
  assert.throws(() => sourceOf(12), TypeError);
});

test('a text gets a short name where the page reads it as w.name, and its name stands nowhere else', () => {
  const texts = {
    images: { mine: '1', field: '2', foreign: '3', listed: '4', unread: '5', state: { kind: '6' }, kind: '7' },
  };
  const own = ["w.mine(w.field); answer.field; w.foreign; TABS = ['listed']; w.listed; w.kind; w.state[answer.is]"];
  assert.deepEqual(shortNames(texts, { own, foreign: ['element.foreign'] }), { mine: '$0' });
});
