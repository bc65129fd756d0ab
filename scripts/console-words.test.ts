import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EN } from '../ui/src/words/en.ts';
import { keyed, keysOf, type Texts, withoutKeys } from '../ui/src/words/keyed.ts';
import { ZH } from '../ui/src/words/zh.ts';
import { namesToShorten, ShortNames, sourceOf } from './console-words.ts';

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

const TEXTS = {
  images: { mine: '1', kind: '2', unread: '3', picked: '4', homes: { hosted: '5' }, both: '6', state: '7', named: '8' },
  table: { both: '9', rows: '10' },
  pulls: { state: { ok: '11' }, mine: '12', own: '13' },
  groups: { only: { x: '14' } },
};
const PAGE = [
  'const { images: w } = words.value; w.mine(w.kind); answer.unread; w.both; w.state; w.homes[answer.is]; w.named',
  'const { pulls: w, table } = words.value; table.rows; w.mine; words.value.pulls.own',
  'const { picked, named } = words.value.images;',
];

test('a text gets a short name where the page reads it by its name alone', () => {
  assert.deepEqual([...namesToShorten(TEXTS, PAGE)].sort(), ['kind', 'mine', 'own']);
});

for (const source of ['w[name]', 'const { mine } = w;']) {
  test(`a page with ${source} is not built`, () => {
    assert.throws(() => namesToShorten(TEXTS, [source]), { name: 'TypeError', message: /belong in a group/ });
  });
}

test('the page and its texts agree on the short names', () => {
  const names = new ShortNames(namesToShorten(TEXTS, PAGE));
  const keys = keysOf(TEXTS);
  const packed = names.pack(keys);
  assert.deepEqual(packed, {
    images: { '': '2 unread picked both state named', homes: 'hosted' },
    table: 'both rows',
    pulls: { '': '$0 1', state: 'ok' },
    groups: { only: 'x' },
  });
  const { images, pulls } = keyed(packed, withoutKeys(keys, TEXTS)) as Readonly<Record<string, Texts>>;
  assert.equal(
    names.inSource('w.mine(w.kind, w.both, words.value.pulls.own, answer.mine)'),
    'w.$0(w.$1, w.both, words.value.pulls.$2, answer.mine)',
  );
  assert.deepEqual(
    [images?.['$0'], images?.['$1'], images?.['both'], pulls?.['$2'], pulls?.['$0']],
    ['1', '2', '6', '13', '12'],
  );
});
