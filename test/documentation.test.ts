import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { metricsTable } from '../src/telemetry/metrics-reference.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = globSync(['*.md', 'docs/*.md', 'deploy/*.md'], { cwd: root }).sort();

describe('the pages', () => {
  test('link to files and headings that are there', () => {
    assert.ok(pages.length > 10, `${pages.length} pages`);
    const broken = pages.flatMap((page) => linksOf(read(page)).flatMap((link) => complaint(page, link)));
    assert.deepEqual(broken, []);
  });

  test('speak of no metric that is not there', async () => {
    const known = new Set(namesOf(await metricsTable()));
    assert.ok(known.size > 30, `${known.size} metrics`);
    const unknown = pages.flatMap((page) =>
      namesOf(read(page))
        .filter((name) => !known.has(name) && !/^entrepot_(process|nodejs)_$/.test(name))
        .map((name) => `${page}: ${name}`),
    );
    assert.deepEqual(unknown, []);
  });

  test('in two languages show the same examples, commands and links', () => {
    const [english, chinese] = ['README.md', 'README.zh-CN.md'].map((page) => wordsForMachines(read(page)));
    assert.deepEqual(chinese, english);
  });
});

describe('the checks bite', () => {
  test('on links', () => {
    assert.deepEqual(complaint('docs/cache.md', 'nothing.md'), ['docs/cache.md: nothing.md is not there']);
    assert.deepEqual(complaint('docs/cache.md', 'check.md#nothing'), [
      'docs/cache.md: check.md#nothing has no such heading',
    ]);
    assert.deepEqual(complaint('docs/cache.md', '#rot'), []);
    assert.deepEqual(complaint('docs/cache.md', 'https://example.com/nothing'), []);
  });

  test('and on headings as GitHub names them', () => {
    assert.deepEqual(anchorsOf('# A `--flag`, and [more](x.md)\n```sh\n# no heading\n```\n## 二\n'), [
      'a---flag-and-more',
      '二',
    ]);
  });
});

function complaint(page: string, link: string): string[] {
  if (/^[a-z]+:/.test(link)) return [];
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(root, target))) return [`${page}: ${link} is not there`];
  if (anchor === undefined || anchorsOf(read(target)).includes(anchor)) return [];
  return [`${page}: ${link} has no such heading`];
}

function linksOf(page: string): string[] {
  return Array.from(withoutFences(page).matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link as string);
}

function anchorsOf(page: string): string[] {
  return Array.from(withoutFences(page).matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** What must not be translated: code, and where links lead; without comments, and what is written in capitals for a reader to fill in. */
function wordsForMachines(page: string): string[] {
  const fences = page.match(/^```[\s\S]*?^```/gm) ?? [];
  const code = fences.flatMap((fence) => fence.split('\n').map((line) => line.replace(/(?<=\S)(?: {2,}| +#).*$/, '')));
  const links = linksOf(page).filter((link) => !link.startsWith('README'));
  const spans = Array.from(withoutFences(page).matchAll(/`([^`]+)`/g), ([, span = '']) =>
    span.replace(/ (IMAGE|镜像)…$/, ''),
  );
  return [...code, ...links.sort(), ...spans.sort()];
}

function withoutFences(page: string): string {
  return page.replace(/^```[\s\S]*?^```/gm, '');
}

function namesOf(text: string): string[] {
  return text.match(/\bentrepot_[a-z_]+/g) ?? [];
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
