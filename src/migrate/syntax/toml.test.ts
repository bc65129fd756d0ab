import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatKey, type Path, type Source, type Tree } from '../../config/index.ts';
import { readToml } from './toml.ts';

const at = (line: number, column: number): Source => ({ kind: 'file', file: 'f', line, column });

/** Each value with its place: `a.b[0] 3:5`. */
async function placesOf(text: string): Promise<readonly string[]> {
  const { tree, problems } = await readToml(text, at);
  assert.deepEqual(problems, []);
  const found: string[] = [];
  const walk = (node: Tree, path: Path): void => {
    if (node.kind === 'map') for (const [key, inner] of node.entries) walk(inner, [...path, key]);
    else if (node.kind === 'list') for (const [index, inner] of node.items.entries()) walk(inner, [...path, index]);
    else if (node.source.kind === 'file') found.push(`${formatKey(path)} ${node.source.line}:${node.source.column}`);
  };
  if (tree !== undefined) walk(tree, []);
  return found;
}

describe('readToml()', () => {
  test('knows where each value stands', async () => {
    const text = [
      '# a comment with [brackets] and = signs',
      'a = 1',
      '  "b.c" = "x = y" # another',
      "d.'e f' = true",
      '[t."u.v"]',
      'list = ["x", # one',
      '  "]", [1, 2],',
      ']',
      '[[items]]',
      'k = { inner = 1, "q" = [ { z = 2 } ] }',
      '[items.sub]',
      'm = """',
      'k = 5',
      '[no]"""',
      'n = 1979-05-27',
      '[[items]]',
      'k = 2',
    ].join('\n');
    assert.deepEqual(await placesOf(text), [
      'a 2:1',
      '["b.c"] 3:3',
      'd["e f"] 4:1',
      't["u.v"].list[0] 6:9',
      't["u.v"].list[1] 7:3',
      't["u.v"].list[2][0] 7:9',
      't["u.v"].list[2][1] 7:12',
      'items[0].k.inner 10:7',
      'items[0].k.q[0].z 10:28',
      'items[0].sub.m 12:1',
      'items[0].sub.n 15:1',
      'items[1].k 17:1',
    ]);
  });

  test('has no place of its own for the parts of a text that ends early', async () => {
    for (const text of ['a = "', 'a = [', '[', '[[', '"', 'a.', '= 1', 'a = {b', "a = '''", '"""a', '\0']) {
      const { tree, problems } = await readToml(text, at);
      assert.equal(tree, undefined, text);
      assert.equal(problems.length, 1, text);
      assert.match(problems[0]?.message ?? '', /^cannot be read as TOML: [^\n]+$/);
    }
  });

  test('keeps a number that is too large as text, and a key of any name', async () => {
    const { tree } = await readToml('a = 9223372036854775807\n__proto__ = 1\nconstructor = 2\n', at);
    assert.equal(tree?.kind, 'map');
    if (tree?.kind !== 'map') return;
    assert.deepEqual([...tree.entries.keys()], ['a', '__proto__', 'constructor']);
    const large = tree.entries.get('a');
    assert.equal(large?.kind === 'scalar' ? large.value : undefined, '9223372036854775807');
  });
});
