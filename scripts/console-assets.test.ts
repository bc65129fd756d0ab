import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortProperties } from './console-assets.ts';

test('custom properties get short names, apart from those that the page sets', () => {
  const styles = [
    ':root{--ink: black;--ink-soft: gray} .row{grid-template-columns:var(--columns)}',
    '.a--b{color:var(--ink)} .c{color:var(--ink-soft);--tone: var(--ink)}',
  ];
  const properties = shortProperties({ modules: ["style={{ '--columns': front }}; `var(--mono)`"], styles });
  assert.deepEqual(
    [...properties],
    [
      ['--ink', '--0'],
      ['--ink-soft', '--1'],
      ['--tone', '--2'],
    ],
  );
});
