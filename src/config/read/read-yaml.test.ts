import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatSource, type Source } from '../problems.ts';
import { toPlain, treeAt } from '../tree.ts';
import { readYaml } from './read-yaml.ts';

const at = (line: number, column: number): Source => ({ kind: 'file', file: 'f', line, column });
const plain = async (text: string) => JSON.parse(JSON.stringify(toPlain((await readYaml(text, at)).tree))) as unknown;
const problems = async (text: string) =>
  (await readYaml(text, at)).problems.map(({ source, message }) => `${source && formatSource(source)} ${message}`);

describe('readYaml()', () => {
  test('knows where each value stands: keys of maps, items of lists', async () => {
    const { tree } = await readYaml('a:\n  b: [x,\n    {c: 1}]\n', at);
    const places = [['a'], ['a', 'b'], ['a', 'b', 0], ['a', 'b', 1], ['a', 'b', 1, 'c']].map(
      (path) => treeAt(tree, path)?.source,
    );
    assert.deepEqual(places, [at(1, 1), at(2, 3), at(2, 7), at(3, 5), at(3, 6)]);
  });

  test('reads the words of YAML 1.2: yes and off are texts', async () => {
    assert.deepEqual(await plain('{a: yes, b: off, c: true, d: 010, e: 1e3, f: 2001-01-01, 5000: g}'), {
      a: 'yes',
      b: 'off',
      c: true,
      d: 10,
      e: 1000,
      f: '2001-01-01',
      5000: 'g',
    });
  });

  test('follows aliases and merges, own keys first', async () => {
    assert.deepEqual(await plain('a: &a {x: 1, y: 2}\nb: &b {z: 3}\nc: {<<: [*a, *b], y: 4}\nd: *a\n'), {
      a: { x: 1, y: 2 },
      b: { z: 3 },
      c: { x: 1, z: 3, y: 4 },
      d: { x: 1, y: 2 },
    });
  });

  test('says in its own words what is wrong, without quoting the text', async () => {
    assert.deepEqual(await problems('a: 1\na: 2\n'), [
      'f:2:1 cannot be read as YAML: the same map has this key already; join the two, or remove one',
    ]);
    assert.match((await problems('a:\n\tb: hush\n')).join('\n'), /f:2:1 .*tab/);
    assert.match((await problems('a: *hush\n')).join('\n'), /f:1:4 .*alias/);
    assert.match((await problems('a: b: hush\n')).join('\n'), /needs quotes/);
    assert.match((await problems('a: "hush\n')).join('\n'), /closing quote/);
    for (const text of [
      'a:\n\tb: hush\n',
      'a: *hush\n',
      'a: b: hush\n',
      'a: "hush\n',
      'a: [hush\n',
      '%hush\n---\n- @hush',
    ]) {
      const found = (await problems(text)).join('\n');
      assert.notEqual(found, '');
      assert.doesNotMatch(found, /hush/);
    }
  });

  test('refuses what would be dropped or taken for something else: a second document, and tags', async () => {
    for (const text of ['a: 1\n---\nb: 2\n', 'a: 1\n---\n']) {
      assert.deepEqual(await problems(text), [
        'f:2:1 cannot be read as YAML: found a second document (---), expected one',
      ]);
    }
    for (const text of ['a: !hush x', 'a: !!binary aHVzaA==', 'a: !!timestamp 2001-01-01', 'a: !hush {b: 1}']) {
      const found = await problems(text);
      assert.equal(found.length, 1, text);
      assert.match(found[0] ?? '', /^f:1:1 found a tag/);
      assert.doesNotMatch(found[0] ?? '', /hush/);
    }
    assert.deepEqual(await plain('---\na: !!str 5\nb: ! 5\nc: !!map {d: !!int "6"}\n...\n'), {
      a: '5',
      b: '5',
      c: { d: 6 },
    });
  });

  test('says once what is wrong in one place', async () => {
    assert.equal((await problems('{"a": 5, "b')).length, 1);
  });

  test('refuses a bomb of aliases, an alias of itself and endless depth, once', async () => {
    const bomb = Array.from(
      { length: 12 },
      (_, i) => `l${i}: &l${i} [${`*l${i - 1},`.repeat(i === 0 ? 0 : 10)}x]`,
    ).join('\n');
    const deep = `${'['.repeat(200)}${']'.repeat(200)}`;
    for (const text of [bomb, 'a: &a [*a]\n', deep]) {
      const found = await problems(text);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', /expected a plainer file/);
    }
  });
});
