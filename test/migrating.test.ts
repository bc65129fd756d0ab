import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runImport } from './support/import-cases.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = globSync(['docs/migrating/*.md', 'docs/zh-CN/migrating/*.md'], { cwd: root }).sort();

describe('the pages on coming from another program', () => {
  test('are there, the five starting points in Chinese too', () => {
    assert.equal(pages.filter((page) => page.startsWith('docs/migrating/')).length, 9, pages.join(' '));
    assert.equal(pages.filter((page) => page.startsWith('docs/zh-CN/')).length, 6, pages.join(' '));
  });

  for (const page of pages.filter((each) => !each.endsWith('README.md'))) {
    test(`${page}: each example becomes what the page shows`, async (t) => {
      const text = readFileSync(join(root, page), 'utf8');
      const examples = examplesIn(text);
      assert.ok(examples.length > 0, 'no example has its marks');
      for (const { name, files, after } of examples) {
        const cwd = await mkdtemp(join(tmpdir(), 'entrepot-example-'));
        t.after(() => rm(cwd, { recursive: true, force: true }));
        for (const [file, content] of files) await writeFile(join(cwd, file), content);
        const { code, out, err } = await runImport([...files.keys()], { cwd });
        assert.equal(code, 0, err);
        assert.equal(out, after, `${page}: ${name} is not current`);
      }
    });
  }
});

interface Example {
  readonly name: string;
  readonly files: ReadonlyMap<string, string>;
  readonly after: string;
}

/** The code after `<!-- import NAME: FILE -->` and `<!-- imported NAME -->`. */
function examplesIn(page: string): readonly Example[] {
  const marks = page.matchAll(/<!-- (import|imported) ([\w-]+)(?:: (\S+))? -->\n```\w+\n([\s\S]*?)```/g);
  const byName = Map.groupBy(marks, ([, , name = '']) => name);
  return [...byName].map(([name, found]) => {
    const befores = found
      .filter(([, kind]) => kind === 'import')
      .map(([, , , file = '', code = '']) => [file, code] as const);
    const after = found.find(([, kind]) => kind === 'imported')?.[4] ?? '';
    return { name, files: new Map(befores), after };
  });
}
